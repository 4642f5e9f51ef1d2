"""What all live dialects share: a place among the streams, patience with the silent, bytes that become sound.

Knows WebSockets and live streams; nothing of what any dialect calls its messages.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from fastapi import WebSocket, WebSocketDisconnect
from numpy.typing import NDArray

from evoxtral.audio.streaming_resampler import StreamingResampler
from evoxtral.inference.diarization import Diarizer, StreamDiarizer
from evoxtral.inference.endpointing import Endpointer
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.transcript import Transcript
from evoxtral.server.live import LiveStream, StreamEvent, Turns, Writing
from evoxtral.server.metrics import STREAMS
from evoxtral.server.transcribing import Transcriber

MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ = 8_000, 48_000
# Of the silence that ends an utterance, where a client may choose it.
MIN_END_SILENCE_S, MAX_END_SILENCE_S = 0.1, 5.0
# Sound is taken in by pieces of this length, so that a client that sends minutes at once does not hold up the others.
_PIECE_S = 1.0

# Close codes (RFC 6455, section 7.4.1, and its registry).
NORMAL, IDLE, INVALID, TOO_BIG, BUSY = 1000, 1001, 1008, 1009, 1013


class StreamEndError(Exception):
    """The server ends a stream before its time.

    Args:
        code: a short name of the reason; the dialects have their own for some.
        message: the reason in words.
        close_code: of the socket.
    """

    def __init__(self, code: str, message: str, close_code: int) -> None:
        super().__init__(message)
        self.code, self.message, self.close_code = code, message, close_code


@asynccontextmanager
async def open_stream(socket: WebSocket, tell: Callable[[StreamEndError], dict[str, Any]]) -> AsyncIterator[None]:
    """Accept a client and hold one of the places for streams; what ends the stream early is told and closes it.

    Args:
        tell: makes the dialect's message of it.
    """
    state = socket.app.state
    await socket.accept()
    took_place = False
    try:
        if state.open_streams >= state.settings.max_streams:
            raise StreamEndError("busy", "All streams of this server are taken.", BUSY)
        took_place = True
        state.open_streams += 1
        STREAMS.set(state.open_streams)
        yield
    except StreamEndError as end:
        with suppress(RuntimeError, WebSocketDisconnect):
            await socket.send_json(tell(end))
            await socket.close(end.close_code, end.message[:100])
    except WebSocketDisconnect:
        pass
    finally:
        if took_place:
            state.open_streams -= 1
            STREAMS.set(state.open_streams)


async def receive(socket: WebSocket) -> str | bytes:
    """The next message.

    Raises:
        StreamEndError: nothing came for too long.
        WebSocketDisconnect: the client left.
    """
    idle_s: float = socket.app.state.settings.stream_idle_s
    try:
        async with asyncio.timeout(idle_s):
            message = await socket.receive()
    except TimeoutError:
        raise StreamEndError("idle", f"Nothing came for {idle_s:g} seconds.", IDLE) from None
    if message["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(message.get("code", NORMAL))
    text = message.get("text")
    return text if text is not None else message.get("bytes") or b""


def json_object(message: str | bytes) -> dict[str, Any] | None:
    """A message that is a JSON object; None for any other."""
    with suppress(ValueError, RecursionError):
        read = json.loads(message)
        return read if isinstance(read, dict) else None
    return None


def base64_bytes(text: object) -> bytes | None:
    """What a Base64 text says; None where it is none."""
    if isinstance(text, str):
        with suppress(binascii.Error, ValueError):
            return base64.b64decode(text, validate=True)
    return None


class Microphone:
    """Bytes of 16-bit little-endian mono PCM, torn anywhere, become samples of a live stream.

    Args:
        sample_rate_hz: of what comes.
    """

    def __init__(self, stream: LiveStream, sample_rate_hz: int) -> None:
        self._stream = stream
        self._resampler = StreamingResampler(sample_rate_hz)
        self._piece_bytes = 2 * round(_PIECE_S * sample_rate_hz)
        self._half = b""

    async def feed(self, data: bytes) -> None:
        """Take in the next bytes."""
        data = self._half + data
        whole = len(data) // 2 * 2
        self._half = data[whole:]
        for start in range(0, whole, self._piece_bytes):
            piece = data[start : min(start + self._piece_bytes, whole)]
            samples = np.frombuffer(piece, "<i2").astype(np.float32) / np.float32(32768)
            await self._stream.feed(self._resampler.feed(samples))
            await asyncio.sleep(0)

    async def end(self) -> None:
        """Take in what the change of the sample rate still holds; no sound comes after it."""
        await self._stream.feed(self._resampler.finish())


def open_ears(
    socket: WebSocket, options: Callable[[], TranscribeOptions], turns: Turns | None = None, *, diarize: bool = False
) -> LiveStream:
    """A live stream that the server's engine transcribes.

    Args:
        options: asked for each time, because some dialects change them on the way.
        turns: where utterances begin and end; None for the voice activity detector, as it is by default.
        diarize: tell speakers apart.
    """
    hearing = _Ears(socket.app.state.transcriber, options)
    return LiveStream(hearing, turns or Endpointer(), StreamDiarizer() if diarize else None)


@dataclass(frozen=True, slots=True)
class _Ears:
    transcriber: Transcriber
    options: Callable[[], TranscribeOptions]

    @property
    def writes_live(self) -> bool:
        return self.transcriber.writes_live

    def begin(self) -> Writing:
        return self.transcriber.begin_utterance(self.options())

    def draft(self, samples: NDArray[np.float32], committed: str) -> str:
        return self.transcriber.draft(samples, committed, self.options())

    def whole(self, samples: NDArray[np.float32], diarizer: Diarizer | None) -> Transcript:
        return self.transcriber.hear_utterance(samples, self.options(), diarizer)


async def converse(
    socket: WebSocket,
    stream: LiveStream,
    read: Callable[[], Awaitable[None]],
    tell: Callable[[StreamEvent], Iterable[dict[str, Any]]],
) -> None:
    """Let the client speak and be told what comes of it, until `read` returns: then the stream is drained and closed.

    Args:
        read: takes in the client's messages; returns when it ended the stream as agreed.
        tell: makes the dialect's messages of an event.
    """
    sender = asyncio.create_task(_send(socket, stream, tell))
    try:
        await read()
        await stream.finish()
        await sender
        with suppress(RuntimeError):
            await socket.close()
    finally:
        await stream.abandon()
        sender.cancel()


async def _send(socket: WebSocket, stream: LiveStream, tell: Callable[[StreamEvent], Iterable[dict[str, Any]]]) -> None:
    async for event in stream.events():
        for message in tell(event):
            try:
                await socket.send_json(message)
            except (RuntimeError, WebSocketDisconnect):  # the client is gone; who reads notices too
                return


def growth(before: str, after: str) -> str:
    """What was added to a text that grew; nothing where it changed instead."""
    return after[len(before) :] if after.startswith(before) else ""
