"""The one owner of an engine: windows of several recordings wait here, and go to it in batches that mix recordings.

Each recording runs the ordinary pipeline in a thread of its own, with an engine that is a stand-in: it puts windows
into this queue and waits. Batches take one window of each waiting recording in turn, so that one of three hours does
not hold up one of five seconds; live sound goes before them. What nobody waits for any more is cancelled: its windows
leave the queue. Knows engines by their protocol, and threads; nothing of HTTP or audio files.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from evoxtral.inference.emotion_head import Emotion
from evoxtral.inference.engines.protocol import (
    AlignedToken,
    Aligner,
    Drafter,
    EmotionListener,
    Hypothesis,
    KeywordListener,
    LanguageDetector,
    LiveText,
    LiveWriter,
    TranscriptionEngine,
)

# After its windows were transcribed a request asks for their alignment within this time; the engine still holds their
# encodings then, so that it is worth waiting for.
_ALIGNMENT_GRACE_S = 0.02
# After so many batches of live sound in a row a recording has its turn.
_MOST_LIVE_BATCHES = 8
# What is asked about windows that were just transcribed.
_SOON = ("prompt", "align", "detect", "emotion")
# Weight of the newest observation in the mean time of a request, which Retry-After is made from.
_SMOOTHING = 0.2


class QueueFullError(Exception):
    """No further request is taken now; `retry_after_s` says when it is worth coming again."""

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"the queue is full, try again in {retry_after_s} s")
        self.retry_after_s = retry_after_s


class Urgency(IntEnum):
    """What goes to the engine first."""

    UTTERANCE = 0
    """A live stream's utterance that ended."""

    DRAFT = 1
    """One that is still being spoken."""

    RECORDING = 2


@dataclass(slots=True, eq=False)
class _Job:
    """One window for the engine: to be transcribed, with a text to be aligned or to begin with, for its language;
    or an utterance for its emotion.

    Keywords are a text with one on each line. What is to be written live is the next sound of its stream.
    """

    kind: Literal["transcribe", "prompt", "draft", "align", "detect", "emotion", "write"]
    window: NDArray[np.float32]
    language: str
    text: str = ""
    stream: LiveText | None = None
    is_end: bool = False
    result: "Future[Any]" = field(default_factory=Future)


class Ticket:
    """A request's place: what is queued for it, and whether its client still waits."""

    def __init__(self, urgency: Urgency = Urgency.RECORDING) -> None:
        self.urgency = urgency
        self.jobs: deque[_Job] = deque()
        self.cancelled = False


