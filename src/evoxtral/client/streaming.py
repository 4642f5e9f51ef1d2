"""A live stream to a server: sound out, events in. Knows WebSockets and the protocol's messages."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evoxtral.client.events import Ready, StreamEvent, StreamFault, read_event
from evoxtral.errors import ServerError

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

# Longer sound is sent in several messages: a server takes so much in one.
_MOST_BYTES = 64 * 1024


class LiveConnection:
    """One open stream, as `Client.stream` gives it. Iterating over it gives its events, of which `Done` is the last.

    Attributes:
        ready: what the server said first.
    """

    def __init__(self, socket: "ClientConnection", ready: Ready) -> None:
        self._socket = socket
        self.ready = ready

    async def send(self, sound: bytes | NDArray[np.float32]) -> None:
        """Send sound: bytes of 16-bit little-endian mono PCM, or samples from -1 to 1, shape (n,).

        Raises:
            ServerError: the stream is over.
        """
        data = sound if isinstance(sound, bytes) else to_pcm(sound)
        for start in range(0, len(data), _MOST_BYTES):
            await self._put(data[start : start + _MOST_BYTES])

    async def flush(self) -> None:
        """End the utterance that is being spoken. Raises ServerError if the stream is over."""
        await self._put(json.dumps({"type": "flush"}))

    async def stop(self) -> None:
        """Say that no more sound comes: what was said is transcribed to its end. Errors as of `flush`."""
        await self._put(json.dumps({"type": "stop"}))

    async def _put(self, message: str | bytes) -> None:
        from websockets.exceptions import ConnectionClosed

        try:
            await self._socket.send(message)
        except ConnectionClosed as closed:
            raise _over(closed) from None

    async def __aiter__(self) -> AsyncIterator[StreamEvent]:
        """The events of the stream.

        Raises:
            ServerError: the server ended it before its time, or is gone.
        """
        from websockets.exceptions import ConnectionClosed

        last: StreamFault | None = None
        try:
            while True:
                event = read_event(await self._socket.recv())
                if event is None:
                    continue
                if isinstance(event, StreamFault) and event.code != _FAILED_UTTERANCE:
                    last = event  # the server closes the stream now
                    continue
                yield event
                if event.type == "done":
                    return
        except ConnectionClosed as closed:
            if last is not None:
                raise refused(last) from None
            raise _over(closed) from None


_FAILED_UTTERANCE = "transcription_failed"
_TRY_AGAIN_LATER = 1013  # a close code (IANA's registry of WebSockets)


async def open_stream(url: str, headers: dict[str, str], start: dict[str, Any], timeout_s: float) -> LiveConnection:
    """Connect, say what the sound is like, and wait until the server is ready.

    Raises:
        ServerError: it cannot be reached or takes no such stream; `status` is None or 503 where another try may help.
    """
    from websockets.asyncio.client import connect
    from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

    try:
        socket = await connect(url, additional_headers=headers, open_timeout=timeout_s, max_size=None)
    except InvalidStatus as error:
        raise ServerError(
            f"{url}: the server refuses a stream (HTTP {error.response.status_code})",
            "is EVOXTRAL_API_KEY one of its keys, and is it addressed by one of its names?",
            status=error.response.status_code,
        ) from None
    except InvalidURI as error:
        raise ServerError(f"{url}: is no address of a server", "write http://HOST:PORT", status=400) from error
    except (OSError, TimeoutError, InvalidHandshake) as error:
        raise ServerError(f"{url}: cannot be reached: {error}", "start one with: evoxtral serve") from error
    try:
        await socket.send(json.dumps({"type": "start", **start}))
        async with asyncio.timeout(timeout_s):
            first = read_event(await socket.recv())
    except (ConnectionClosed, TimeoutError) as error:
        await socket.close()
        # A server that is full says so and hangs up, maybe before it was told anything.
        if isinstance(error, ConnectionClosed) and error.rcvd is not None and error.rcvd.code == _TRY_AGAIN_LATER:
            raise refused(StreamFault(code="busy", message=error.rcvd.reason, retryable=True)) from None
        raise ServerError(f"{url}: the server said nothing: {error}", "try again") from error
    if isinstance(first, Ready):
        return LiveConnection(socket, first)
    with suppress(ConnectionClosed):
        await socket.close()
    if isinstance(first, StreamFault):
        raise refused(first)
    raise ServerError(f"{url}: the server did not say that it is ready", "is it an Evoxtral server?", status=400)


async def close_stream(connection: LiveConnection) -> None:
    """Hang up."""
    await connection._socket.close()


def to_pcm(samples: NDArray[np.float32]) -> bytes:
    """Samples from -1 to 1 as 16-bit little-endian PCM; louder ones are clipped."""
    return (np.clip(samples, -1.0, 1.0) * 32767.0).round().astype("<i2").tobytes()


def refused(fault: StreamFault) -> ServerError:
    """What the server said when it ended a stream."""
    hint = "try again later" if fault.retryable else None
    return ServerError(f"the server ended the stream: {fault.message}", hint, status=503 if fault.retryable else 400)


def _over(closed: Exception) -> ServerError:
    return ServerError(f"the stream broke off: {closed}", "connect again")
