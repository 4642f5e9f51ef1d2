"""OpenAI's audio addresses, for clients that speak their protocol: `/v1/audio/transcriptions` and `/v1/audio/speech`.

Field names, forms of answers and events are those of the SDK `openai` 3.57. Any model name is taken: this server has
one model. Texts are tagged; `temperature` and the like change nothing here.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from io import BytesIO
from typing import Any, BinaryIO

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from evoxtral.errors import EvoxtralError
from evoxtral.inference.formats import WRITERS
from evoxtral.inference.keywords import split_keywords
from evoxtral.inference.options import MAX_KEYWORDS
from evoxtral.inference.transcript import Transcript
from evoxtral.server.fields import read_fields
from evoxtral.server.problems import Problem
from evoxtral.server.routers.speak import AUDIO, file_response
from evoxtral.server.routers.transcribe import PROBLEMS, event, form_of, options_of
from evoxtral.server.sockets import base64_bytes
from evoxtral.server.speaking import FORMATS
from evoxtral.server.transcribing import NewText, Progress, Transcriber
from evoxtral.tts.registry import DEFAULT_ENGINE

router = APIRouter(prefix="/v1/audio", tags=["OpenAI"])

_MAX_KNOWN_SPEAKERS = 4
_MAX_REFERENCE_BYTES = 4 * 2**20  # ten seconds of a CD are 2.4 MB in Base64
_MOST_WORDS_OF_A_TERM = 4
_FORMATS = ("json", "text", "srt", "vtt", "verbose_json", "diarized_json")
_WITH_TIMES = ("srt", "vtt", "verbose_json", "diarized_json")
# Sent by clients, and of no meaning to a model that decodes greedily and is given no text.
_IGNORED = ("temperature", "include", "chunking_strategy")
_TAGLESS_VOICES = ("alloy", "ash", "ballad", "coral", "echo", "fable", "onyx", "nova", "sage", "shimmer", "verse")

_FORM = form_of(
    model={"type": "string", "description": "Any name; this server has one model."},
    language={"type": "string"},
    languages={"type": "array", "items": {"type": "string"}, "description": "The first counts."},
    response_format={"type": "string", "enum": list(_FORMATS), "default": "json"},
    timestamp_granularities={"type": "array", "items": {"type": "string", "enum": ["word", "segment"]}},
    stream={"type": "boolean", "default": False},
    keywords={"type": "array", "items": {"type": "string"}},
    prompt={"type": "string", "description": "Its short parts between commas are keywords; the rest changes nothing."},
    known_speaker_names={"type": "array", "items": {"type": "string"}, "maxItems": _MAX_KNOWN_SPEAKERS},
    known_speaker_references={
        "type": "array",
        "items": {"type": "string"},
        "maxItems": _MAX_KNOWN_SPEAKERS,
        "description": "Data URLs of samples of their voices; with diarized_json.",
    },
    **{name: {"type": "string", "description": "Taken and not used."} for name in _IGNORED},
)


@router.post("/transcriptions", responses=PROBLEMS, openapi_extra=_FORM)
async def transcriptions(request: Request) -> Response:
    """Transcribe a recording as OpenAI's `audio.transcriptions.create` does."""
    transcriber: Transcriber = request.app.state.transcriber
    fields = await read_fields(request, max_field_bytes=_MAX_REFERENCE_BYTES)
    upload = fields.file("file")
    fields.ignore("model", *_IGNORED)
    kind = fields.choice("response_format", _FORMATS, "json")
    granularities = fields.texts("timestamp_granularities")
    language = fields.text("language") or next(iter(fields.texts("languages")), None) or "en"
    stream = fields.flag("stream")
    keywords = split_keywords(fields.texts("keywords")) or _keywords_in(fields.text("prompt") or "")
    fields.ignore("prompt")
    samples = _samples(fields.texts("known_speaker_names"), fields.texts("known_speaker_references"))
    fields.nothing_else()
    if samples and kind != "diarized_json":
        raise _refused("known_speaker_names", ", ".join(samples), f"ask for response_format diarized_json, not {kind}")
    if granularities and kind != "verbose_json":
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"timestamp_granularities goes with response_format verbose_json, not {kind}",
            "leave one of them out",
        )
    options = options_of(
        language=language,
        times=kind in _WITH_TIMES,
        diarize=kind == "diarized_json",
        keywords=keywords,
        known_speakers=await transcriber.voices_of(samples),
    )
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


def _keywords_in(prompt: str) -> tuple[str, ...]:
    """The names and terms that a prompt lists; sentences in it are none."""
    return tuple(part for part in split_keywords([prompt]) if len(part.split()) <= _MOST_WORDS_OF_A_TERM)[:MAX_KEYWORDS]


def _samples(names: list[str], references: list[str]) -> dict[str, BinaryIO]:
    """Samples of voices by name.

    Raises:
        Problem: there are too many, not as many of the one as of the other, or one is no data URL.
    """
    if len(names) != len(references) or len(names) > _MAX_KNOWN_SPEAKERS or len(set(names)) != len(names):
        raise _refused(
            "known_speaker_names",
            ", ".join(names),
            f"send as many names as references, at most {_MAX_KNOWN_SPEAKERS}",
        )
    samples: dict[str, BinaryIO] = {}
    for name, reference in zip(names, references, strict=True):
        head, _, content = reference.partition(",")
        decoded = base64_bytes(content) if head.startswith("data:") and head.endswith(";base64") else None
        if not name or decoded is None:
            raise _refused("known_speaker_references", reference, "send data URLs: data:audio/wav;base64,...")
        samples[name] = BytesIO(decoded)
    return samples


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
