"""A live stream: sound in as it is spoken, events out. The state machine behind every streaming dialect of the server.

    feed ──> Turns ──> Started, Resumed
               │  about once a second: the utterance so far ──> draft ──> LocalAgreement ──> Partial
               │  a short silence: the same at once ──> Likely, withdrawn by Resumed if speech goes on
               └─ its end: Ended; the whole utterance, as offline ──> Final; Revised if earlier speakers change

Where utterances begin and end the voice activity detector says (`Endpointer`), or the client (`CommittedTurns`).

Where the model writes while it hears (`LiveHearing`), an utterance is written as its sound comes in: all of a partial
is committed, and its final is what was written, with what the last sound adds to it.

Partials give way: a stream has one draft under way at a time, and the longer drafts take, the rarer they are. Finals
never give way, and while too many wait for the engine, `feed` waits too, so that the network slows the sender down.
Knows sound and transcripts; nothing of messages.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import EvoxtralError
from evoxtral.inference.diarization import Diarizer, StreamDiarizer, Turn, speaker_of
from evoxtral.inference.endpointing import (
    MAX_UTTERANCE_S,
    EndLikely,
    Endpointer,
    Event,
    SpeechResumed,
    SpeechStarted,
    Utterance,
)
from evoxtral.inference.local_agreement import LocalAgreement, PartialText
from evoxtral.inference.transcript import Transcript

_LOG = logging.getLogger("evoxtral.server")

# Sound between two drafts of an utterance; the first comes sooner, because nothing is to be seen until then.
_DRAFT_EVERY_S = 1.0
_FIRST_DRAFT_AFTER_S = 0.5
# The next draft waits so many times as long as the one before took, waiting for the engine included: the busier, the
# rarer, so that finals find the engine free.
_REST_AFTER_DRAFT = 3.0
# The same where the model writes while it hears.
_WRITE_EVERY_S = 0.08
# So many finished utterances may wait for the engine before the stream is slowed down.
_MAX_WAITING_UTTERANCES = 4
# Speakers of so many utterances are set right by what is said later.
_MOST_REVISABLE = 200
# An utterance that its client ends holds at least and at most so much; a longer one is cut.
_MIN_COMMITTED_S = 0.1
_MAX_COMMITTED_S = 300.0


class Hearing(Protocol):
    """What a stream transcribes with. Called in threads, one draft and one whole utterance at most at a time.

    Samples are mono float32 at 16 kHz, shape (n,). Both raise EvoxtralError.
    """

    def draft(self, samples: NDArray[np.float32], committed: str) -> str:
        """Quickly: the tagged text of an utterance that is still being spoken, of which a beginning is certain."""
        ...

    def whole(self, samples: NDArray[np.float32], diarizer: Diarizer | None) -> Transcript:
        """As offline: the transcript of an utterance with all times, and speakers if something tells them apart."""
        ...


class Writing(Protocol):
    """One utterance that is written while it is heard. Called in threads; samples are all of it so far."""

    def hear(self, samples: NDArray[np.float32]) -> str:
        """Its tagged text so far, which only ever grows."""
        ...

    def whole(self, samples: NDArray[np.float32], diarizer: Diarizer | None) -> Transcript:
        """See `Hearing`."""
        ...

    def close(self) -> None:
        """Nothing more is wanted of it."""
        ...


@runtime_checkable
class LiveHearing(Protocol):
    """A `Hearing` whose model may write while it hears.

    Attributes:
        writes_live: whether it does.
    """

    @property
    def writes_live(self) -> bool: ...

    def begin(self) -> Writing:
        """The next utterance."""
        ...


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
class Likely:
    """The utterance is likely over: a silence began at `at_s`. Its text so far; `Resumed` follows if speech goes on."""

    utterance_id: int
    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The end that was likely is withdrawn: speech went on at `at_s`."""

    utterance_id: int
    at_s: float


@dataclass(frozen=True, slots=True)
class Ended:
    """An utterance ended and waits for the engine; `Final` or `Failed` follows. Fields as of `Final`.

    Attributes:
        by_client: its client ended it, or the stream.
    """

    utterance_id: int
    start_s: float
    end_s: float
    is_cut: bool
    by_client: bool


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
class Revised:
    """An earlier utterance whose words turned out to be said by others: the `Final` with other speakers."""

    final: Final


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


StreamEvent = Started | Likely | Resumed | Ended | Partial | Final | Revised | Failed | Flushed | Done


@dataclass(slots=True)
class _Stats:
    utterances: int = 0
    partials: int = 0
    skipped: int = 0


