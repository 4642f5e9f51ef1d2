"""A batch on one machine: worker processes, each with its engine, replaced when they die.

An item whose worker died with it is suspect: it is tried again alone, and after `_MOST_DEATHS` deaths it is failed.
Knows processes and pipes; nothing of sound.
"""

import multiprocessing
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any

from evoxtral.batch.inputs import BatchItem
from evoxtral.batch.results import BatchError, BatchResult
from evoxtral.batch.worker import Ready, WorkerSettings, main
from evoxtral.errors import EvoxtralError

# How often a worker may die with an item before the item is held to be the cause.
_MOST_DEATHS = 3


@dataclass(eq=False)
class _Worker:
    process: SpawnProcess
    pipe: Connection
    at_once: int = 0  # until it is loaded
    items: dict[str, BatchItem] = field(default_factory=dict)

    def send(self, item: BatchItem) -> None:
        self.items[item.id] = item
        with suppress(OSError):  # it is dead, which its pipe will tell
            self.pipe.send(item)


def transcribe_in_processes(
    items: Iterable[BatchItem], settings: WorkerSettings, workers: int
) -> Iterator[list[BatchResult]]:
    """The results of all items, some at a time, as they come.

    Args:
        items: taken when there is a place for them.
        workers: how many processes.

    Raises:
        EvoxtralError: the model cannot be loaded; workers die before they are loaded.
    """
    pool = _Pool(items, settings, workers)
    try:
        yield from pool.results()
    finally:
        pool.close()


class _Pool:
    def __init__(self, items: Iterable[BatchItem], settings: WorkerSettings, workers: int) -> None:
        self._settings = settings
        self._items = iter(items)
        self._is_exhausted = False
        self._again: deque[BatchItem] = deque()  # lost with a worker that died, once
        self._suspects: deque[BatchItem] = deque()  # more often: tried alone, at the end
        self._deaths: dict[str, int] = {}
        self._workers = [self._start() for _ in range(workers)]

    def _start(self) -> _Worker:
        # Spawned, not forked: engines start threads, which a fork does not bring along.
        context = multiprocessing.get_context("spawn")
        here, there = context.Pipe()
        process = context.Process(target=main, args=(there, self._settings), daemon=True)
        process.start()
        there.close()
        return _Worker(process, here)

    def close(self) -> None:
        for worker in self._workers:
            worker.pipe.close()
            worker.process.kill()
            worker.process.join()

    def results(self) -> Iterator[list[BatchResult]]:
        while True:
            for worker in self._workers:
                self._fill(worker)
            is_left = self._again or self._suspects or any(worker.items for worker in self._workers)
            if self._is_exhausted and not is_left:
                return
            found: list[BatchResult] = []
            for pipe in wait([worker.pipe for worker in self._workers]):
                worker = next(worker for worker in self._workers if worker.pipe is pipe)
                try:
                    while worker.pipe.poll():
                        found += self._take(worker, worker.pipe.recv())
                except (EOFError, OSError):
                    found += self._bury(worker)
            if found:
                yield found

    def _fill(self, worker: _Worker) -> None:
        if any(self._is_suspect(item) for item in worker.items.values()):
            return
        while len(worker.items) < worker.at_once:
            item = self._next()
            if item is None:
                break
            worker.send(item)
        if self._suspects and not worker.items and worker.at_once and self._is_exhausted:
            worker.send(self._suspects.popleft())

    def _next(self) -> BatchItem | None:
        if self._again:
            return self._again.popleft()
        if self._is_exhausted:
            return None
        item = next(self._items, None)
        self._is_exhausted = item is None
        return item

    def _is_suspect(self, item: BatchItem) -> bool:
        return self._deaths.get(item.id, 0) > 1

    def _take(self, worker: _Worker, message: Any) -> list[BatchResult]:
        if isinstance(message, BatchResult):
            del worker.items[message.id]
            return [message]
        assert isinstance(message, Ready)
        if message.error is not None:
            raise message.error
        worker.at_once = message.at_once
        return []

    def _bury(self, worker: _Worker) -> list[BatchResult]:
        worker.process.join()
        if not worker.at_once:
            raise EvoxtralError(
                f"a worker died while it loaded the model (exit code {worker.process.exitcode})",
                "see whether `evoxtral transcribe` works here; the machine may lack memory",
            )
        failed = []
        for item in worker.items.values():
            self._deaths[item.id] = deaths = self._deaths.get(item.id, 0) + 1
            if deaths >= _MOST_DEATHS:
                code = worker.process.exitcode
                message = f"{item.name}: the process that transcribed it died {deaths} times (exit code {code})"
                failed.append(
                    BatchResult(
                        id=item.id,
                        path=item.name,
                        error=BatchError(kind="WorkerDied", message=message, hint="export the recording again"),
                    )
                )
            else:
                (self._suspects if deaths > 1 else self._again).append(item)
        worker.pipe.close()
        self._workers[self._workers.index(worker)] = self._start()
        return failed
