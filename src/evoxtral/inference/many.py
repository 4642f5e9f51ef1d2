"""Many recordings with one engine: they are decoded side by side, and their windows share the engine's batches.

A call to an engine costs nearly the same for a window of one short clip as for a full batch on a GPU, and leaves all
cores but one idle on a CPU. Knows recordings and the pipeline; nothing of where the transcripts go.
"""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.pipeline import transcribe
from evoxtral.inference.progress import ProgressReport
from evoxtral.inference.scheduler import WindowScheduler
from evoxtral.inference.second_ear import find_aligner, find_language_detector
from evoxtral.inference.transcript import Transcript
from evoxtral.models import HUB_CACHE, ModelStore

# Recordings under way for each window of a batch: short clips have one window, and while some are decoded others wait
# for the engine.
_RECORDINGS_A_WINDOW = 2
# Who closes waits so long for the threads: they end at their next window, but a pipe may give nothing for hours.
_CLOSING_S = 1.0

Source = str | Path | BinaryIO | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """One of many.

    Attributes:
        key: the caller's own name for it.
        name: how messages and the transcript call it.
        opened: opens it for as long as it is read; called in one of several threads.
        options: its own, in the place of those of all.
        on_progress: told how far it is; called in that thread.
    """

    key: str
    name: str
    opened: Callable[[], AbstractContextManager[Source]]
    options: TranscribeOptions | None = None
    on_progress: ProgressReport | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a recording: its transcript, or the error in its place."""

    key: str
    result: Transcript | Exception


class ManyTranscriber:
    """Transcribes recordings with one engine; may be used by several threads at a time. `close` ends it.

    Args:
        engine: owned by a thread of its own from now on.
        options: of recordings that have none of their own.
        store: where models that `options` needs are looked up.
    """

    def __init__(
        self,
        engine: TranscriptionEngine,
        options: TranscribeOptions,
        *,
        store: ModelStore = HUB_CACHE,
    ) -> None:
        self.at_once = _RECORDINGS_A_WINDOW * engine.batch_size
        self._options = options
        self._store = store
        # Callers bound how many recordings are under way; the queue needs no bound of its own.
        self._scheduler = WindowScheduler(
            engine,
            aligner=find_aligner(engine),
            detector=find_language_detector(engine),
            max_requests=2**31,
        )
        self._waiting: SimpleQueue[tuple[Recording, Future[Outcome]] | None] = SimpleQueue()
        # Daemons: an interrupted process ends though one of them reads a pipe that gives nothing.
        self._threads = [
            threading.Thread(target=self._serve, name=f"recording-{number}", daemon=True)
            for number in range(self.at_once)
        ]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> "ManyTranscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is under way and end the threads."""
        while not self._waiting.empty():
            if (queued := self._waiting.get()) is not None:
                queued[1].cancel()
        for _ in self._threads:
            self._waiting.put(None)
        self._scheduler.close()
        end_s = time.monotonic() + _CLOSING_S
        for thread in self._threads:
            thread.join(max(0.0, end_s - time.monotonic()))

    def submit(self, recording: Recording) -> "Future[Outcome]":
        """Queue one recording. How many are queued is the caller's to bound; `at_once` of them keep the engine busy."""
        future: Future[Outcome] = Future()
        self._waiting.put((recording, future))
        return future

    def transcribe(self, recordings: Iterable[Recording]) -> Iterator[Outcome]:
        """The outcome of each recording, in their order.

        Recordings are taken from the iterable when there is a place for them: at most `at_once` are under way, or done
        and waiting for one before them. An error of one ends none of the others.
        """
        rest = iter(recordings)
        under_way: deque[Future[Outcome]] = deque()
        try:
            while True:
                under_way.extend(self.submit(recording) for recording in islice(rest, self.at_once - len(under_way)))
                if not under_way:
                    return
                yield under_way.popleft().result()
        finally:
            for future in under_way:
                future.cancel()

    def _serve(self) -> None:
        while (queued := self._waiting.get()) is not None:
            recording, future = queued
            if future.set_running_or_notify_cancel():
                future.set_result(self._work(recording))

    def _work(self, recording: Recording) -> Outcome:
        try:
            with self._scheduler.admit() as ticket, recording.opened() as source:
                transcript = transcribe(
                    source,
                    name=recording.name,
                    engine=self._scheduler.engine_for(ticket),
                    options=recording.options or self._options,
                    store=self._store,
                    on_progress=recording.on_progress,
                )
        except Exception as error:  # whatever it is, it is this recording's
            return Outcome(recording.key, error)
        return Outcome(recording.key, transcript)
