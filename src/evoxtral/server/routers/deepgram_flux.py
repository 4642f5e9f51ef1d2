"""Deepgram's `/v2/listen` (Flux): turns of a conversation, with ends that are told early and withdrawn.

Names of fields and messages are those of the SDK `deepgram-sdk` 7.17. The confidence that a turn is over is a function
of the silence alone, c = 1 - exp(-silence / 0.415 s): half a second of silence, which ends an utterance elsewhere in
this server, is Deepgram's default threshold of 0.7. Knows messages; nothing of how speech becomes text.
"""

import math
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, WebSocket
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.endpointing import Endpointer
from evoxtral.inference.transcript import Transcript
from evoxtral.server.live import Ended, Failed, Final, Likely, LiveStream, Partial, Resumed, Started, StreamEvent
from evoxtral.server.problems import Problem
from evoxtral.server.query import Query
from evoxtral.server.routers.deepgram import keyterms
from evoxtral.server.routers.transcribe import options_of
from evoxtral.server.sockets import (
    INVALID,
    MAX_SAMPLE_RATE_HZ,
    MIN_SAMPLE_RATE_HZ,
    Microphone,
    StreamEndError,
    converse,
    json_object,
    open_ears,
    open_stream,
    receive,
)

router = APIRouter()

_SILENCE_SCALE_S = 0.415
_UNUSED = ("model", "profanity_filter", "numerals", "mip_opt_out", "tag")
_REFUSED = ("redact",)


class _Thresholds(BaseModel):
    """When a turn ends; the same names in the address and in `Configure`.

    Attributes:
        eot_threshold: confidence that ends a turn.
        eager_eot_threshold: confidence at which its end is told early; None for never.
        eot_timeout_ms: silence that ends a turn whatever the confidence.
    """

    model_config = ConfigDict(extra="forbid")

    eot_threshold: Annotated[float, Field(ge=0.5, le=0.9)] = 0.7
    eager_eot_threshold: Annotated[float, Field(ge=0.3, le=0.9)] | None = None
    eot_timeout_ms: Annotated[int, Field(ge=500, le=60_000)] = 5_000

    @property
    def end_silence_s(self) -> float:
        return min(_silence_s(self.eot_threshold), self.eot_timeout_ms / 1000)

    @property
    def early_end_silence_s(self) -> float | None:
        return None if self.eager_eot_threshold is None else _silence_s(self.eager_eot_threshold)

    @property
    def trigger(self) -> str:
        """What ends turns that the client does not end."""
        return "model" if _silence_s(self.eot_threshold) <= self.eot_timeout_ms / 1000 else "timeout"


class _Configure(BaseModel):
    """A `Configure` message; of key terms, numerals and hints only what changes nothing is taken."""

    model_config = ConfigDict(extra="forbid")

    type: str
    thresholds: dict[str, Any] = Field(default_factory=dict)
    keyterms: str | list[str] | None = None
    language_hints: list[str] | None = None
    numerals: Any = None


def _silence_s(confidence: float) -> float:
    return -_SILENCE_SCALE_S * math.log1p(-confidence)


def _confidence(silence_s: float) -> float:
    return round(-math.expm1(-max(0.0, silence_s) / _SILENCE_SCALE_S), 4)


@router.websocket("/v2/listen")
async def listen(socket: WebSocket) -> None:
    """Turns of a conversation for Deepgram's clients."""
    session = _Session()
    async with open_stream(socket, session.end_message):
        try:
            query = Query(socket.query_params, unused=_UNUSED, refused=_REFUSED)
            language = query.text("language_hint", "en").partition("-")[0].lower()
            options = options_of(language=language, keywords=keyterms(query))
            query.choice("encoding", ("linear16",), "linear16")
            rate_hz = query.whole("sample_rate", SAMPLE_RATE_HZ, MIN_SAMPLE_RATE_HZ, MAX_SAMPLE_RATE_HZ)
            given = {name: text for name in _Thresholds.model_fields if (text := query.text(name, ""))}
            query.nothing_else()
            session.thresholds = _Thresholds.model_validate(given)
        except Problem as problem:
            raise StreamEndError("INVALID_QUERY", f"{problem.detail}: {problem.hint}", INVALID) from None
        except ValidationError as error:
            raise StreamEndError("INVALID_QUERY", _fault(error), INVALID) from None
        turns = Endpointer()
        session.apply(turns)
        stream = open_ears(socket, lambda: options, turns)
        microphone = Microphone(stream, rate_hz)
        await socket.send_json(session.message("Connected"))

        async def read() -> None:
            while True:
                message = await receive(socket)
                if isinstance(message, bytes):
                    await microphone.feed(message)
                    continue
                wanted = json_object(message) or {}
                kind = wanted.get("type")
                if kind == "CloseStream":
                    break
                if kind == "ForceEndTurn":
                    await stream.flush()
                elif kind == "Configure":
                    await socket.send_json(session.configure(wanted, turns))
                elif kind != "KeepAlive":
                    raise StreamEndError(
                        "INVALID_MESSAGE", "Messages are Configure, ForceEndTurn and CloseStream, and sound.", INVALID
                    )
            await microphone.end()

        await converse(socket, stream, read, lambda event: session.tell(event, stream))


