"""A live stream: sound in as it is spoken, events out. The state machine behind every streaming dialect of the server.

    feed ──> Turns ──> Started, EndLikely, SpeechResumed
               │  about once a second: the utterance so far ──> engine ──> LocalAgreement ──> Partial
               └─ its end: Ended; the whole utterance ──> engine, as offline ──> Final

Where utterances begin and end the voice activity detector says (`Endpointer`), or the client (`CommittedTurns`).

Partials are skipped while the engine is busy with this stream; finals never are, and while too many wait for the
engine, `feed` waits too, so that the network slows the sender down. Knows sound and transcripts; nothing of messages.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import EvoxtralError
from evoxtral.inference.endpointing import (
    MAX_UTTERANCE_S,
    EndLikely,
    Endpointer,
    Event,
    SpeechResumed,
    SpeechStarted,
    Utterance,
)
from evoxtral.inference.local_agreement import LocalAgreement
from evoxtral.inference.transcript import Transcript

# Sound between two hypotheses of an utterance; the first comes sooner, because nothing is to be seen until then.
_PARTIAL_EVERY_S = 1.0
_FIRST_PARTIAL_AFTER_S = 0.6
# So many finished utterances may wait for the engine before the stream is slowed down.
_MAX_WAITING_UTTERANCES = 4
# An utterance that its client ends holds at least and at most so much; a longer one is cut.
_MIN_COMMITTED_S = 0.1
_MAX_COMMITTED_S = 300.0


class Turns(Protocol):
    """Cuts a stream into utterances; `Endpointer` says what its members do."""

    @property
    def heard_s(self) -> float: ...
    def utterance_so_far(self) -> tuple[float, NDArray[np.float32]] | None: ...
    def feed(self, samples: NDArray[np.float32]) -> Sequence[Event]: ...
    def flush(self) -> Sequence[Event]: ...


class CommittedTurns:
    """Utterances that the client begins by sending sound and ends by saying so, whatever is in them."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float32]] = []
        self._start = 0  # of the utterance, in samples of the stream
        self._heard = 0

    @property
    def heard_s(self) -> float:
        """Seconds of sound that were taken in."""
        return self._heard / SAMPLE_RATE_HZ

    def utterance_so_far(self) -> tuple[float, NDArray[np.float32]] | None:
        """Start and samples; None where there is nothing, or too much to be heard again and again."""
        if not self._parts or self._heard - self._start > MAX_UTTERANCE_S * SAMPLE_RATE_HZ:
            return None
        return self._start / SAMPLE_RATE_HZ, np.concatenate(self._parts)

    def feed(self, samples: NDArray[np.float32]) -> list[Event]:
        """Take in the next samples, mono float32 at 16 kHz of shape (n,)."""
        if not len(samples):
            return []
        events: list[Event] = [] if self._parts else [SpeechStarted(self.heard_s)]
        self._parts.append(samples)
        self._heard += len(samples)
        if self._heard - self._start >= _MAX_COMMITTED_S * SAMPLE_RATE_HZ:
            events += self._end(is_cut=True)
        return events

    def flush(self) -> list[Event]:
        """End the utterance; one that is hardly there is forgotten."""
        if self._heard - self._start < _MIN_COMMITTED_S * SAMPLE_RATE_HZ:
            self._parts, self._start = [], self._heard
            return []
        return self._end(is_cut=False)

    def _end(self, *, is_cut: bool) -> list[Event]:
        utterance = Utterance(np.concatenate(self._parts), self._start / SAMPLE_RATE_HZ, self.heard_s, is_cut)
        self._parts, self._start = [], self._heard
        return [utterance]


@dataclass(frozen=True, slots=True)
class Started:
    """An utterance began: speech was heard at `at_s`, seconds from the start of the stream."""

    utterance_id: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """An utterance ended and waits for the engine; `Final` or `Failed` follows. Fields as of `Final`."""

    utterance_id: int
    start_s: float
    end_s: float
    is_cut: bool


@dataclass(frozen=True, slots=True)
class Flushed:
    """All that was said before a `flush` is transcribed; `ended_one` tells whether it ended an utterance."""

    ended_one: bool


@dataclass(frozen=True, slots=True)
class Partial:
    """An utterance so far.

    Attributes:
        seq: counts the partials of the stream.
        committed, tentative: tagged text; `committed` only ever grows within an utterance.
        lag_s: seconds of sound that came in and are in no hypothesis yet.
    """

    utterance_id: int
    seq: int
    committed: str
    tentative: str
    lag_s: float


@dataclass(frozen=True, slots=True)
class Final:
    """An utterance that ended, decoded whole. Times of `transcript` count from the start of the utterance.

    Attributes:
        start_s, end_s: of the utterance, from the start of the stream.
        is_cut: cut for its length; the same speech goes on in the next.
    """

    utterance_id: int
    start_s: float
    end_s: float
    is_cut: bool
    transcript: Transcript


