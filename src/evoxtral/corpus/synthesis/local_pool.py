"""Engines that run here: clips are made by a pool of processes, and what a dying process takes with it is tried again.

Knows processes; nothing of how an engine makes speech.
"""

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from evoxtral.corpus.synthesis.casting import Take, spoken_turns
from evoxtral.corpus.synthesis.finishing import finish_clip
from evoxtral.corpus.synthesis.run_state import Run
from evoxtral.cpu import usable_cores
from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.data.files import sweep_unfinished
from evoxtral.data.records import Clip
from evoxtral.errors import EvoxtralError
from evoxtral.tts.dialogue import speak_dialogue
from evoxtral.tts.speech_engine import SpeechEngine

# A pool that dies this often, with no clip made in between, will not make any.
_MAX_DEATHS_IN_A_ROW = 5
# One thread for each worker process; numerical libraries would take all cores in each.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

EngineLoader = Callable[..., SpeechEngine]


def speak_in_processes(run: Run, config: SynthesisConfig, load_engine: EngineLoader) -> None:
    """Keep the worker processes busy until nothing waits.

    A worker that dies (out of memory, a crash in native code) takes the pool with it and does not say which clip it
    was at: all that were under way are then tried one by one, and one that kills its worker once more has failed. A
    worker that dies takes the others along, in the middle of what they write.
    """
    workers = min(config.workers or usable_cores(), max(1, len(run.waiting)))
    suspects: deque[Take] = deque()
    deaths = 0
    with _single_threaded():
        while (suspects or run.waiting) and run.may_go_on():
            tries_again = bool(suspects)
            pool = ProcessPoolExecutor(
                1 if tries_again else workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(load_engine, config.engine, config.engine_options),
            )
            under_way: dict[Future[Clip | _Failure], Take] = {}
            made = run.report.made
            try:
                if tries_again:
                    _feed(run, pool, suspects, under_way, limit=1)
                else:
                    _feed(run, pool, run.waiting, under_way, limit=2 * workers)  # none waits for its next clip
            except BrokenProcessPool:
                lost = _settle_finished(run, under_way)
                deaths = deaths + 1 if run.report.made == made else 1
                if deaths == _MAX_DEATHS_IN_A_ROW:
                    run.stop("the worker processes die at once")
                if tries_again:
                    for take in lost:
                        run.fail(take, "its worker process died")
                else:
                    suspects.extend(lost)
            except KeyboardInterrupt:
                for future in under_way:
                    future.cancel()
                wait(under_way)
                _settle_finished(run, under_way)
                raise
            finally:
                pool.shutdown(cancel_futures=True)
    sweep_unfinished(run.audio_folder)


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a worker returns instead of a clip; `fatal` where no other clip could be made either."""

    reason: str
    fatal: bool


def _feed(
    run: Run,
    pool: ProcessPoolExecutor,
    queue: deque[Take],
    under_way: dict[Future["Clip | _Failure"], Take],
    limit: int,
) -> None:
    while True:
        while queue and len(under_way) < limit and run.may_go_on():
            future = pool.submit(_work, run.folder, queue[0])
            under_way[future] = queue.popleft()
        if not under_way:
            return
        finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in finished:
            _settle(run, under_way[future], future.result())
            del under_way[future]


def _settle(run: Run, take: Take, outcome: "Clip | _Failure") -> None:
    if isinstance(outcome, Clip):
        run.record(outcome)
    elif outcome.fatal:
        run.stop(outcome.reason)
    else:
        run.fail(take, outcome.reason)


def _settle_finished(run: Run, under_way: dict[Future["Clip | _Failure"], Take]) -> list[Take]:
    """Record what is finished of what was under way when a pool ended; return the rest."""
    # An interruption may have come between a clip's line in the journal and its leaving `under_way`.
    recorded = run.recorded_ids()
    lost = []
    for future, take in under_way.items():
        if take.clip_id in recorded and (run.folder / take.audio).exists():
            continue
        if future.done() and not future.cancelled() and future.exception() is None:
            _settle(run, take, future.result())
        else:
            lost.append(take)
    return lost


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started in here use one thread each. (Libraries read these variables when they are loaded.)"""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_worker_engine: Callable[[], SpeechEngine]


def _start_worker(load_engine: EngineLoader, name: str, options: dict[str, Any]) -> None:
    global _worker_engine
    _worker_engine = cache(lambda: load_engine(name, **options))
    # Ctrl-C reaches the whole process group; the parent decides what is still finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent leaves its workers waiting for work for ever, each with an engine in memory."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(folder: Path, take: Take) -> Clip | _Failure:
    """In a worker: make one clip. Raises only OSError, which concerns the disk and with it every clip."""
    try:
        engine = _worker_engine()
    except EvoxtralError as error:
        return _Failure(str(error), fatal=True)
    try:
        if take.turns:
            speech = speak_dialogue(engine, spoken_turns(take), seed=take.seed)
        else:
            speech = engine.speak(take.script.tagged_text, voice=take.voice, seed=take.seed)
        return finish_clip(folder, take, speech)
    except EvoxtralError as error:
        return _Failure(str(error), fatal=False)
    except OSError:
        raise
    except Exception as error:  # whatever an engine trips over concerns this clip only
        return _Failure(f"{type(error).__name__}: {error}", fatal=False)