def _fault(error: ValidationError) -> str:
    fault = error.errors()[0]
    return f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"


@dataclass(slots=True)
class _Session:
    """One stream's messages, which are numbered, and its turns."""

    thresholds: _Thresholds = field(default_factory=_Thresholds)
    _request_id: str = field(default_factory=lambda: secrets.token_hex(16))
    _next: int = 0
    _start_s: float = 0.0  # of the turn
    _text: str = ""  # of the turn so far
    # A turn's end is told before anything of the next one.
    _ending: Ended | None = None
    _held: list[tuple[StreamEvent, float]] = field(default_factory=list)

    def message(self, kind: str, **fields: Any) -> dict[str, Any]:
        """A message with its number."""
        number, self._next = self._next, self._next + 1
        return {"type": kind, "request_id": self._request_id, "sequence_id": number, **fields}

    def end_message(self, end: StreamEndError) -> dict[str, Any]:
        """The last message of a stream that ends before its time."""
        return self.message("Error", code=end.code.upper(), description=end.message)

    def apply(self, turns: Endpointer) -> None:
        """Let turns end as the thresholds say."""
        turns.end_silence_s = self.thresholds.end_silence_s
        turns.early_end_silence_s = self.thresholds.early_end_silence_s

    def configure(self, message: dict[str, Any], turns: Endpointer) -> dict[str, Any]:
        """Change what a `Configure` message asks for; the answer to it."""
        try:
            wanted = _Configure.model_validate(message)
            self.thresholds = _Thresholds.model_validate({**self.thresholds.model_dump(), **wanted.thresholds})
        except ValidationError as error:
            return self.message("ConfigureFailure", code="INVALID_CONFIGURATION", description=_fault(error))
        self.apply(turns)
        return self.message("ConfigureSuccess", thresholds=self.thresholds.model_dump(), keyterms=wanted.keyterms or [])

    def tell(self, event: StreamEvent, stream: LiveStream) -> Iterator[dict[str, Any]]:
        """The messages for an event, and for those that waited for it."""
        self._held.append((event, stream.turns.heard_s))
        while self._held:
            place = 0
            if self._ending is not None:
                ends = [isinstance(held, Final | Failed) for held, _ in self._held]
                if not any(ends):
                    return
                place = ends.index(True)
            yield from self._told(*self._held.pop(place))

    def _told(self, event: StreamEvent, now_s: float) -> Iterator[dict[str, Any]]:
        match event:
            case Started(utterance_id, at_s):
                self._start_s, self._text = at_s, ""
                yield self._turn("StartOfTurn", utterance_id, now_s)
            case Partial(utterance_id, _, committed, tentative):
                self._text = f"{committed} {tentative}".strip()
                yield self._turn("Update", utterance_id, now_s)
            case Likely(utterance_id, at_s, text):
                self._text = text
                yield self._turn("EagerEndOfTurn", utterance_id, now_s, silence_s=now_s - at_s)
            case Resumed(utterance_id, _):
                yield self._turn("TurnResumed", utterance_id, now_s)
            case Ended():
                self._ending = event
            case Final(utterance_id, start_s, end_s, is_cut, heard):
                by_client = self._ending is not None and self._ending.by_client
                self._ending = None
                trigger = "manual" if by_client else "timeout" if is_cut else self.thresholds.trigger
                self._start_s, self._text = start_s, heard.text
                silence_s = self.thresholds.end_silence_s if trigger == "model" else math.inf
                ended = self._turn("EndOfTurn", utterance_id, end_s, heard, silence_s=silence_s)
                yield {**ended, "trigger": trigger}
            case Failed():
                self._ending = None
                yield self.message("Warning", code="TRANSCRIPTION_FAILED", description=str(event.error))

    def _turn(
        self,
        event: str,
        utterance_id: int,
        until_s: float,
        heard: Transcript | None = None,
        silence_s: float = 0.0,
    ) -> dict[str, Any]:
        return self.message(
            "TurnInfo",
            event=event,
            turn_index=utterance_id - 1,
            audio_window_start=round(self._start_s, 3),
            audio_window_end=round(max(until_s, self._start_s), 3),
            transcript=self._text,
            words=[] if heard is None else self._words(heard),
            end_of_turn_confidence=_confidence(silence_s),
        )

    def _words(self, heard: Transcript) -> list[dict[str, Any]]:
        return [
            {
                "word": word.word,
                "confidence": 0.0 if word.confidence is None else word.confidence,
                **({} if word.start_s is None else {"start": round(self._start_s + word.start_s, 3)}),
                **({} if word.end_s is None else {"end": round(self._start_s + word.end_s, 3)}),
            }
            for word in heard.words
        ]