class WindowScheduler:
    """Owns an engine in a thread of its own; `close` ends it.

    Args:
        engine: used by that thread only.
        aligner: what aligns where the engine does not; None for none.
        detector: what tells languages; by default the engine if it does.
        max_requests: so many requests are admitted at a time, waiting ones included.
    """

    def __init__(
        self,
        engine: TranscriptionEngine,
        *,
        aligner: Aligner | None = None,
        detector: LanguageDetector | None = None,
        max_requests: int = 64,
    ) -> None:
        self.engine = engine
        self._aligner = engine if isinstance(engine, Aligner) else aligner
        self._detector = engine if detector is None and isinstance(engine, LanguageDetector) else detector
        self._max_requests = max_requests
        self._tickets: deque[Ticket] = deque()  # in the order of their turns
        self._changed = threading.Condition()
        self._closed = False
        self._admitted = 0
        self._mean_request_s = 1.0
        self._live_batches = 0  # since a recording had its turn
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    @property
    def admitted(self) -> int:
        """Requests that are under way or wait."""
        return self._admitted

    @property
    def queued_windows(self) -> int:
        with self._changed:
            return sum(len(ticket.jobs) for ticket in self._tickets)

    @contextmanager
    def admit(self, urgency: Urgency = Urgency.RECORDING) -> Iterator[Ticket]:
        """A place for one request for as long as the block runs.

        Args:
            urgency: what is live must not be lost, and other limits bound its number: it is taken though all places
                are taken.

        Raises:
            QueueFullError: all places are taken, or the scheduler is closed.
        """
        started_s = time.monotonic()
        ticket = Ticket(urgency)
        is_recording = urgency is Urgency.RECORDING
        with self._changed:
            if self._closed or (self._admitted >= self._max_requests and is_recording):
                raise QueueFullError(max(1, round(self._mean_request_s)))
            self._admitted += 1
        try:
            yield ticket
        finally:
            self.cancel(ticket)
            with self._changed:
                self._admitted -= 1
                if is_recording:
                    self._mean_request_s += _SMOOTHING * (time.monotonic() - started_s - self._mean_request_s)

    def engine_for(self, ticket: Ticket) -> TranscriptionEngine:
        """What a request's pipeline is given for an engine."""
        if self._aligner is None:
            return _StandIn(self, ticket)
        if self._detector is not None:
            return _DetectingStandIn(self, ticket)
        return _AligningStandIn(self, ticket)

    def draft(self, ticket: Ticket, window: NDArray[np.float32], beginning: str, *, language: str) -> Hypothesis:
        """What an utterance so far says, quickly where the engine can; see `Drafter`. Errors as of `submit`."""
        kind: Literal["draft", "transcribe"] = "draft" if isinstance(self.engine, Drafter) else "transcribe"
        (hypothesis,) = self.submit(ticket, [_Job(kind, window, language, beginning)])
        assert isinstance(hypothesis, Hypothesis)
        return hypothesis

    def write(self, ticket: Ticket, stream: LiveText, samples: NDArray[np.float32], *, is_end: bool) -> str:
        """The further text of a stream after further sound; see `LiveWriter`. Errors as of `submit`."""
        (text,) = self.submit(ticket, [_Job("write", samples, "", stream=stream, is_end=is_end)])
        return str(text)

    def cancel(self, ticket: Ticket) -> None:
        """Take a request's windows out of the queue; who waits for them gets CancelledError."""
        with self._changed:
            ticket.cancelled = True
            waiting = list(ticket.jobs)
            ticket.jobs.clear()
        for job in waiting:
            job.result.cancel()

    def close(self) -> None:
        """End the engine's thread after the batch that it is at; what waits is cancelled."""
        with self._changed:
            self._closed = True
            tickets = list(self._tickets)
            self._changed.notify_all()
        for ticket in tickets:
            self.cancel(ticket)
        self._thread.join()

    def submit(self, ticket: Ticket, jobs: Sequence[_Job]) -> list[Any]:
        """Queue jobs of a request and wait for all of them.

        Raises:
            CancelledError: the request was cancelled; any other error is the engine's.
        """
        with self._changed:
            if ticket.cancelled or self._closed:
                raise CancelledError
            ticket.jobs.extend(jobs)
            if ticket not in self._tickets:
                self._tickets.append(ticket)
            self._changed.notify_all()
        return [job.result.result() for job in jobs]

    # --- the engine's thread -----------------------------------------------------------------------------------------

    def _run(self) -> None:
        just_heard: set[Ticket] = set()
        while True:
            with self._changed:
                if just_heard:
                    self._wait_for_alignments(just_heard)
                self._changed.wait_for(lambda: self._closed or any(ticket.jobs for ticket in self._tickets))
                if self._closed:
                    return
                batch = self._take()
            self._work([job for _, job in batch])
            is_heard = bool(batch) and batch[0][1].kind == "transcribe" and isinstance(self.engine, Aligner)
            just_heard = {ticket for ticket, _ in batch} if is_heard else set()

    def _wait_for_alignments(self, served: set[Ticket]) -> None:
        """Give the requests that were served last the moment that they need to ask for alignments."""

        def have_asked() -> bool:
            return self._closed or all(ticket.cancelled or ticket.jobs for ticket in served)

        self._changed.wait_for(have_asked, _ALIGNMENT_GRACE_S)

    def _take(self) -> list[tuple[Ticket, _Job]]:
        """The next batch: jobs of one urgency, kind and language, one of each request in turn.

        Alignments and languages come first: the engine still holds the encodings that they need.
        """
        waiting = [ticket for ticket in self._tickets if ticket.jobs]
        recordings = [ticket for ticket in waiting if ticket.urgency is Urgency.RECORDING]
        urgency = min(ticket.urgency for ticket in waiting)
        if recordings and self._live_batches >= _MOST_LIVE_BATCHES:
            urgency = Urgency.RECORDING
        self._live_batches = 0 if urgency is Urgency.RECORDING else self._live_batches + 1
        waiting = [ticket for ticket in waiting if ticket.urgency is urgency]
        first = next((ticket for ticket in waiting if ticket.jobs[0].kind in _SOON), waiting[0])
        wanted = first.jobs[0].kind, first.jobs[0].language
        batch: list[tuple[Ticket, _Job]] = []
        turns = deque([first, *(ticket for ticket in waiting if ticket is not first)])
        while turns and len(batch) < self.engine.batch_size:
            ticket = turns.popleft()
            if (ticket.jobs[0].kind, ticket.jobs[0].language) != wanted:
                continue
            job = ticket.jobs.popleft()
            if job.result.set_running_or_notify_cancel():
                batch.append((ticket, job))
            if ticket.jobs:
                turns.append(ticket)
        served = {ticket for ticket, _ in batch}
        # Who was served goes to the end of the line; who has nothing left leaves it.
        self._tickets = deque(
            [ticket for ticket in self._tickets if ticket.jobs and ticket not in served]
            + [ticket for ticket in self._tickets if ticket.jobs and ticket in served]
        )
        return batch

    def _work(self, jobs: Sequence[_Job]) -> None:
        if not jobs:
            return
        windows = [job.window for job in jobs]
        language = jobs[0].language
        try:
            results: Sequence[Any]
            if jobs[0].kind == "transcribe":
                results = self.engine.transcribe_windows(windows, language=language)
            elif jobs[0].kind == "draft":
                assert isinstance(self.engine, Drafter)
                results = self.engine.draft_windows(windows, [job.text for job in jobs], language=language)
            elif jobs[0].kind == "prompt":
                assert isinstance(self.engine, KeywordListener)
                keywords = [job.text.splitlines() for job in jobs]
                results = self.engine.transcribe_prompted(windows, keywords, language=language)
            elif jobs[0].kind == "emotion":
                assert isinstance(self.engine, EmotionListener)
                results = self.engine.hear_emotions(windows, language=language)
            elif jobs[0].kind == "write":
                assert isinstance(self.engine, LiveWriter)
                streams = [job.stream for job in jobs if job.stream is not None]
                results = self.engine.write_streams(streams, windows, [job.is_end for job in jobs])
            elif jobs[0].kind == "detect":
                assert self._detector is not None
                results = self._detector.detect_languages(windows)
            else:
                assert self._aligner is not None
                results = self._aligner.align_windows(windows, [job.text for job in jobs], language=language)
        except Exception as error:  # whatever the engine raises belongs to those who asked
            if len(jobs) == 1 or jobs[0].kind == "write":  # a stream may have taken its sound already
                for job in jobs:
                    job.result.set_exception(error)
            else:
                # One window must not fail the requests that happened to share its batch.
                for job in jobs:
                    self._work([job])
            return
        for job, result in zip(jobs, results, strict=True):
            job.result.set_result(result)


