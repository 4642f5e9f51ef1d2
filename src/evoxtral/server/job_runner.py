"""Does the jobs of the store in this process, as many at a time as there is room for, and tells how far they are.

Knows the store and the transcriber; nothing of HTTP. What ends a process ends its jobs with it: another, or the next
that starts, takes them over.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import fields
from http import HTTPStatus
from typing import Any, TypeVar

from anyio import to_thread

from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.transcript import Transcript
from evoxtral.server.problems import LOG, Problem, problem_of
from evoxtral.server.store.jobs import Claim, JobText
from evoxtral.server.store.opening import Store
from evoxtral.server.transcribing import Progress, Transcriber

# Long recordings are cut and joined in threads; so few at a time leave room for requests that somebody waits for.
_JOBS_AT_ONCE = 4
# How often a job that another process accepted is looked for, and how far one is, is written down.
_LOOK_EVERY_S = 1.0
_REPORT_EVERY_S = 1.0
_ALIVE_EVERY_S = 10.0
_TIDY_EVERY_S = 600.0
# The server is full, or its disk is: so long until the job is tried again.
_PAUSE_S = 2.0

_T = TypeVar("_T")


def options_to_json(options: TranscribeOptions) -> dict[str, Any]:
    """Options as a job keeps them."""
    return {field.name: getattr(options, field.name) for field in fields(options)}


class JobRunner:
    """Claims jobs and does them, from `start` until `stop`."""

    def __init__(self, store: Store, transcriber: Transcriber) -> None:
        self._store = store
        self._transcriber = transcriber
        self._wake = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin, in the running event loop."""
        self._loops = [asyncio.create_task(self._claim_and_work()) for _ in range(_JOBS_AT_ONCE)]
        self._loops.append(asyncio.create_task(self._repeat(self._store.jobs.say_alive, _ALIVE_EVERY_S)))
        self._loops.append(asyncio.create_task(self._repeat(self._store.jobs.take_over, _ALIVE_EVERY_S)))
        self._loops.append(asyncio.create_task(self._repeat(self._store.tidy, _TIDY_EVERY_S)))

    async def stop(self) -> None:
        """Leave what is under way; its jobs go back when the store is closed."""
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)

    def wake(self) -> None:
        """A job was accepted here."""
        self._wake.set()

    async def _repeat(self, act: Callable[[], None], every_s: float) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await _in_thread(act)
            except Exception:  # the database may be back next time
                LOG.exception("the store: %s failed", act.__name__)

    async def _claim_and_work(self) -> None:
        while True:
            try:
                claim = await _in_thread(self._store.jobs.claim)
                if claim is not None:
                    await self._work(claim)
                    continue
            except Exception:
                LOG.exception("the store: a job could not be claimed or ended")
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), _LOOK_EVERY_S)

    async def _work(self, claim: Claim) -> None:
        jobs = self._store.jobs
        report = _Report(self._store, claim)
        reporting = asyncio.create_task(report.keep())
        try:
            transcript = await self._transcribe(claim, report)
            if transcript is not None:
                await _in_thread(lambda: jobs.finish(claim, transcript))
        except Exception as error:
            problem = problem_of(error)
            if report.is_over.is_set():
                return  # cancelled
            if problem.status_code in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.INSUFFICIENT_STORAGE):
                await _in_thread(lambda: jobs.release(claim))
                await asyncio.sleep(_PAUSE_S)
                return
            if problem.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
                LOG.exception("a job failed")
            await _in_thread(lambda: jobs.fail(claim, problem.document()))
        finally:
            reporting.cancel()

    async def _transcribe(self, claim: Claim, report: "_Report") -> Transcript | None:
        async def is_over() -> bool:
            return report.is_over.is_set()

        try:
            options = TranscribeOptions(**claim.options)
        except TypeError as error:  # accepted by another version
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, f"The job cannot be understood: {error}") from error
        transcript = None
        with claim.path.open("rb") as file:
            async for event in self._transcriber.follow(file, claim.name, options, is_over):
                if isinstance(event, Transcript):
                    transcript = event
                elif isinstance(event, Progress):
                    report.done_s, report.total_s = event.done_s, event.total_s
                else:
                    report.add(event.text, event.start_s, event.end_s)
        return transcript


class _Report:
    """What is told of a job, now and then; `is_over` when it is not ours any more."""

    def __init__(self, store: Store, claim: Claim) -> None:
        self.done_s = 0.0
        self.total_s: float | None = None
        self.is_over = asyncio.Event()
        self._texts: list[JobText] = []
        self._seq = 0
        self._jobs = store.jobs
        self._claim = claim

    def add(self, text: str, start_s: float, end_s: float) -> None:
        """A further text."""
        self._seq += 1
        self._texts.append(JobText(self._seq, text, start_s, end_s))

    async def keep(self) -> None:
        """Tell until it is over."""
        while not self.is_over.is_set():
            await asyncio.sleep(_REPORT_EVERY_S)
            texts, self._texts = self._texts, []
            try:
                if not await _in_thread(lambda: self._jobs.report(self._claim, self.done_s, self.total_s, texts)):  # noqa: B023
                    self.is_over.set()
            except Exception:
                self._texts = [*texts, *self._texts]
                LOG.exception("the store: progress could not be written")


async def _in_thread(act: Callable[[], _T]) -> _T:
    return await to_thread.run_sync(act)