@dataclass(slots=True, eq=False)
class LiveStream:
    """One stream. `feed` and `flush` take it on, `finish` ends it, `events` gives what comes of it.

    Args:
        hearing: what transcribes.
        turns: says where utterances begin and end; its own object for each stream.
        diarizer: tells the stream's speakers apart, if that is wanted; its own object for each stream.
    """

    hearing: Hearing
    turns: Turns = field(default_factory=Endpointer)
    diarizer: StreamDiarizer | None = None
    _agreement: LocalAgreement = field(default_factory=LocalAgreement)
    _events: "asyncio.Queue[StreamEvent | None]" = field(default_factory=asyncio.Queue)
    _finals: "asyncio.Queue[tuple[int, Utterance, Writing | None] | Flushed | None]" = field(
        default_factory=lambda: asyncio.Queue(_MAX_WAITING_UTTERANCES)
    )
    _stats: _Stats = field(default_factory=_Stats)
    _utterance_id: int = 0
    _text: str = ""  # of the utterance so far
    _writing: Writing | None = None
    _next_draft_s: float = 0.0
    _draft: "asyncio.Task[None] | None" = None
    _silence: EndLikely | None = None  # that may end the utterance
    _told_likely: bool = False
    _revisable: list[Final] = field(default_factory=list)
    _worker: "asyncio.Task[None] | None" = None

    async def feed(self, samples: NDArray[np.float32]) -> None:
        """Take in the next samples, mono float32 at 16 kHz, shape (n,)."""
        await self._handle(self.turns.feed(samples))
        spoken = self.turns.utterance_so_far()
        if spoken is not None and self.turns.heard_s >= self._next_draft_s:
            self._next_draft_s = self.turns.heard_s + (_DRAFT_EVERY_S if self._writing is None else _WRITE_EVERY_S)
            if self._writing is not None:
                if self._draft is None:
                    self._start_draft(spoken[1])
            elif self._is_busy:
                self._stats.skipped += 1
            else:
                self._start_draft(spoken[1])

    async def flush(self) -> None:
        """End the utterance that is being spoken; `Flushed` tells when it is transcribed."""
        events = self.turns.flush()
        await self._handle(events, by_client=True)
        await self._queue(Flushed(any(isinstance(event, Utterance) for event in events)))

    def clear(self) -> None:
        """Forget the utterance that is being spoken."""
        self.turns.flush()
        self._drop_draft()
        self._stop_writing()

    async def finish(self) -> None:
        """End the stream: what was said is transcribed to its end, and `events` ends after `Done`."""
        await self._handle(self.turns.flush(), by_client=True)
        if self._worker is not None:
            await self._finals.put(None)
            await self._worker
        stats = self._stats
        self._tell(Done(self.turns.heard_s, stats.utterances, stats.partials, stats.skipped))
        self._events.put_nowait(None)

    async def abandon(self) -> None:
        """The client is gone: stop all work and end `events`."""
        for task in (self._draft, self._worker):
            if task is not None:
                task.cancel()
        self._stop_writing()
        while not self._finals.empty():
            item = self._finals.get_nowait()
            if isinstance(item, tuple) and item[2] is not None:
                item[2].close()
        self._events.put_nowait(None)

    async def events(self) -> AsyncIterator[StreamEvent]:
        """What comes of the stream, as it comes."""
        while (event := await self._events.get()) is not None:
            yield event

    def _tell(self, event: StreamEvent) -> None:
        self._events.put_nowait(event)

    async def _handle(self, events: Sequence[Event], *, by_client: bool = False) -> None:
        for event in events:
            match event:
                case Utterance():
                    await self._end_utterance(event, by_client)
                case SpeechStarted(at_s):
                    self._begin_utterance(at_s)
                    self._tell(Started(self._utterance_id, at_s))
                case EndLikely():
                    self._silence = event
                    spoken = self.turns.utterance_so_far()
                    if not self._finals.empty() or spoken is None:
                        self._tell_likely()  # with the text that there is
                    elif self._draft is None:
                        self._start_draft(spoken[1])
                case SpeechResumed(at_s):
                    if self._told_likely:
                        self._tell(Resumed(self._utterance_id, at_s))
                    self._silence, self._told_likely = None, False

    def _tell_likely(self) -> None:
        if self._silence is not None and not self._told_likely:
            self._told_likely = True
            self._tell(Likely(self._utterance_id, self._silence.at_s, self._text))

    def _begin_utterance(self, at_s: float) -> None:
        self._utterance_id += 1
        self._agreement, self._text = LocalAgreement(), ""
        self._silence, self._told_likely = None, False
        self._next_draft_s = at_s + _FIRST_DRAFT_AFTER_S
        self._stop_writing()
        if isinstance(self.hearing, LiveHearing) and self.hearing.writes_live:
            self._writing, self._next_draft_s = self.hearing.begin(), at_s

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.close()
            self._writing = None

    async def _end_utterance(self, utterance: Utterance, by_client: bool) -> None:
        self._drop_draft()  # its text would come after the final one
        self._tell(Ended(self._utterance_id, utterance.start_s, utterance.end_s, utterance.is_cut, by_client))
        writing, self._writing = self._writing, None
        await self._queue((self._utterance_id, utterance, writing))
        if utterance.is_cut:
            self._begin_utterance(utterance.end_s)

    async def _queue(self, item: tuple[int, Utterance, Writing | None] | Flushed) -> None:
        if self._worker is None:
            self._worker = asyncio.create_task(self._transcribe_finals())
        await self._finals.put(item)

    # --- drafts ------------------------------------------------------------------------------------------------------

    @property
    def _is_busy(self) -> bool:
        return self._draft is not None or not self._finals.empty()

    def _start_draft(self, samples: NDArray[np.float32]) -> None:
        self._draft = asyncio.create_task(self._hear_draft(self._utterance_id, samples, self.turns.heard_s))

    def _drop_draft(self) -> None:
        if self._draft is not None:
            self._draft.cancel()
            self._draft = None

    async def _hear_draft(self, utterance_id: int, samples: NDArray[np.float32], until_s: float) -> None:
        began_s = time.monotonic()
        writing = self._writing
        try:
            if writing is None:
                heard = await asyncio.to_thread(self.hearing.draft, samples, self._agreement.committed)
            else:
                heard = await asyncio.to_thread(writing.hear, samples)
        except EvoxtralError:
            return  # the final one will tell
        finally:
            if self._draft is asyncio.current_task():
                self._draft = None
        if utterance_id != self._utterance_id:
            return
        if writing is None:
            took_s = time.monotonic() - began_s
            self._next_draft_s = max(self._next_draft_s, self.turns.heard_s + _REST_AFTER_DRAFT * took_s)
            text = self._agreement.update(heard)
            self._tell_partial(utterance_id, text, until_s)
        elif (whole := without_half_tag(heard)) != self._text:
            self._tell_partial(utterance_id, PartialText(whole, ""), until_s)
        spoken = self.turns.utterance_so_far()
        missed = self._silence is not None and until_s < self._silence.at_s and not self._is_busy
        if writing is not None:
            missed = until_s < self.turns.heard_s and self._draft is None
        if missed and spoken is not None:
            self._start_draft(spoken[1])  # this one did not hear the last words
        else:
            self._tell_likely()

    def _tell_partial(self, utterance_id: int, text: PartialText, until_s: float) -> None:
        self._stats.partials += 1
        self._text = f"{text.committed} {text.tentative}".strip()
        lag_s = round(self.turns.heard_s - until_s, 3)
        self._tell(Partial(utterance_id, self._stats.partials, text.committed, text.tentative, lag_s))

    # --- finals ------------------------------------------------------------------------------------------------------

    async def _transcribe_finals(self) -> None:
        while (item := await self._finals.get()) is not None:
            if isinstance(item, Flushed):
                self._tell(item)
                continue
            utterance_id, utterance, writing = item
            self._stats.utterances += 1
            speakers = None if self.diarizer is None else self.diarizer.utterance(utterance.start_s)
            try:
                hear = self.hearing.whole if writing is None else writing.whole
                heard = await asyncio.to_thread(hear, utterance.samples, speakers)
            except Exception as error:  # whatever the engine raises, the stream goes on
                if not isinstance(error, EvoxtralError):
                    _LOG.exception("an utterance could not be transcribed")
                    error = EvoxtralError("the server met an error that it did not expect", "its log has the details")
                self._tell(Failed(utterance_id, error))
                continue
            final = Final(utterance_id, utterance.start_s, utterance.end_s, utterance.is_cut, heard)
            self._tell(final)
            if self.diarizer is not None:
                self._revise(self.diarizer.turns())
                self._revisable = [*self._revisable, final][-_MOST_REVISABLE:]

    def _revise(self, turns: Sequence[Turn]) -> None:
        """Tell of earlier utterances whose words are another speaker's by now."""
        for place, final in enumerate(self._revisable):
            if turns and final.start_s < turns[0].start_s:
                continue  # not remembered piece by piece any more
            revised = with_speakers(final, turns)
            if revised != final:
                self._revisable[place] = revised
                self._tell(Revised(revised))


