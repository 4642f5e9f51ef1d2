"""ElevenLabs' addresses: `/v1/speech-to-text`, the same live, and `/v1/text-to-speech/{voice_id}`.

Names of fields and messages are those of the SDK `elevenlabs` 2.78. Transcripts are in the dialect of its Scribe:
sounds in round brackets, no tags of delivery. Spoken texts are tagged as ours. Knows messages; nothing of
how speech becomes text or text speech.
"""

import math
import re
import secrets
from collections.abc import Iterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, WebSocket
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from evoxtral.inference.channels import by_channel, channel_index
from evoxtral.inference.transcript import Transcript
from evoxtral.server.fields import read_fields
from evoxtral.server.live import CommittedTurns, Failed, Final, Flushed, Partial, StreamEvent
from evoxtral.server.problems import Problem
from evoxtral.server.query import Query as StrictQuery
from evoxtral.server.routers.speak import AUDIO, file_response
from evoxtral.server.routers.transcribe import PROBLEMS, form_of, options_of
from evoxtral.server.sockets import (
    BUSY,
    IDLE,
    INVALID,
    Microphone,
    StreamEndError,
    base64_bytes,
    converse,
    json_object,
    open_ears,
    open_stream,
    receive,
)
from evoxtral.server.transcribing import Transcriber
from evoxtral.tags.dialects import write
from evoxtral.tags.taxonomy import normalise_name

router = APIRouter(tags=["ElevenLabs"])

_DIALECT = "scribe"
_MAX_SPEAKERS = 32
# Of no meaning to a model that writes what it hears, and decodes greedily.
_UNUSED = (
    *("model_id", "temperature", "seed", "file_format", "secondary_language_codes", "diarization_threshold"),
    *("timestamps_granularity", "webhook_metadata", "entity_redaction_mode"),
)
_REFUSED = (
    *("cloud_storage_url", "source_url", "webhook", "webhook_id"),
    *("entity_detection", "entity_redaction", "no_verbatim", "use_speaker_library", "detect_speaker_roles"),
    *("numbers_format", "transcript_edit", "additional_formats"),
)
_UNUSED_LIVE = (
    *("model_id", "vad_silence_threshold_secs", "vad_threshold", "min_speech_duration_ms", "min_silence_duration_ms"),
    *("secondary_languages", "include_language_detection", "enable_logging", "entity_redaction_mode"),
)
_REFUSED_LIVE = (
    *("no_verbatim", "entity_detection", "entity_redaction", "transcript_edit", "filter_background_audio", "token"),
)
_RATES_HZ = (8_000, 16_000, 22_050, 24_000, 44_100, 48_000)
_MESSAGE_TYPES = {BUSY: "resource_exhausted", IDLE: "session_time_limit_exceeded", INVALID: "invalid_request"}

_FORM = form_of(
    model_id={"type": "string", "description": "Any name; this server has one model."},
    language_code={"type": "string", "description": "ISO 639-1."},
    tag_audio_events={"type": "boolean", "default": True},
    diarize={"type": "boolean", "default": False},
    keyterms={"type": "array", "items": {"type": "string"}, "description": "Names and terms that are likely."},
    use_multi_channel={"type": "boolean", "default": False, "description": "Each channel is one speaker's."},
    multichannel_output_style={"type": "string", "enum": ["separate", "combined"], "default": "separate"},
    num_speakers={"type": "integer", "minimum": 1, "maximum": _MAX_SPEAKERS, "description": "At most so many."},
)


@router.post("/v1/speech-to-text", responses=PROBLEMS, openapi_extra=_FORM, response_class=JSONResponse)
async def speech_to_text(request: Request) -> Response:
    """Transcribe a recording as ElevenLabs' `speech_to_text.convert` does."""
    transcriber: Transcriber = request.app.state.transcriber
    query = StrictQuery(request.query_params, unused=("enable_logging",), refused=("token",))
    query.nothing_else()
    fields = await read_fields(request)
    upload = fields.file("file")
    language = fields.text("language_code") or "en"
    diarize, with_events = fields.flag("diarize"), fields.flag("tag_audio_events", default=True)
    speakers = fields.whole("num_speakers", 1, _MAX_SPEAKERS)
    channels = fields.flag("use_multi_channel")
    style = fields.choice("multichannel_output_style", ("separate", "combined"), "separate")
    keywords = tuple(dict.fromkeys(fields.texts("keyterms")))
    fields.ignore(*_UNUSED)
    fields.refuse(*_REFUSED)
    fields.nothing_else()
    options = options_of(
        language=language,
        diarize=diarize,
        max_speakers=speakers if diarize else None,
        keywords=keywords,
        channels=channels,
    )
    heard = await transcriber.transcribe(upload.file, upload.filename or "upload", options, request.is_disconnected)
    known = {"transcription_id": secrets.token_hex(10), "audio_duration_secs": heard.duration_s}
    parts = by_channel(heard)
    if len(parts) > 1 and style == "separate":
        transcripts = [
            {**_chunk(part, with_events=with_events), "channel_index": index} for index, part in enumerate(parts)
        ]
        return JSONResponse({"transcripts": transcripts, **known})
    return JSONResponse({**_chunk(heard, with_events=with_events), **known})


