"""Recordings to transcripts and texts to speech, by requests to a server; live streams are opened here too.

A request that failed in passing (no connection, busy, stumbled) is sent again as the retry policy says; a job only
where it certainly was not accepted. Knows addresses, forms and problem documents; streams' messages are `streaming`.
"""

import asyncio
import io
import json
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, TypeVar

import httpx
import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr, TypeAdapter, ValidationError

from evoxtral.client.events import StreamEvent
from evoxtral.client.streaming import LiveConnection, close_stream, open_stream
from evoxtral.errors import AudioError, ServerError
from evoxtral.inference.transcript import Transcript
from evoxtral.retries import RetryPolicy, is_transient
from evoxtral.settings import read_settings

DEFAULT_ADDRESS = "http://127.0.0.1:8000"
_CONNECT_S = 10.0
_T = TypeVar("_T")
_RETRIES = RetryPolicy(attempts=4, max_wait_s=30.0)
# Of these answers it is certain that nothing was done.
_NOT_DONE = (429, 503)
_TRANSCRIPT = TypeAdapter(Transcript)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording is; `total_s` is None where nobody knows."""

    done_s: float
    total_s: float | None


@dataclass(frozen=True, slots=True)
class NewText:
    """Tagged text of the next part of a recording."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpokenFile:
    """An audio file that the server spoke, and who really spoke it."""

    content: bytes
    media_type: str
    engine: str
    voice: str
    duration_s: float


@dataclass(frozen=True, slots=True)
class Job:
    """A recording that the server accepted: it is transcribed when there is room, whatever happens to the server.

    Attributes:
        state: queued, running, done, failed or cancelled.
        transcript_id: of the transcript that the server keeps, once it is done.
        problem: what went wrong, a problem document (RFC 9457).
    """

    id: str
    name: str
    state: str
    done_s: float | None = None
    total_s: float | None = None
    transcript_id: str | None = None
    problem: dict[str, Any] | None = None
    created_at: str | None = None


_JOB = TypeAdapter(Job)


