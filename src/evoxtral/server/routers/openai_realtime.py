"""`WS /v1/realtime`: OpenAI's Realtime API in transcription mode, and vLLM's dialect of the same address.

The first message tells them apart: vLLM's clients send {"type": "session.update", "model": ...}, OpenAI's put a
`session` into it. Both send 16-bit PCM as Base64 in `input_audio_buffer.append`: at 24 kHz and with the server or the
client ending turns (OpenAI), or at 16 kHz up to a commit with `final` (vLLM). Names of fields and events are those of
the SDK `openai` 3.57 and of vLLM 0.26. Knows messages; nothing of how speech becomes text.
"""

import secrets
from collections.abc import AsyncIterator, Iterator
from typing import Any, Literal

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, ValidationError

from evoxtral.errors import EvoxtralError
from evoxtral.inference.diarization import StreamDiarizer
from evoxtral.inference.endpointing import END_SILENCE_S, PADDING_S, Endpointer
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.transcript import Transcript
from evoxtral.server.live import (
    CommittedTurns,
    Ended,
    Failed,
    Final,
    Flushed,
    Partial,
    Started,
    StreamEvent,
)
from evoxtral.server.sockets import (
    BUSY,
    Microphone,
    StreamEndError,
    base64_bytes,
    converse,
    growth,
    json_object,
    open_ears,
    open_stream,
    receive,
)

router = APIRouter()

_OPENAI_RATE_HZ, _VLLM_RATE_HZ = 24_000, 16_000
_TRANSCRIPTION = "conversation.item.input_audio_transcription"


@router.websocket("/v1/realtime")
async def realtime(socket: WebSocket) -> None:
    """Live transcription for OpenAI's and vLLM's clients."""
    session_id = f"sess_{secrets.token_hex(8)}"
    async with open_stream(socket, _end_message):
        openai = _OpenAi(socket, session_id)
        # Both kinds of client wait for this before their first message.
        await socket.send_json({**openai.created(), "id": session_id})
        first = await receive(socket)
        message = json_object(first) or {}
        is_vllm = message.get("type") == "session.update" and "session" not in message and "model" in message
        dialect = _Vllm(socket) if is_vllm else openai
        stream = dialect.stream
        await converse(socket, stream, lambda: dialect.read(_with(first, socket)), dialect.tell)


async def _with(first: str | bytes, socket: WebSocket) -> AsyncIterator[str | bytes]:
    yield first
    while True:
        yield await receive(socket)


def _end_message(end: StreamEndError) -> dict[str, Any]:
    kind = "server_error" if end.close_code == BUSY else "invalid_request_error"
    return {"type": "error", "event_id": _event_id(), "error": _error(kind, end.code, end.message)}


def _error(kind: str, code: str, message: str, param: str | None = None, event_id: object = None) -> dict[str, Any]:
    return {"type": kind, "code": code, "message": message, "param": param, "event_id": event_id}


def _event_id() -> str:
    return f"event_{secrets.token_hex(8)}"


# --- OpenAI ----------------------------------------------------------------------------------------------------------


class _Taken(BaseModel):
    """A part of a session; what a client sends and this server cannot do is refused by name."""

    model_config = ConfigDict(extra="forbid")


class _Format(_Taken):
    type: Literal["audio/pcm"] = "audio/pcm"
    rate: Literal[24000] = 24000


class _Transcription(_Taken):
    """`model` may be any name, and "diarize" in it asks for speakers; `prompt` and `delay` change nothing."""

    model: str | None = None
    language: str | None = None
    languages: list[str] | None = None
    prompt: str | None = None
    keywords: list[str] | None = None
    delay: str | None = None


class _TurnDetection(_Taken):
    """Of its numbers none can be set here: a session tells those that hold."""

    type: Literal["server_vad", "semantic_vad"] = "server_vad"
    threshold: float | None = None
    prefix_padding_ms: int | None = None
    silence_duration_ms: int | None = None
    idle_timeout_ms: int | None = None
    create_response: bool | None = None
    interrupt_response: bool | None = None
    eagerness: str | None = None


class _Input(_Taken):
    format: _Format | None = None
    transcription: _Transcription | None = None
    turn_detection: _TurnDetection | None = None
    noise_reduction: dict[str, Any] | None = None


class _Audio(_Taken):
    input: _Input = _Input()


class _Session(_Taken):
    type: Literal["transcription"] = "transcription"
    audio: _Audio = _Audio()
    include: list[str] | None = None