def _chunk(heard: Transcript, *, with_events: bool) -> dict[str, Any]:
    told = _text_and_words(heard, with_events=with_events)
    for piece in told["words"]:
        # A channel is no speaker that somebody told apart.
        if (index := channel_index(piece["speaker_id"])) is not None:
            piece |= {"channel_index": index, "speaker_id": None}
    # The language was given, not guessed.
    return {"language_code": heard.language, "language_probability": 1.0, **told}


_EVENT = re.compile(r"\(([^()]+)\)")


def _text_and_words(heard: Transcript, *, with_events: bool = True, by_s: float = 0.0) -> dict[str, Any]:
    """The text in Scribe's dialect, and all its pieces in order: joined they are the text again.

    Args:
        by_s: added to all times.
    """
    text = write(heard.text, _DIALECT).text if with_events else heard.plain_text
    pieces: list[dict[str, Any]] = []
    tags = list(heard.tags)
    position, end_s = 0, 0.0

    def add(
        kind: str, piece: str, start_s: float, until_s: float, speaker: str | None, confidence: float = 1.0
    ) -> None:
        nonlocal end_s
        end_s = until_s
        times = {"start": round(by_s + start_s, 3), "end": round(by_s + until_s, 3)}
        pieces.append({"text": piece, "type": kind, **times, "speaker_id": speaker, "logprob": _log(confidence)})

    def between(gap: str, next_s: float | None, speaker: str | None) -> None:
        """Spaces and sounds before a word that begins at `next_s`."""
        at = 0
        for event in _EVENT.finditer(gap):
            spacing(gap[at : event.start()], None, speaker)
            name = normalise_name(event[1])
            place = next((number for number, tag in enumerate(tags) if normalise_name(tag.tag) == name), None)
            tag = None if place is None else tags[place]
            if place is not None:
                del tags[: place + 1]
            known = tag is not None and tag.start_s is not None and tag.end_s is not None
            start_s, until_s = (tag.start_s or 0.0, tag.end_s or 0.0) if known and tag else (end_s, next_s or end_s)
            add("audio_event", event[0], start_s, max(start_s, until_s), speaker)
            at = event.end()
        spacing(gap[at:], next_s, speaker)

    def spacing(piece: str, next_s: float | None, speaker: str | None) -> None:
        if piece:
            add("spacing", piece, end_s, max(end_s, next_s or end_s), speaker)

    for word in heard.words:
        spoken = word.word if with_events or word.word in text[position:] else word.word.lower()
        found = text.find(spoken, position)
        if found < 0:
            continue  # it shows as spacing, so that the joined pieces stay the text
        start_s = end_s if word.start_s is None else word.start_s
        between(text[position:found], start_s, word.speaker)
        until_s = start_s if word.end_s is None else word.end_s
        add("word", spoken, start_s, until_s, word.speaker, 1.0 if word.confidence is None else word.confidence)
        position = found + len(spoken)
    between(text[position:], None, None)
    return {"text": text, "words": pieces}


def _log(probability: float) -> float:
    return round(math.log(max(probability, 1e-6)), 4)


# --- live ------------------------------------------------------------------------------------------------------------