class Client:
    """One server. Use it as `async with Client(...) as client`, or call `close` at the end.

    Args:
        address: of the server, such as http://127.0.0.1:8000.
        api_key: None for the one in EVOXTRAL_API_KEY, if any.
        retries: when and how often a request that failed in passing is sent again.
    """

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        api_key: str | SecretStr | None = None,
        retries: RetryPolicy = _RETRIES,
    ) -> None:
        key = SecretStr(api_key) if isinstance(api_key, str) else api_key or read_settings().api_key
        self.address = address.rstrip("/")
        self._headers = {} if key is None else {"Authorization": f"Bearer {key.get_secret_value()}"}
        self._retries = retries
        # Only the server knows how long a recording takes.
        timeout = httpx.Timeout(None, connect=_CONNECT_S)
        try:
            self._http = httpx.AsyncClient(base_url=self.address, headers=self._headers, timeout=timeout)
        except httpx.InvalidURL as error:
            raise ServerError(f"{address}: is no address of a server: {error}", "write http://HOST:PORT") from error

    async def close(self) -> None:
        """Hang up."""
        await self._http.aclose()

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    async def transcribe(
        self, recording: str | Path | bytes | BinaryIO, *, name: str | None = None, **options: Any
    ) -> Transcript:
        """Transcribe a recording: a path, the bytes of a file or an open one.

        Args:
            name: how the transcript calls it; by default its path.
            options: fields of the form of `POST /transcribe`, such as language="fr", diarize=True, max_speakers=3.

        Raises:
            AudioError: the file cannot be opened. ServerError: the server refuses it (its `hint` says what to do), or
                cannot be reached.
        """
        content, name = _content(recording, name)
        answer = await self._answer("POST", "/transcribe", lambda: _upload(content, name, options))
        return _read(_TRANSCRIPT, answer.json())

    async def transcribe_events(
        self, recording: str | Path | bytes | BinaryIO, *, name: str | None = None, **options: Any
    ) -> AsyncIterator[Progress | NewText | Transcript]:
        """The same with what happens on the way; the transcript comes last. Tried again only before the first event."""
        content, name = _content(recording, name)
        asked = {**options, "stream": True}

        async def send() -> httpx.Response:
            request = self._http.build_request("POST", "/transcribe", **_upload(content, name, asked))
            return await self._http.send(request, stream=True)

        answer = await self._tried(send)
        try:
            async for _, kind, data in _server_sent_events(answer.aiter_lines()):
                match kind:
                    case "progress":
                        yield Progress(data["done_s"], data["total_s"])
                    case "text":
                        yield NewText(data["text"], data["start_s"], data["end_s"])
                    case "transcript":
                        yield _read(_TRANSCRIPT, data)
                    case "error":
                        raise ServerError(data["detail"], data["hint"], status=data["status"])
        except httpx.TransportError as error:
            raise self._broken(error) from error
        finally:
            await answer.aclose()

    async def submit(self, recording: str | Path | bytes | BinaryIO, *, name: str | None = None, **options: Any) -> Job:
        """Leave a recording with a server that keeps transcripts, for later; arguments as of `transcribe`."""
        content, name = _content(recording, name)
        answer = await self._tried(
            lambda: self._http.post("/jobs", **_upload(content, name, options)), is_repeatable=False
        )
        return _read(_JOB, answer.json())

    async def job(self, job_id: str) -> Job:
        """How far a job is, or what became of it. Raises ServerError if there is none of that id."""
        return _read(_JOB, (await self._answer("GET", f"/jobs/{job_id}", dict)).json())

    async def jobs(self, limit: int = 50) -> list[Job]:
        """The newest jobs first."""
        answer = await self._answer("GET", "/jobs", lambda: {"params": {"limit": limit}})
        return [_read(_JOB, job) for job in answer.json()]

    async def cancel(self, job_id: str) -> Job:
        """Cancel a job; one that ended stays as it is."""
        return _read(_JOB, (await self._answer("DELETE", f"/jobs/{job_id}", dict)).json())

    async def follow(self, job_id: str) -> AsyncIterator[Progress | NewText | Transcript]:
        """What happens to a job until it is done; the transcript comes last. Events come anew if the connection broke.

        Raises:
            ServerError: the job failed or was cancelled.
        """
        path = f"/jobs/{job_id}/events"
        last_id, failures = "", 0
        while True:
            headers = {"Last-Event-ID": last_id} if last_id else {}

            async def send(headers: dict[str, str] = headers) -> httpx.Response:
                return await self._http.send(self._http.build_request("GET", path, headers=headers), stream=True)

            answer = await self._tried(send)
            try:
                async for event_id, kind, data in _server_sent_events(answer.aiter_lines()):
                    last_id, failures = event_id or last_id, 0
                    match kind:
                        case "progress" if data["done_s"] is not None:
                            yield Progress(data["done_s"], data["total_s"])
                        case "text":
                            yield NewText(data["text"], data["start_s"], data["end_s"])
                        case "done":
                            kept = await self._answer("GET", f"/transcripts/{data['transcript_id']}", dict)
                            yield _read(_TRANSCRIPT, kept.json()["transcript"])
                            return
                        case "error":
                            problem = data["problem"]
                            raise ServerError(problem["detail"], problem.get("hint"), status=problem.get("status"))
            except httpx.TransportError as error:
                failures += 1
                if failures >= self._retries.attempts:
                    raise self._broken(error) from error
            finally:
                await answer.aclose()

    async def speak(
        self,
        text: str,
        *,
        engine: str = "local",
        voice: str | None = None,
        seed: int = 0,
        audio_format: str = "wav",
    ) -> SpokenFile:
        """Speak tagged text.

        Args:
            voice: one of the engine's; None for its first.
            audio_format: wav, flac, mp3 or opus.

        Raises:
            ServerError: the server refuses it, or cannot be reached.
        """
        wanted = {"text": text, "engine": engine, "voice": voice, "seed": seed, "format": audio_format}
        answer = await self._answer("POST", "/speak", lambda: {"json": wanted})
        headers = answer.headers
        return SpokenFile(
            content=answer.content,
            media_type=headers.get("content-type", ""),
            engine=headers.get("x-evoxtral-engine", ""),
            voice=headers.get("x-evoxtral-voice", ""),
            duration_s=float(headers.get("x-evoxtral-duration", "nan")),
        )

    @asynccontextmanager
    async def stream(self, *, sample_rate_hz: int = 16_000, **options: Any) -> AsyncIterator[LiveConnection]:
        """Open a live stream; it is closed at the end of the block.

        Args:
            sample_rate_hz: of the sound that will be sent, 8,000 to 48,000.
            options: further fields of the start message, such as language="fr", diarize=True.

        Raises:
            ServerError: the server takes no such stream, or cannot be reached.
        """
        url = f"{self.address.replace('http', 'ws', 1)}/transcribe/stream"
        start = {"sample_rate": sample_rate_hz, **options}
        failures = 0
        while True:
            try:
                connection = await open_stream(url, self._headers, start, _CONNECT_S)
                break
            except ServerError as error:
                failures += 1
                if not is_transient(error.status) or failures >= self._retries.attempts:
                    raise
                await asyncio.sleep(self._retries.wait_s(failures))
        try:
            yield connection
        finally:
            await close_stream(connection)

    async def transcribe_live(
        self, sound: AsyncIterable[bytes | NDArray[np.float32]], *, sample_rate_hz: int = 16_000, **options: Any
    ) -> AsyncIterator[StreamEvent]:
        """Send sound as it comes and give the events as they come, until what was said is transcribed to its end.

        Args:
            sound: as for `LiveConnection.send`; when it ends, so does the stream.
            sample_rate_hz, options: as for `stream`.

        Raises:
            ServerError: as of `stream`; whatever `sound` raises.
        """
        async with self.stream(sample_rate_hz=sample_rate_hz, **options) as connection:
            yield connection.ready
            failures: list[Exception] = []  # of the source; they are why the stream broke off then
            sender = asyncio.create_task(_send_all(connection, sound, failures))
            try:
                async for event in connection:
                    yield event
            except ServerError:
                if failures:
                    raise failures[0] from None
                raise
            finally:
                sender.cancel()
                await asyncio.gather(sender, return_exceptions=True)

    def _broken(self, error: Exception) -> ServerError:
        return ServerError(f"{self.address}: the answer broke off: {_cause(error)}", "send it again")

    async def _answer(self, method: str, path: str, body: Callable[[], dict[str, Any]]) -> httpx.Response:
        return await self._tried(lambda: self._http.request(method, path, **body()))

    async def _tried(
        self, send: Callable[[], Awaitable[httpx.Response]], *, is_repeatable: bool = True
    ) -> httpx.Response:
        """A successful answer, after as many tries as the policy allows.

        Args:
            is_repeatable: the same request may be sent again though the server may have done it already.

        Raises:
            ServerError: there is none.
        """
        failures = 0
        while True:
            failures += 1
            retry_after = None
            try:
                answer = await send()
            except (httpx.TransportError, httpx.InvalidURL) as error:
                was_refused = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)
                cause = f"{self.address}: cannot be reached: {_cause(error)}"
                failed = ServerError(cause, "start a server with: evoxtral serve")
            else:
                if answer.is_success:
                    return answer
                failed = await _problem_of(answer)
                was_refused = failed.status in _NOT_DONE
                retry_after = answer.headers.get("retry-after")
            may_repeat = is_transient(failed.status) and (is_repeatable or was_refused)
            if not may_repeat or failures >= self._retries.attempts:
                raise failed
            await asyncio.sleep(self._retries.wait_s(failures, retry_after))


