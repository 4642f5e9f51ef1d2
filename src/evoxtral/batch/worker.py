"""A process that transcribes for a batch: items come over a pipe, results go back, and it ends when its parent does.

A file that crashes a decoder takes this process along and not the batch. Knows items, results and one engine; which
items it gets, and what is done when it dies, is its parent's.
"""

import os
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING

from evoxtral.batch.inputs import BatchItem
from evoxtral.batch.results import BatchError, BatchResult
from evoxtral.errors import EvoxtralError, told_error
from evoxtral.inference.many import ManyTranscriber, Outcome, Recording
from evoxtral.inference.options import TranscribeOptions
from evoxtral.models import ModelStore

if TYPE_CHECKING:
    from evoxtral.inference.engines.protocol import TranscriptionEngine


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """What a worker loads and how it transcribes; the model as for `load_engine`."""

    model: str = "edge"
    adapter: str | None = None
    compiled: bool = False
    delay_ms: int | None = None
    model_dir: Path | None = None
    offline: bool = False
    options: TranscribeOptions = TranscribeOptions()  # noqa: RUF009 - frozen

    @property
    def store(self) -> ModelStore:
        """Where its models are."""
        return ModelStore(self.model_dir, self.offline)

    def load(self) -> "TranscriptionEngine":
        """Load its engine; errors as of `load_engine`."""
        from evoxtral.inference import load_engine

        return load_engine(self.model, self.adapter, store=self.store, compiled=self.compiled, delay_ms=self.delay_ms)


@dataclass(frozen=True, slots=True)
class Ready:
    """A worker's first message: it is loaded and takes so many items at once; or the error that loading ended in."""

    at_once: int
    error: EvoxtralError | None = None


def recording_of(item: BatchItem) -> Recording:
    """An item as the transcriber takes it."""
    return Recording(item.id, item.name, item.opened)


def result_of(item: BatchItem, outcome: Outcome) -> BatchResult:
    """An outcome as the batch writes it."""
    if isinstance(outcome.result, Exception):
        return BatchResult(id=item.id, path=item.name, error=error_of(outcome.result, item.name))
    return BatchResult(id=item.id, path=item.name, transcript=outcome.result.to_json())


def error_of(error: Exception, name: str) -> BatchError:
    """Any error in one line that names the recording, with what mends it where that is known."""
    told = told_error(error, name, "cannot be transcribed")
    return BatchError(kind=type(error).__name__, message=told.message, hint=told.hint)


def main(pipe: Connection, settings: WorkerSettings) -> None:
    """Work until the other end of the pipe is closed."""
    try:
        transcriber = ManyTranscriber(settings.load(), settings.options, store=settings.store)
    except EvoxtralError as error:
        pipe.send(Ready(0, error))
        return
    pipe.send(Ready(transcriber.at_once))
    sending = threading.Lock()

    def send_result(item: BatchItem) -> "Callable[[Future[Outcome]], None]":
        def send(future: "Future[Outcome]") -> None:
            with sending:
                pipe.send(result_of(item, future.result()))

        return send

    while True:
        try:
            item: BatchItem = pipe.recv()
        except (EOFError, OSError):
            # The parent has all it wants, or is dead: nobody waits for what is under way.
            os._exit(0)
        transcriber.submit(recording_of(item)).add_done_callback(send_result(item))