class _StandIn:
    """An engine for one request's pipeline, which sends its windows to the scheduler."""

    def __init__(self, scheduler: WindowScheduler, ticket: Ticket) -> None:
        self._scheduler = scheduler
        self._ticket = ticket
        self.name = scheduler.engine.name
        self.model = scheduler.engine.model
        self.max_window_s = scheduler.engine.max_window_s
        self.batch_size = scheduler.engine.batch_size
        self.takes_keywords = isinstance(scheduler.engine, KeywordListener) and scheduler.engine.takes_keywords

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """See `TranscriptionEngine`. Raises CancelledError once the request is cancelled."""
        return self._scheduler.submit(self._ticket, [_Job("transcribe", window, language) for window in windows])

    def transcribe_prompted(
        self, windows: Sequence[NDArray[np.float32]], keywords: Sequence[Sequence[str]], *, language: str = "en"
    ) -> list[Hypothesis]:
        """See `KeywordListener`."""
        jobs = [
            _Job("prompt", window, language, "\n".join(asked)) for window, asked in zip(windows, keywords, strict=True)
        ]
        return self._scheduler.submit(self._ticket, jobs)

    def hears_emotions_in(self, language: str) -> bool:
        """See `EmotionListener`."""
        engine = self._scheduler.engine
        return isinstance(engine, EmotionListener) and engine.hears_emotions_in(language)

    def hear_emotions(self, utterances: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Emotion | None]:
        """See `EmotionListener`."""
        jobs = [_Job("emotion", utterance, language) for utterance in utterances]
        return self._scheduler.submit(self._ticket, jobs)


class _AligningStandIn(_StandIn):
    """The same where something aligns."""

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        """See `Aligner`."""
        pairs = zip(windows, texts, strict=True)
        return self._scheduler.submit(self._ticket, [_Job("align", window, language, text) for window, text in pairs])


class _DetectingStandIn(_AligningStandIn):
    """The same where the engine also tells languages."""

    def detect_languages(self, windows: Sequence[NDArray[np.float32]]) -> list[Mapping[str, float] | None]:
        """See `LanguageDetector`."""
        return self._scheduler.submit(self._ticket, [_Job("detect", window, "") for window in windows])
