"""`WS /transcribe/stream`: our streaming protocol over `evoxtral.server.live`.

    client  {"type": "start", "sample_rate": 16000, "language": "en"}, then frames of 16-bit little-endian mono PCM;
            {"type": "flush"} ends the utterance, {"type": "stop"} the stream
    server  ready, speech_started, partial, end_of_turn_likely, turn_resumed, final, error, done

Knows messages; nothing of how speech becomes text.
"""

import asyncio
import json
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, WebSocket, WebSocketDisconnect
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.streaming_resampler import StreamingResampler
from evoxtral.inference.endpointing import EndLikely, SpeechResumed, SpeechStarted
from evoxtral.inference.transcript import Transcript
from evoxtral.server.live import Done, Failed, Final, LiveStream, Partial, StreamEvent
from evoxtral.server.metrics import STREAMS
from evoxtral.server.transcribing import Transcriber

router = APIRouter()

_MAX_FRAME_BYTES = 256 * 1024
_BUSY, _INVALID, _TOO_BIG, _IDLE = 1013, 1008, 1009, 1001


class Start(BaseModel):
    """The first message."""

    model_config = ConfigDict(extra="forbid")

    type: str = Field(pattern="^start$")
    sample_rate: int = Field(default=SAMPLE_RATE_HZ, ge=8_000, le=48_000)
    language: str = Field(default="en", min_length=2, max_length=8)


_START = TypeAdapter(Start)


@router.websocket("/transcribe/stream")
async def transcribe_stream(socket: WebSocket) -> None:
    """Live transcription of one speaker's microphone."""
    state = socket.app.state
    await socket.accept()
    if state.open_streams >= state.settings.max_streams:
        await _fail(socket, "busy", "All streams of this server are taken.", _BUSY, retryable=True)
        return
    state.open_streams += 1
    STREAMS.set(state.open_streams)
    try:
        await _serve(socket)
    except WebSocketDisconnect:
        pass
    finally:
        state.open_streams -= 1
        STREAMS.set(state.open_streams)


async def _serve(socket: WebSocket) -> None:
    transcriber: Transcriber = socket.app.state.transcriber
    idle_s: float = socket.app.state.settings.stream_idle_s
    try:
        async with asyncio.timeout(idle_s):
            start = _START.validate_json(await socket.receive_text())
    except TimeoutError:
        await _fail(socket, "idle", "No start message came.", _IDLE)
        return
    except (ValidationError, KeyError) as error:
        reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else "it is no text frame"
        await _fail(socket, "invalid_start", f"The first message must be a start message: {reason}", _INVALID)
        return

    def hear(samples: NDArray[np.float32], times: bool) -> Transcript:
        return transcriber.transcribe_samples(samples, language=start.language, times=times)

    stream = LiveStream(hear)
    sender = asyncio.create_task(_send_events(socket, stream))
    try:
        await socket.send_json({"type": "ready", "model": transcriber.engine.model, "sample_rate": start.sample_rate})
        ended = await _receive(socket, stream, StreamingResampler(start.sample_rate), idle_s)
        if ended:
            await stream.finish()
            await sender
            with suppress(RuntimeError):
                await socket.close()
    finally:
        await stream.abandon()
        sender.cancel()


async def _receive(socket: WebSocket, stream: LiveStream, resampler: StreamingResampler, idle_s: float) -> bool:
    """Feed what comes into the stream; whether the client ended it as agreed."""
    half = b""
    while True:
        try:
            async with asyncio.timeout(idle_s):
                message = await socket.receive()
        except TimeoutError:
            await _fail(socket, "idle", f"Nothing came for {idle_s:g} seconds.", _IDLE)
            return False
        if message["type"] == "websocket.disconnect":
            return False
        if (frame := message.get("bytes")) is not None:
            if len(frame) > _MAX_FRAME_BYTES:
                await _fail(socket, "frame_too_big", f"A frame may have {_MAX_FRAME_BYTES} bytes.", _TOO_BIG)
                return False
            frame = half + frame
            half = frame[len(frame) // 2 * 2 :]
            samples = np.frombuffer(frame[: len(frame) // 2 * 2], "<i2").astype(np.float32) / np.float32(32768)
            await stream.feed(resampler.feed(samples))
            continue
        kind = _kind(message.get("text") or "")
        if kind == "flush":
            await stream.flush()
        elif kind == "stop":
            await stream.feed(resampler.finish())
            return True
        else:
            await _fail(socket, "unknown_message", "Messages are flush and stop, and frames of sound.", _INVALID)
            return False


def _kind(text: str) -> str | None:
    with suppress(ValueError, RecursionError):
        message = json.loads(text)
        if isinstance(message, dict) and isinstance(message.get("type"), str):
            return str(message["type"])
    return None


async def _send_events(socket: WebSocket, stream: LiveStream) -> None:
    async for event in stream.events():
        try:
            await socket.send_json(message_of(event))
        except (RuntimeError, WebSocketDisconnect):  # the client is gone; the receiver notices too
            return


def message_of(event: StreamEvent) -> dict[str, Any]:
    """An event as the protocol writes it; times in seconds from the start of the stream."""
    match event:
        case SpeechStarted(at_s):
            return {"type": "speech_started", "at": round(at_s, 3)}
        case EndLikely(at_s):
            return {"type": "end_of_turn_likely", "at": round(at_s, 3)}
        case SpeechResumed(at_s):
            return {"type": "turn_resumed", "at": round(at_s, 3)}
        case Partial():
            return {"type": "partial", **asdict(event)}
        case Final():
            heard = event.transcript
            return {
                "type": "final",
                "utterance_id": event.utterance_id,
                "start": round(event.start_s, 3),
                "end": round(event.end_s, 3),
                "text": heard.text,
                "plain_text": heard.plain_text,
                "words": [_moved(asdict(word), event.start_s) for word in heard.words],
                "tags": [_moved(asdict(tag), event.start_s) for tag in heard.tags],
            }
        case Failed():
            return _error("transcription_failed", str(event.error), retryable=True)
        case Done():
            return {"type": "done", "stats": asdict(event)}


def _moved(item: dict[str, Any], by_s: float) -> dict[str, Any]:
    for name in ("start_s", "end_s"):
        if item[name] is not None:
            item[name] = round(item[name] + by_s, 3)
    return item


def _error(code: str, message: str, *, retryable: bool = False) -> dict[str, Any]:
    return {"type": "error", "code": code, "message": message, "retryable": retryable}


async def _fail(socket: WebSocket, code: str, message: str, close_code: int, *, retryable: bool = False) -> None:
    with suppress(RuntimeError, WebSocketDisconnect):
        await socket.send_json(_error(code, message, retryable=retryable))
        await socket.close(close_code, message[:100])
