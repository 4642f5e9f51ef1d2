"""`WS /transcribe/stream`: our streaming protocol over `evoxtral.server.live`.

    client  {"type": "start", "sample_rate": 16000, "language": "en", "diarize": false, "end_silence_s": 0.5,
            "keywords": []}, then frames of 16-bit little-endian mono PCM; {"type": "flush"} ends the utterance,
            {"type": "stop"} the stream
    server  ready, speech_started, partial, end_of_turn_likely, turn_resumed, final, speaker_update, error, done

Knows messages; nothing of how speech becomes text.
"""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import EvoxtralError
from evoxtral.inference.endpointing import EARLY_END_SILENCE_S, END_SILENCE_S, Endpointer
from evoxtral.inference.options import TranscribeOptions
from evoxtral.server.live import (
    Done,
    Failed,
    Final,
    Likely,
    Partial,
    Resumed,
    Revised,
    Started,
    StreamEvent,
    main_speaker,
)
from evoxtral.server.sockets import (
    INVALID,
    MAX_END_SILENCE_S,
    MAX_SAMPLE_RATE_HZ,
    MIN_END_SILENCE_S,
    MIN_SAMPLE_RATE_HZ,
    TOO_BIG,
    Microphone,
    StreamEndError,
    converse,
    json_object,
    open_ears,
    open_stream,
    receive,
)

router = APIRouter()

_MAX_FRAME_BYTES = 256 * 1024


class Start(BaseModel):
    """The first message."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(pattern="^start$")
    sample_rate: int = Field(default=SAMPLE_RATE_HZ, ge=MIN_SAMPLE_RATE_HZ, le=MAX_SAMPLE_RATE_HZ)
    language: str = Field(default="en", min_length=2, max_length=8)
    diarize: bool = False
    keywords: list[str] = Field(default_factory=list)
    end_silence_s: float = Field(default=END_SILENCE_S, ge=MIN_END_SILENCE_S, le=MAX_END_SILENCE_S)


_START = TypeAdapter(Start)


@router.websocket("/transcribe/stream")
async def transcribe_stream(socket: WebSocket) -> None:
    """Live transcription of a microphone."""
    async with open_stream(socket, lambda end: _error(end.code, end.message, retryable=end.code == "busy")):
        start = _start(await receive(socket))
        try:
            options = TranscribeOptions(language=start.language, keywords=tuple(start.keywords))
        except EvoxtralError as error:
            raise StreamEndError("invalid_start", f"keywords: {error}", INVALID) from None
        early_s = min(EARLY_END_SILENCE_S, start.end_silence_s / 2)
        turns = Endpointer(start.end_silence_s, early_s)
        stream = open_ears(socket, lambda: options, turns, diarize=start.diarize)
        model = socket.app.state.transcriber.engine.model
        await socket.send_json({"type": "ready", "model": model, "sample_rate": start.sample_rate})
        microphone = Microphone(stream, start.sample_rate)

        async def read() -> None:
            while True:
                message = await receive(socket)
                if isinstance(message, bytes):
                    if len(message) > _MAX_FRAME_BYTES:
                        raise StreamEndError("frame_too_big", f"A frame may have {_MAX_FRAME_BYTES} bytes.", TOO_BIG)
                    await microphone.feed(message)
                    continue
                kind = (json_object(message) or {}).get("type")
                if kind == "stop":
                    await microphone.end()
                    return
                if kind != "flush":
                    raise StreamEndError(
                        "unknown_message", "Messages are flush and stop, and frames of sound.", INVALID
                    )
                await stream.flush()

        await converse(socket, stream, read, messages_of)


def _start(message: str | bytes) -> Start:
    try:
        if isinstance(message, bytes):
            raise StreamEndError("invalid_start", "The first message must be a start message, in text.", INVALID)
        return _START.validate_json(message)
    except ValidationError as error:
        reason = error.errors()[0]["msg"]
        raise StreamEndError("invalid_start", f"The first message must be a start message: {reason}", INVALID) from None


def messages_of(event: StreamEvent) -> Iterator[dict[str, Any]]:
    """An event as the protocol writes it, if at all; times in seconds from the start of the stream."""
    match event:
        case Started(_, at_s):
            yield {"type": "speech_started", "at": round(at_s, 3)}
        case Likely(utterance_id, at_s, text):
            yield {"type": "end_of_turn_likely", "utterance_id": utterance_id, "at": round(at_s, 3), "text": text}
        case Resumed(utterance_id, at_s):
            yield {"type": "turn_resumed", "utterance_id": utterance_id, "at": round(at_s, 3)}
        case Partial():
            yield {"type": "partial", **asdict(event)}
        case Final():
            heard = event.transcript
            yield {
                "type": "final",
                "utterance_id": event.utterance_id,
                "start": round(event.start_s, 3),
                "end": round(event.end_s, 3),
                "is_cut": event.is_cut,
                "text": heard.text,
                "plain_text": heard.plain_text,
                "words": [_moved(asdict(word), event.start_s) for word in heard.words],
                "tags": [_moved(asdict(tag), event.start_s) for tag in heard.tags],
                "speaker": main_speaker(event),
            }
        case Revised(final):
            yield {
                "type": "speaker_update",
                "utterance_id": final.utterance_id,
                "speaker": main_speaker(final),
                "word_speakers": [word.speaker for word in final.transcript.words],
            }
        case Failed():
            yield _error("transcription_failed", str(event.error), retryable=True)
        case Done():
            yield {"type": "done", "stats": asdict(event)}


def _moved(item: dict[str, Any], by_s: float) -> dict[str, Any]:
    for name in ("start_s", "end_s"):
        if item[name] is not None:
            item[name] = round(item[name] + by_s, 3)
    return item


def _error(code: str, message: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message, "retryable": retryable}