async def _send_all(
    connection: LiveConnection, sound: AsyncIterable[bytes | NDArray[np.float32]], failures: list[Exception]
) -> None:
    pieces = aiter(sound)
    while True:
        try:
            piece = await anext(pieces)
        except StopAsyncIteration:
            break
        except Exception as error:
            failures.append(error)
            await close_stream(connection)  # whoever reads events waits no longer
            return
        with suppress(ServerError):  # the events tell why
            await connection.send(piece)
    with suppress(ServerError):
        await connection.stop()


def _content(recording: str | Path | bytes | BinaryIO, name: str | None) -> tuple[Path | bytes, str]:
    """What can be sent again, and its name."""
    if isinstance(recording, bytes):
        return recording, name or "recording"
    if isinstance(recording, str | Path):
        path = Path(recording)
        if not path.is_file():
            raise AudioError(f"{path}: is not there" if not path.exists() else f"{path}: is no file")
        return path, name or str(path)
    return recording.read(), name or str(getattr(recording, "name", "recording"))


def _upload(content: Path | bytes, name: str, options: dict[str, Any]) -> dict[str, Any]:
    try:
        file = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
    except OSError as error:
        raise AudioError(f"{name}: cannot be read: {error.strerror}") from error
    fields = {key: _field(value) for key, value in options.items() if value is not None}
    return {"data": fields, "files": {"file": (name, file)}}


def _field(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)


def _read(kind: TypeAdapter[_T], data: Any) -> _T:
    try:
        return kind.validate_python(data)
    except ValidationError as error:
        raise ServerError(
            f"the server's answer is not what was asked for: {error.errors()[0]['msg']}", "is it an Evoxtral server?"
        ) from error


async def _problem_of(answer: httpx.Response) -> ServerError:
    """What a problem document says (RFC 9457); the status where there is none."""
    status = answer.status_code
    await answer.aread()
    try:
        document = answer.json()
        return ServerError(str(document["detail"]), document.get("hint"), status=status)
    except (ValueError, KeyError, TypeError, AttributeError):
        return ServerError(f"{answer.url}: HTTP {status} {answer.reason_phrase}", status=status)


async def _server_sent_events(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str, Any]]:
    """Ids, names and JSON data of events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    event_id, kind, data = "", "message", list[str]()
    async for line in lines:
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if not line and data:
            yield event_id, kind, json.loads("\n".join(data))
            kind, data = "message", []
        elif name == "event":
            kind = value
        elif name == "id":
            event_id = value
        elif name == "data":
            data.append(value)


def _cause(error: Exception) -> str:
    return str(error) or type(error).__name__
