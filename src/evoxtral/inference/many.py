"""Many recordings with one engine: they are decoded side by side, and their windows share the engine's batches.

A call to an engine costs nearly the same for a window of one short clip as for a full batch on a GPU, and leaves all
cores but one idle on a CPU. Knows recordings and the pipeline; nothing of where the transcripts go.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.pipeline import transcribe
from evoxtral.inference.scheduler import WindowScheduler
from evoxtral.inference.second_ear import find_aligner, find_language_detector
from evoxtral.inference.transcript import Transcript
from evoxtral.models import HUB_CACHE, ModelStore

# Recordings under way for each window of a batch: short clips have one window, and while some are decoded others wait
# for the engine.
_RECORDINGS_A_WINDOW = 2

Source = str | Path | BinaryIO | NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Recording:
    """One of many.

    Attributes:
        key: the caller's own name for it.
        name: how messages and the transcript call it.
        opened: opens it for as long as it is read; called in one of several threads.
    """

    key: str
    name: str
    opened: Callable[[], AbstractContextManager[Source]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a recording: its transcript, or the error in its place."""

    key: str
    result: Transcript | Exception


class ManyTranscriber:
    """Transcribes recordings with one engine; may be used by several threads at a time. `close` ends it.

    Args:
        engine: owned by a thread of its own from now on.
        options: the same for all recordings.
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
        self._threads = ThreadPoolExecutor(self.at_once, thread_name_prefix="recording")

    def __enter__(self) -> "ManyTranscriber":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give up what is under way and end the threads."""
        self._scheduler.close()
        self._threads.shutdown(cancel_futures=True)

    def submit(self, recording: Recording) -> "Future[Outcome]":
        """Queue one recording. How many are queued is the caller's to bound; `at_once` of them keep the engine busy."""
        return self._threads.submit(self._work, recording)

    def transcribe(self, recordings: Iterable[Recording]) -> Iterator[Outcome]:
        """The outcome of each recording, as soon as it is known: not in their order.

        Recordings are taken from the iterable when there is a place for them. An error of one ends none of the others.
        """
        rest = iter(recordings)
        waiting: set[Future[Outcome]] = set()
        try:
            while True:
                waiting |= {self.submit(recording) for recording in islice(rest, self.at_once - len(waiting))}
                if not waiting:
                    return
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()

    def _work(self, recording: Recording) -> Outcome:
        try:
            with self._scheduler.admit() as ticket, recording.opened() as source:
                transcript = transcribe(
                    source,
                    name=recording.name,
                    engine=self._scheduler.engine_for(ticket),
                    options=self._options,
                    store=self._store,
                )
        except Exception as error:  # whatever it is, it is this recording's
            return Outcome(recording.key, error)
        return Outcome(recording.key, transcript)
