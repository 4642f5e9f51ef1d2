"""OpenAI's audio addresses, for clients that speak their protocol: `/v1/audio/transcriptions` and `/v1/audio/speech`.

Field names, forms of answers and events are those of the SDK `openai` 3.57. Any model name is taken: this server has
one model. Texts are tagged; `prompt`, `temperature` and the like change nothing here.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from evoxtral.errors import EvoxtralError
from evoxtral.inference.formats import WRITERS
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.transcript import Transcript
from evoxtral.server.fields import read_fields
from evoxtral.server.problems import Problem
from evoxtral.server.routers.speak import AUDIO, file_response
from evoxtral.server.routers.transcribe import PROBLEMS, event, form_of
from evoxtral.server.speaking import FORMATS
from evoxtral.server.transcribing import NewText, Progress, Transcriber
from evoxtral.tts.registry import DEFAULT_ENGINE

router = APIRouter(prefix="/v1/audio", tags=["OpenAI"])

_FORMATS = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
_WITH_TIMES = ("srt", "vtt", "verbose_json", "diarized_json")
# Sent by clients, and of no meaning to a model that decodes greedily and is given no text.
_IGNORED = ("prompt", "temperature", "include", "chunking_strategy", "keywords")
_TAGLESS_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse")

_FORM = form_of(
    model={"type": "string", "description": "Any name; this server has one model."},
    language={"type": "string"},
    languages={"type": "array", "items": {"type": "string"}, "description": "The first counts."},
    response_format={"type": "string", "enum": list(_FORMATS), "default": "json"},
    timestamp_granularities={"type": "array", "items": {"type": "string", "enum": ["word", "segment"]}},
    stream={"type": "boolean", "default": False},
    **{name: {"type": "string", "description": "Taken and not used."} for name in _IGNORED},
)


@router.post("/transcriptions", responses=PROBLEMS, openapi_extra=_FORM)
async def transcriptions(request: Request) -> Response:
    """Transcribe a recording as OpenAI's `audio.transcriptions.create` does."""
    transcriber: Transcriber = request.app.state.transcriber
    fields = await read_fields(request)
    upload = fields.file("file")
    fields.ignore("model", *_IGNORED)
    kind = fields.choice("response_format", _FORMATS, "json")
    granularities = fields.texts("timestamp_granularities")
    language = fields.text("language") or next(iter(fields.texts("languages")), None) or "en"
    stream = fields.flag("stream")
    fields.nothing_else()
    if granularities and kind != "verbose_json":
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"timestamp_granularities goes with response_format verbose_json, not {kind}",
            "leave one of them out",
        )
    options = TranscribeOptions(language=language, times=kind in _WITH_TIMES, diarize=kind == "diarized_json")
    name = upload.filename or "upload"
    if stream:
        following = transcriber.follow(upload.file, name, options, request.is_disconnected)
        first = await anext(following)
        return StreamingResponse(_deltas(first, following), media_type="text/event-stream")
    heard = await transcriber.transcribe(upload.file, name, options, request.is_disconnected)
    if kind in ("srt", "vtt"):
        return PlainTextResponse(WRITERS[kind](heard))
    if kind == "text":
        return PlainTextResponse(f"{heard.text}\n")
    return JSONResponse(_body(kind, heard, granularities))


def _body(kind: str, heard: Transcript, granularities: list[str]) -> dict[str, Any]:
    usage = {"type": "duration", "seconds": heard.duration_s}
    if kind == "json":
        return {"text": heard.text, "usage": usage}
    if kind == "diarized_json":
        segments = [
            {
                "type": "transcript.text.segment",
                "id": f"seg_{number}",
                "start": segment.start_s,
                "end": segment.end_s,
                "speaker": segment.speaker or "A",
                "text": segment.text,
            }
            for number, segment in enumerate(heard.segments)
        ]
        return {
            "task": "transcribe",
            "duration": heard.duration_s,
            "text": heard.text,
            "segments": segments,
            "usage": usage,
        }
    body: dict[str, Any] = {
        "task": "transcribe",
        "language": heard.language,
        "duration": heard.duration_s,
        "text": heard.text,
        "usage": usage,
    }
    if "segment" in granularities or not granularities:
        # What a client's reader requires and this model does not have is zero.
        blank = {"seek": 0, "tokens": [], "temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 0.0}
        body["segments"] = [
            {"id": number, "start": one.start_s, "end": one.end_s, "text": one.text, "no_speech_prob": 0.0, **blank}
            for number, one in enumerate(heard.segments)
        ]
    if "word" in granularities:
        body["words"] = [
            {"word": word.word, "start": word.start_s, "end": word.end_s}
            for word in heard.words
            if word.start_s is not None
        ]
    return body


async def _deltas(
    first: Progress | NewText | Transcript, rest: AsyncIterator[Progress | NewText | Transcript]
) -> AsyncIterator[str]:
    """OpenAI's events: text as it comes, joined as the whole text is; the last one holds all of it."""
    is_first = True

    def told(item: Progress | NewText | Transcript) -> str | None:
        nonlocal is_first
        if isinstance(item, NewText):
            delta = item.text if is_first else f" {item.text}"
            is_first = False
            return event("transcript.text.delta", {"type": "transcript.text.delta", "delta": delta})
        if isinstance(item, Transcript):
            return event("transcript.text.done", {"type": "transcript.text.done", "text": item.text})
        return None

    try:
        if (line := told(first)) is not None:
            yield line
        async for item in rest:
            if (line := told(item)) is not None:
                yield line
    except (Problem, EvoxtralError) as error:
        message = error.detail if isinstance(error, Problem) else str(error)
        yield event("error", {"type": "error", "error": {"message": message, "type": "server_error", "code": None}})


# What a client's model name begins with, where it means another engine than our own.
_ENGINES = {"eleven": "elevenlabs", "mistral": "mistral", "voxtral-mini-tts": "mistral"}


class SpeechCreate(BaseModel):
    """What OpenAI's `audio.speech.create` sends."""

    model_config = ConfigDict(extra="forbid")

    input: str
    model: str = "local"
    voice: str | dict[str, Any] | None = None
    instructions: str | None = Field(default=None, description="Taken and not used: delivery comes from tags.")
    response_format: str = "mp3"
    speed: float = Field(default=1.0, description="Only 1.0: rate comes from tags.")
    stream_format: str = Field(default="audio", description="Only audio.")


@router.post("/speech", response_class=Response, responses=AUDIO)
async def speech(request: Request, wanted: SpeechCreate) -> Response:
    """Speak tagged text as OpenAI's `audio.speech.create` does; OpenAI's own voice names mean the default voice."""
    if wanted.response_format not in FORMATS:
        raise _refused("response_format", wanted.response_format, f"use one of {', '.join(FORMATS)}")
    if wanted.speed != 1.0:
        raise _refused("speed", f"{wanted.speed:g}", "leave it out; tags such as [excited] change the rate")
    if wanted.stream_format != "audio":
        raise _refused("stream_format", wanted.stream_format, "use audio")
    voice = wanted.voice.get("id") if isinstance(wanted.voice, dict) else wanted.voice
    spoken = await request.app.state.speaker.speak(
        wanted.input,
        engine=next((engine for model, engine in _ENGINES.items() if wanted.model.startswith(model)), DEFAULT_ENGINE),
        voice=None if voice in (*_TAGLESS_VOICES, "default", "") else voice,
        audio_format=wanted.response_format,
    )
    return file_response(spoken if wanted.response_format != "opus" else replace(spoken, media_type="audio/opus"))


def _refused(field: str, value: str, hint: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: is {value[:40]!r}", hint)