@router.websocket("/v1/speech-to-text/realtime")
async def realtime(socket: WebSocket) -> None:
    """Live transcription for ElevenLabs' clients."""
    async with open_stream(socket, _end_message):
        try:
            query = StrictQuery(socket.query_params, unused=_UNUSED_LIVE, refused=_REFUSED_LIVE)
            audio_format = query.choice("audio_format", [f"pcm_{rate}" for rate in _RATES_HZ], "pcm_16000")
            strategy = query.choice("commit_strategy", ("manual", "vad"), "manual")
            language = query.text("language_code", "en")
            with_times = query.flag("include_timestamps")
            options = options_of(language=language, keywords=tuple(dict.fromkeys(query.texts("keyterms"))))
            query.nothing_else()
        except Problem as problem:
            raise StreamEndError("invalid_request", f"{problem.detail}: {problem.hint}", INVALID) from None
        stream = open_ears(socket, lambda: options, CommittedTurns() if strategy == "manual" else None)
        rate_hz = int(audio_format.removeprefix("pcm_"))
        microphone = Microphone(stream, rate_hz)
        await socket.send_json(
            {
                "message_type": "session_started",
                "session_id": secrets.token_hex(10),
                "config": {
                    "sample_rate": rate_hz,
                    "audio_format": audio_format,
                    "language_code": language,
                    "commit_strategy": strategy,
                    "model_id": socket.app.state.transcriber.engine.model,
                    "include_timestamps": with_times,
                },
            }
        )

        async def read() -> None:
            while True:
                message = json_object(await receive(socket)) or {}
                sound = base64_bytes(message.get("audio_base_64"))
                if message.get("message_type") != "input_audio_chunk" or sound is None:
                    raise StreamEndError(
                        "input_error", "Messages are input_audio_chunk with audio_base_64 and commit.", INVALID
                    )
                if message.get("sample_rate") not in (None, rate_hz):
                    raise StreamEndError("input_error", f"The session's sample rate is {rate_hz}.", INVALID)
                await microphone.feed(sound)
                if message.get("commit") is True:
                    if strategy == "manual":
                        await microphone.end()
                    await stream.flush()

        await converse(socket, stream, read, lambda event: _messages(event, with_times=with_times))


def _messages(event: StreamEvent, *, with_times: bool) -> Iterator[dict[str, Any]]:
    match event:
        case Partial(_, _, committed, tentative, _):
            text = write(f"{committed} {tentative}".strip(), _DIALECT).text
            yield {"message_type": "partial_transcript", "text": text}
        case Final(_, start_s, _, _, heard):
            told = _text_and_words(heard, by_s=start_s)
            yield {"message_type": "committed_transcript", "text": told["text"]}
            if with_times:
                timed = {"language_code": heard.language, **told}
                yield {"message_type": "committed_transcript_with_timestamps", **timed}
        case Failed():
            yield {"message_type": "transcriber_error", "error": str(event.error)}
        case Flushed(ended_one=False):
            yield {"message_type": "insufficient_audio_activity", "error": "There is no speech to commit."}


def _end_message(end: StreamEndError) -> dict[str, Any]:
    kind = end.code if end.code == "input_error" else _MESSAGE_TYPES.get(end.close_code, "error")
    return {"message_type": kind, "error": end.message}


# --- speech ----------------------------------------------------------------------------------------------------------


class Spoken(BaseModel):
    """What ElevenLabs' `text_to_speech.convert` sends; delivery comes from tags, so its settings are not used."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="Tagged text.")
    model_id: str | None = None
    seed: int | None = Field(default=None, ge=0, lt=2**32)
    language_code: str | None = None
    voice_settings: dict[str, Any] | None = None
    previous_text: str | None = None
    next_text: str | None = None
    apply_text_normalization: str | None = None


_OUTPUT = re.compile(r"(?:pcm|wav)_\d+|mp3_\d+_\d+|opus_48000_\d+")


@router.post("/v1/text-to-speech/{voice_id:path}", response_class=Response, responses=AUDIO)
async def text_to_speech(
    request: Request,
    voice_id: str,
    wanted: Spoken,
    output_format: Annotated[
        str, Query(description="Such as mp3_44100_128, wav_24000 or pcm_16000.")
    ] = "mp3_44100_128",
) -> Response:
    """Speak tagged text with a voice of the local engine, as ElevenLabs' `text_to_speech.convert` and `stream` do."""
    query = StrictQuery(request.query_params, unused=("output_format", "enable_logging", "optimize_streaming_latency"))
    query.nothing_else()
    kind, _, rest = output_format.partition("_")
    rate_hz = int(rate) if (rate := rest.partition("_")[0]).isdecimal() and len(rate) < 6 else 0
    if not _OUTPUT.fullmatch(output_format) or rate_hz not in (*_RATES_HZ, 32_000):
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"output_format: is {output_format[:40]!r}",
            "send pcm_16000, wav_24000, mp3_44100_128 or the like",
        )
    voice = voice_id.removesuffix("/stream")
    spoken = await request.app.state.speaker.speak(
        wanted.text,
        voice=None if voice == "default" else voice,
        seed=wanted.seed or 0,
        audio_format=kind,
        sample_rate_hz=rate_hz,
    )
    return file_response(spoken)