@dataclass(frozen=True, slots=True)
class Failed:
    """An utterance that could not be transcribed; the stream goes on."""

    utterance_id: int
    error: EvoxtralError


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more comes. `skipped_partials` tells how often the engine was too busy for one."""

    audio_s: float
    utterances: int
    partials: int
    skipped_partials: int


StreamEvent = Started | EndLikely | SpeechResumed | Ended | Partial | Final | Failed | Flushed | Done
Transcribe = Callable[[NDArray[np.float32], bool], Transcript]
"""Transcribes mono 16 kHz samples, in the calling thread; True asks for the times of words and tags."""


@dataclass(slots=True)
class _Stats:
    utterances: int = 0
    partials: int = 0
    skipped: int = 0


@dataclass(slots=True, eq=False)
class LiveStream:
    """One stream. `feed` and `flush` take it on, `finish` ends it, `events` gives what comes of it.

    Args:
        transcribe: called in threads, at most one final and one partial at a time.
        turns: says where utterances begin and end; its own object for each stream.
    """

    transcribe: Transcribe
    turns: Turns = field(default_factory=Endpointer)
    _agreement: LocalAgreement = field(default_factory=LocalAgreement)
    _events: "asyncio.Queue[StreamEvent | None]" = field(default_factory=asyncio.Queue)
    _finals: "asyncio.Queue[tuple[int, Utterance] | Flushed | None]" = field(
        default_factory=lambda: asyncio.Queue(_MAX_WAITING_UTTERANCES)
    )
    _stats: _Stats = field(default_factory=_Stats)
    _utterance_id: int = 0
    _next_partial_s: float = 0.0
    _partial: "asyncio.Task[None] | None" = None
    _worker: "asyncio.Task[None] | None" = None

    async def feed(self, samples: NDArray[np.float32]) -> None:
        """Take in the next samples, mono float32 at 16 kHz, shape (n,)."""
        await self._handle(self.turns.feed(samples))
        self._ask_for_partial()

    async def flush(self) -> None:
        """End the utterance that is being spoken; `Flushed` tells when it is transcribed."""
        events = self.turns.flush()
        await self._handle(events)
        await self._queue(Flushed(any(isinstance(event, Utterance) for event in events)))

    def clear(self) -> None:
        """Forget the utterance that is being spoken."""
        self.turns.flush()
        self._drop_partial()

    async def finish(self) -> None:
        """End the stream: what was said is transcribed to its end, and `events` ends after `Done`."""
        await self._handle(self.turns.flush())
        if self._worker is not None:
            await self._finals.put(None)
            await self._worker
        stats = self._stats
        self._events.put_nowait(Done(self.turns.heard_s, stats.utterances, stats.partials, stats.skipped))
        self._events.put_nowait(None)

    async def abandon(self) -> None:
        """The client is gone: stop all work and end `events`."""
        for task in (self._partial, self._worker):
            if task is not None:
                task.cancel()
        self._events.put_nowait(None)

    async def events(self) -> AsyncIterator[StreamEvent]:
        """What comes of the stream, as it comes."""
        while (event := await self._events.get()) is not None:
            yield event

    async def _handle(self, events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Utterance):
                await self._end_utterance(event)
            elif isinstance(event, SpeechStarted):
                self._begin_utterance(event.at_s)
                self._events.put_nowait(Started(self._utterance_id, event.at_s))
            else:
                self._events.put_nowait(event)

    def _begin_utterance(self, at_s: float) -> None:
        self._utterance_id += 1
        self._agreement = LocalAgreement()
        self._next_partial_s = at_s + _FIRST_PARTIAL_AFTER_S

    async def _end_utterance(self, utterance: Utterance) -> None:
        self._drop_partial()  # its text would come after the final one
        self._events.put_nowait(Ended(self._utterance_id, utterance.start_s, utterance.end_s, utterance.is_cut))
        await self._queue((self._utterance_id, utterance))
        if utterance.is_cut:
            self._begin_utterance(utterance.end_s)

    async def _queue(self, item: tuple[int, Utterance] | Flushed) -> None:
        if self._worker is None:
            self._worker = asyncio.create_task(self._transcribe_finals())
        await self._finals.put(item)

    def _drop_partial(self) -> None:
        if self._partial is not None:
            self._partial.cancel()
            self._partial = None

    def _ask_for_partial(self) -> None:
        spoken = self.turns.utterance_so_far()
        now_s = self.turns.heard_s
        if spoken is None or now_s < self._next_partial_s:
            return
        self._next_partial_s = now_s + _PARTIAL_EVERY_S
        if self._partial is not None or not self._finals.empty():
            self._stats.skipped += 1
            return
        self._partial = asyncio.create_task(self._hear_partial(self._utterance_id, spoken[1], now_s))

    async def _hear_partial(self, utterance_id: int, samples: NDArray[np.float32], until_s: float) -> None:
        try:
            heard = await asyncio.to_thread(self.transcribe, samples, False)
        except EvoxtralError:
            return  # the final one will tell
        finally:
            if self._partial is asyncio.current_task():
                self._partial = None
        if utterance_id != self._utterance_id:
            return
        self._stats.partials += 1
        text = self._agreement.update(heard.text)
        lag_s = round(self.turns.heard_s - until_s, 3)
        self._events.put_nowait(Partial(utterance_id, self._stats.partials, text.committed, text.tentative, lag_s))

    async def _transcribe_finals(self) -> None:
        while (item := await self._finals.get()) is not None:
            if isinstance(item, Flushed):
                self._events.put_nowait(item)
                continue
            utterance_id, utterance = item
            self._stats.utterances += 1
            try:
                heard = await asyncio.to_thread(self.transcribe, utterance.samples, True)
            except EvoxtralError as error:
                self._events.put_nowait(Failed(utterance_id, error))
                continue
            final = Final(utterance_id, utterance.start_s, utterance.end_s, utterance.is_cut, heard)
            self._events.put_nowait(final)