def without_half_tag(text: str) -> str:
    """A text that grows at its end without a tag that is not closed yet."""
    return text[: text.rfind("[")].rstrip() if text.rfind("[") > text.rfind("]") else text


def with_speakers(final: Final, turns: Sequence[Turn]) -> Final:
    """The same with the speakers of these turns, which count from the start of the stream."""

    def speaker(start_s: float | None, end_s: float | None) -> str | None:
        if start_s is None or end_s is None:
            return None
        return speaker_of(final.start_s + start_s, final.start_s + end_s, turns)

    heard = final.transcript
    words = tuple(replace(word, speaker=speaker(word.start_s, word.end_s)) for word in heard.words)
    segments = tuple(replace(part, speaker=speaker(part.start_s, part.end_s)) for part in heard.segments)
    return replace(final, transcript=replace(heard, words=words, segments=segments))


def main_speaker(final: Final) -> str | None:
    """Who says most of an utterance; None where speakers are not told apart."""
    spoken_s: dict[str, float] = {}
    for word in final.transcript.words:
        if word.speaker is not None and word.start_s is not None and word.end_s is not None:
            spoken_s[word.speaker] = spoken_s.get(word.speaker, 0.0) + word.end_s - word.start_s
    return max(spoken_s, key=lambda name: spoken_s[name]) if spoken_s else None