class _OpenAi:
    """One session of OpenAI's protocol."""

    def __init__(self, socket: WebSocket, session_id: str) -> None:
        self._socket = socket
        self._id = session_id
        self._language = "en"
        self._keywords: tuple[str, ...] = ()
        self._model = socket.app.state.transcriber.engine.model
        self._has_sound = False
        self.stream = open_ears(socket, lambda: TranscribeOptions(language=self._language, keywords=self._keywords))
        self._shown = ""  # committed text of the item that is being spoken, as far as it was sent
        self._last_item: str | None = None

    @property
    def _is_manual(self) -> bool:
        return isinstance(self.stream.turns, CommittedTurns)

    def _session(self) -> dict[str, Any]:
        vad = {
            "type": "server_vad",
            "threshold": 0.5,
            "prefix_padding_ms": round(PADDING_S * 1000),
            "silence_duration_ms": round(END_SILENCE_S * 1000),
        }
        return {
            "id": self._id,
            "object": "realtime.transcription_session",
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": _OPENAI_RATE_HZ},
                    "transcription": {
                        "model": self._model,
                        "language": self._language,
                        "keywords": [*self._keywords],
                    },
                    "turn_detection": None if self._is_manual else vad,
                    "noise_reduction": None,
                }
            },
            "include": None,
        }

    def created(self) -> dict[str, Any]:
        """The first message of a session."""
        return {"type": "session.created", "event_id": _event_id(), "session": self._session()}

    async def read(self, messages: AsyncIterator[str | bytes]) -> None:
        """Take in messages until the client leaves."""
        microphone = Microphone(self.stream, _OPENAI_RATE_HZ)
        async for text in messages:
            message = json_object(text) or {}
            kind = message.get("type")
            if kind == "session.update":
                await self._update(message)
            elif kind == "input_audio_buffer.append":
                sound = base64_bytes(message.get("audio"))
                if sound is None:
                    await self._refuse(message, "invalid_audio", "audio is no Base64.", "audio")
                    continue
                self._has_sound = True
                await microphone.feed(sound)
            elif kind == "input_audio_buffer.commit":
                if self._is_manual:  # nothing comes after it that belongs to this turn
                    await microphone.end()
                await self.stream.flush()
            elif kind == "input_audio_buffer.clear":
                self.stream.clear()
                self._shown = ""
                await self._send("input_audio_buffer.cleared")
            else:
                await self._refuse(
                    message,
                    "unknown_event",
                    "This server transcribes: it takes session.update and input_audio_buffer.append, commit and clear.",
                    "type",
                )

    async def _update(self, message: dict[str, Any]) -> None:
        given = message.get("session")
        try:
            session = _Session.model_validate(given)
        except ValidationError as error:
            fault = error.errors()[0]
            param = ".".join(str(part) for part in ("session", *fault["loc"]))
            await self._refuse(message, "invalid_value", f"{param}: {fault['msg']}", param)
            return
        input_ = session.audio.input
        keywords = tuple((input_.transcription and input_.transcription.keywords) or ())
        try:
            TranscribeOptions(keywords=keywords)
        except EvoxtralError as error:
            param = "session.audio.input.transcription.keywords"
            await self._refuse(message, "invalid_value", f"{param}: {error.message}", param)
            return
        if "turn_detection" in input_.model_fields_set and (input_.turn_detection is None) != self._is_manual:
            if self._has_sound:
                param = "session.audio.input.turn_detection"
                await self._refuse(message, "locked", "Turn detection is settled by the first sound.", param)
                return
            self.stream.turns = CommittedTurns() if input_.turn_detection is None else Endpointer()
        if (asked := input_.transcription) is not None:
            self._model = asked.model or self._model
            self._language = asked.language or next(iter(asked.languages or ()), self._language)
            self._keywords = self._keywords if asked.keywords is None else keywords
            if "diarize" in self._model and self.stream.diarizer is None:
                self.stream.diarizer = StreamDiarizer()
        await self._send("session.updated", session=self._session())

    async def _send(self, kind: str, **fields: Any) -> None:
        await self._socket.send_json({"type": kind, "event_id": _event_id(), **fields})

    async def _refuse(self, message: dict[str, Any], code: str, text: str, param: str) -> None:
        await self._send("error", error=_error("invalid_request_error", code, text, param, message.get("event_id")))

    def tell(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """An event of the stream as OpenAI's events."""
        for kind, fields in self._told(event):
            yield {"type": kind, "event_id": _event_id(), **fields}

    def _told(self, event: StreamEvent) -> Iterator[tuple[str, dict[str, Any]]]:
        match event:
            case Started(utterance_id, at_s):
                yield from self._started(utterance_id, at_s - PADDING_S)
            case Ended(utterance_id, _, end_s, is_cut):
                item = self._item(utterance_id)
                if not self._is_manual:
                    yield "input_audio_buffer.speech_stopped", {"item_id": item, "audio_end_ms": round(end_s * 1000)}
                before = {"previous_item_id": self._last_item}
                yield "input_audio_buffer.committed", {"item_id": item, **before}
                yield "conversation.item.added", {"item": self._message(item), **before}
                self._last_item = item
                if is_cut:
                    yield from self._started(utterance_id + 1, end_s)
            case Partial(utterance_id, _, committed):
                yield from self._grown(utterance_id, committed)
            case Final(utterance_id, start_s, end_s, _, heard):
                yield from self._grown(utterance_id, heard.text)
                self._shown = ""
                if self.stream.diarizer is not None:
                    yield from self._segments(utterance_id, start_s, heard)
                yield (
                    f"{_TRANSCRIPTION}.completed",
                    {
                        **self._content(utterance_id),
                        "transcript": heard.text,
                        "usage": {"type": "duration", "seconds": round(end_s - start_s, 3)},
                    },
                )
                done = self._message(self._item(utterance_id), heard.text)
                yield "conversation.item.done", {"item": done}
            case Failed(utterance_id, error):
                self._shown = ""
                told = {"type": "server_error", "code": "transcription_failed", "message": str(error), "param": None}
                yield f"{_TRANSCRIPTION}.failed", {**self._content(utterance_id), "error": told}
            case Flushed(ended_one=False):
                yield (
                    "error",
                    {
                        "error": _error(
                            "invalid_request_error",
                            "input_audio_buffer_commit_empty",
                            "There is no speech to commit; send at least 100 ms.",
                        )
                    },
                )

    def _segments(self, utterance_id: int, start_s: float, heard: Transcript) -> Iterator[tuple[str, dict[str, Any]]]:
        """Who says what of an utterance; times count from the start of the session."""
        for number, segment in enumerate(heard.segments):
            yield (
                f"{_TRANSCRIPTION}.segment",
                {
                    **self._content(utterance_id),
                    "id": f"{self._item(utterance_id)}_{number}",
                    "text": segment.text,
                    "speaker": segment.speaker or "",
                    "start": round(start_s + segment.start_s, 3),
                    "end": round(start_s + segment.end_s, 3),
                },
            )

    def _started(self, utterance_id: int, at_s: float) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self._is_manual:
            start_ms = max(0, round(at_s * 1000))
            yield (
                "input_audio_buffer.speech_started",
                {"item_id": self._item(utterance_id), "audio_start_ms": start_ms},
            )

    def _grown(self, utterance_id: int, text: str) -> Iterator[tuple[str, dict[str, Any]]]:
        if delta := growth(self._shown, text):
            self._shown = text
            yield f"{_TRANSCRIPTION}.delta", {**self._content(utterance_id), "delta": delta}

    def _item(self, utterance_id: int) -> str:
        return f"item_{self._id.removeprefix('sess_')}_{utterance_id}"

    def _content(self, utterance_id: int) -> dict[str, Any]:
        return {"item_id": self._item(utterance_id), "content_index": 0}

    @staticmethod
    def _message(item: str, transcript: str | None = None) -> dict[str, Any]:
        return {
            "id": item,
            "object": "realtime.item",
            "type": "message",
            "role": "user",
            "status": "completed",
            "content": [{"type": "input_audio", "transcript": transcript}],
        }


# --- vLLM ------------------------------------------------------------------------------------------------------------


class _Vllm:
    """One session of vLLM's protocol: texts of utterances are pieces of the one text that `final` ends."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self.stream = open_ears(socket, TranscribeOptions)
        self._finished = ""  # text of the utterances that ended
        self._shown = ""  # text that deltas have told

    async def read(self, messages: AsyncIterator[str | bytes]) -> None:
        """Take in messages until the client leaves; a final commit ends a text, and another may follow."""
        microphone = Microphone(self.stream, _VLLM_RATE_HZ)
        async for text in messages:
            message = json_object(text) or {}
            kind = message.get("type")
            sound = base64_bytes(message.get("audio")) if kind == "input_audio_buffer.append" else None
            if sound is not None:
                await microphone.feed(sound)
            elif kind == "input_audio_buffer.commit":
                if message.get("final") is True:  # any other commit says that sound will come
                    await self.stream.flush()
            elif kind != "session.update":
                what = "audio is no Base64" if kind == "input_audio_buffer.append" else "unknown message type"
                await self._socket.send_json({"type": "error", "error": what, "code": "invalid_request"})

    def tell(self, event: StreamEvent) -> Iterator[dict[str, Any]]:
        """An event of the stream as vLLM's messages."""
        match event:
            case Partial(_, _, committed):
                yield from self._grown(self._joined(committed))
            case Final():
                self._finished = self._joined(event.transcript.text)
                yield from self._grown(self._finished)
                self._shown = self._finished
            case Failed():
                yield {"type": "error", "error": str(event.error), "code": "transcription_failed"}
            case Flushed():
                yield {"type": "transcription.done", "text": self._finished, "usage": None}
                self._finished = self._shown = ""

    def _joined(self, text: str) -> str:
        return f"{self._finished} {text}" if self._finished and text else self._finished or text

    def _grown(self, text: str) -> Iterator[dict[str, Any]]:
        if delta := growth(self._shown, text):
            self._shown = text
            yield {"type": "transcription.delta", "delta": delta}
