"""A live stream: sound in as it is spoken, events out. The state machine behind every streaming dialect of the server.

    feed ──> Endpointer ──> SpeechStarted, EndLikely, SpeechResumed
                 │  about once a second: the utterance so far ──> engine ──> LocalAgreement ──> Partial
                 └─ its end: the whole utterance ──> engine, as offline ──> Final

Partials are skipped while the engine is busy with this stream; finals never are, and while too many wait for the
engine, `feed` waits too, so that the network slows the sender down. Knows sound and transcripts; nothing of messages.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from evoxtral.errors import EvoxtralError
from evoxtral.inference.endpointing import EndLikely, Endpointer, SpeechResumed, SpeechStarted, Utterance
from evoxtral.inference.local_agreement import LocalAgreement
from evoxtral.inference.transcript import Transcript

# Sound between two hypotheses of an utterance; the first comes sooner, because nothing is to be seen until then.
_PARTIAL_EVERY_S = 1.0
_FIRST_PARTIAL_AFTER_S = 0.6
# So many finished utterances may wait for the engine before the stream is slowed down.
_MAX_WAITING_UTTERANCES = 4


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


StreamEvent = SpeechStarted | EndLikely | SpeechResumed | Partial | Final | Failed | Done
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
    """

    transcribe: Transcribe
    _endpointer: Endpointer = field(default_factory=Endpointer)
    _agreement: LocalAgreement = field(default_factory=LocalAgreement)
    _events: "asyncio.Queue[StreamEvent | None]" = field(default_factory=asyncio.Queue)
    _finals: "asyncio.Queue[tuple[int, Utterance] | None]" = field(
        default_factory=lambda: asyncio.Queue(_MAX_WAITING_UTTERANCES)
    )
    _stats: _Stats = field(default_factory=_Stats)
    _utterance_id: int = 0
    _next_partial_s: float = 0.0
    _partial: "asyncio.Task[None] | None" = None
    _worker: "asyncio.Task[None] | None" = None

    async def feed(self, samples: NDArray[np.float32]) -> None:
        """Take in the next samples, mono float32 at 16 kHz, shape (n,)."""
        await self._handle(self._endpointer.feed(samples))
        self._ask_for_partial()

    async def flush(self) -> None:
        """End the utterance that is being spoken."""
        await self._handle(self._endpointer.flush())

    async def finish(self) -> None:
        """End the stream: what was said is transcribed to its end, and `events` ends after `Done`."""
        await self.flush()
        if self._worker is not None:
            await self._finals.put(None)
            await self._worker
        stats = self._stats
        self._events.put_nowait(Done(self._endpointer.heard_s, stats.utterances, stats.partials, stats.skipped))
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

    async def _handle(self, events: "list[SpeechStarted | EndLikely | SpeechResumed | Utterance]") -> None:
        for event in events:
            if isinstance(event, Utterance):
                await self._end_utterance(event)
                continue
            if isinstance(event, SpeechStarted):
                self._begin_utterance(event.at_s)
            self._events.put_nowait(event)

    def _begin_utterance(self, at_s: float) -> None:
        self._utterance_id += 1
        self._agreement = LocalAgreement()
        self._next_partial_s = at_s + _FIRST_PARTIAL_AFTER_S

    async def _end_utterance(self, utterance: Utterance) -> None:
        if self._partial is not None:
            self._partial.cancel()  # its text would come after the final one
            self._partial = None
        if self._worker is None:
            self._worker = asyncio.create_task(self._transcribe_finals())
        await self._finals.put((self._utterance_id, utterance))
        if utterance.is_cut:
            self._begin_utterance(utterance.end_s)

    def _ask_for_partial(self) -> None:
        spoken = self._endpointer.utterance_so_far()
        now_s = self._endpointer.heard_s
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
            self._partial = None
        if utterance_id != self._utterance_id:
            return
        self._stats.partials += 1
        text = self._agreement.update(heard.text)
        lag_s = round(self._endpointer.heard_s - until_s, 3)
        self._events.put_nowait(Partial(utterance_id, self._stats.partials, text.committed, text.tentative, lag_s))

    async def _transcribe_finals(self) -> None:
        while (item := await self._finals.get()) is not None:
            utterance_id, utterance = item
            self._stats.utterances += 1
            try:
                heard = await asyncio.to_thread(self.transcribe, utterance.samples, True)
            except EvoxtralError as error:
                self._events.put_nowait(Failed(utterance_id, error))
                continue
            final = Final(utterance_id, utterance.start_s, utterance.end_s, utterance.is_cut, heard)
            self._events.put_nowait(final)
