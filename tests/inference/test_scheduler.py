"""The owner of the engine: whose windows share a batch, who comes next, and what happens to those who leave."""

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.scheduler import QueueFullError, Urgency, WindowScheduler

WAIT_S = 30  # only for a test that has failed already


class RecordingEngine:
    """Writes the first sample of each window, keeps its batches, and works only when it is let."""

    name = "recording"
    model = "test"
    max_window_s = 30.0

    def __init__(self, batch_size: int = 4) -> None:
        self.batch_size = batch_size
        self.batches: list[list[float]] = []
        self.languages: list[str] = []
        self.gate = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        self.begun.release()
        assert self.gate.acquire(timeout=WAIT_S)
        numbers = [float(window[0]) for window in windows]
        self.batches.append(numbers)
        self.languages.append(language)
        if -1.0 in numbers:
            raise RuntimeError("this window breaks the engine")
        return [Hypothesis(f"{number:g}") for number in numbers]


def window(number: float) -> NDArray[np.float32]:
    return np.full(160, number, np.float32)


class Requests:
    """Requests that send windows, each in a thread, so that the test decides when the engine goes on."""

    def __init__(self, scheduler: WindowScheduler) -> None:
        self.scheduler = scheduler
        self.pool = ThreadPoolExecutor(16)

    def send(self, *numbers: float, language: str = "en", urgency: Urgency = Urgency.RECORDING) -> "Future[list[str]]":
        queued = self.scheduler.queued_windows
        entered = threading.Event()

        def run() -> list[str]:
            with self.scheduler.admit(urgency) as ticket:
                engine = self.scheduler.engine_for(ticket)
                entered.set()
                windows = [window(number) for number in numbers]
                return [heard.text for heard in engine.transcribe_windows(windows, language=language)]

        future = self.pool.submit(run)
        assert entered.wait(WAIT_S)
        while self.scheduler.queued_windows == queued and not future.done() and queued:
            threading.Event().wait(0.001)
        return future


@pytest.fixture
def engine() -> RecordingEngine:
    return RecordingEngine()


def test_windows_of_several_requests_share_batches_and_find_their_way_back(engine: RecordingEngine) -> None:
    scheduler = WindowScheduler(engine)
    requests = Requests(scheduler)
    first = requests.send(1)
    assert engine.begun.acquire(timeout=WAIT_S)  # it holds the engine; the others gather behind it
    others = [requests.send(10 * number, 10 * number + 1) for number in (1, 2, 3)]
    while scheduler.queued_windows < 6:
        threading.Event().wait(0.001)
    for _ in range(3):
        engine.gate.release()
    assert first.result(WAIT_S) == ["1"]
    assert [other.result(WAIT_S) for other in others] == [["10", "11"], ["20", "21"], ["30", "31"]]
    # Four fit: one of each, then the first again; what is left comes next.
    assert [sorted(batch) for batch in engine.batches] == [[1], [10, 11, 20, 30], [21, 31]]
    scheduler.close()


def test_a_long_recording_does_not_hold_up_a_short_one() -> None:
    engine = RecordingEngine(batch_size=2)
    scheduler = WindowScheduler(engine)
    requests = Requests(scheduler)
    long = requests.send(*range(20))
    assert engine.begun.acquire(timeout=WAIT_S)
    short = requests.send(100)
    while scheduler.queued_windows < 19:
        threading.Event().wait(0.001)
    engine.gate.release()
    engine.gate.release()
    assert short.result(WAIT_S) == ["100"]
    assert len(engine.batches) == 2
    for _ in range(20):
        engine.gate.release()
    assert long.result(WAIT_S) == [f"{number}" for number in range(20)]
    scheduler.close()


def test_languages_do_not_mix(engine: RecordingEngine) -> None:
    scheduler = WindowScheduler(engine)
    requests = Requests(scheduler)
    held = requests.send(0)
    assert engine.begun.acquire(timeout=WAIT_S)
    sent = [requests.send(1, language="en"), requests.send(2, language="de"), requests.send(3, language="en")]
    while scheduler.queued_windows < 3:
        threading.Event().wait(0.001)
    for _ in range(3):
        engine.gate.release()
    assert [future.result(WAIT_S) for future in (held, *sent)] == [["0"], ["1"], ["2"], ["3"]]
    assert sorted(zip(engine.languages[1:], map(sorted, engine.batches[1:]), strict=True)) == [
        ("de", [2.0]),
        ("en", [1.0, 3.0]),
    ]
    scheduler.close()


def test_who_leaves_takes_the_windows_along(engine: RecordingEngine) -> None:
    scheduler = WindowScheduler(engine)
    requests = Requests(scheduler)
    held = requests.send(0)
    assert engine.begun.acquire(timeout=WAIT_S)
    with scheduler.admit() as ticket:
        left = requests.pool.submit(scheduler.engine_for(ticket).transcribe_windows, [window(5), window(6)])
        while scheduler.queued_windows < 2:
            threading.Event().wait(0.001)
        scheduler.cancel(ticket)
        with pytest.raises(CancelledError):
            left.result(WAIT_S)
        with pytest.raises(CancelledError):
            scheduler.engine_for(ticket).transcribe_windows([window(7)])
    engine.gate.release()
    assert held.result(WAIT_S) == ["0"]
    assert (engine.batches, scheduler.queued_windows, scheduler.admitted) == ([[0.0]], 0, 0)
    scheduler.close()


def test_a_full_queue_says_when_to_come_again(engine: RecordingEngine) -> None:
    scheduler = WindowScheduler(engine, max_requests=2)
    with scheduler.admit(), scheduler.admit():
        with pytest.raises(QueueFullError) as full, scheduler.admit():
            pass
        assert full.value.retry_after_s >= 1
    with scheduler.admit():  # a place is free again
        pass
    scheduler.close()


def test_an_utterance_of_a_live_stream_is_taken_though_the_queue_is_full(engine: RecordingEngine) -> None:
    scheduler = WindowScheduler(engine, max_requests=1)
    with scheduler.admit(), scheduler.admit(Urgency.UTTERANCE):
        assert scheduler.admitted == 2
    scheduler.close()
    with pytest.raises(QueueFullError), scheduler.admit(Urgency.UTTERANCE):
        pass


def test_live_sound_goes_first_and_a_recording_has_its_turn_all_the_same(engine: RecordingEngine) -> None:
    engine.batch_size = 1
    scheduler = WindowScheduler(engine)
    requests = Requests(scheduler)
    first = requests.send(0)  # holds the engine while the others queue up
    assert engine.begun.acquire(timeout=WAIT_S)
    recording = requests.send(1)
    draft = requests.send(2, urgency=Urgency.DRAFT)
    utterances = [requests.send(10 + number, urgency=Urgency.UTTERANCE) for number in range(10)]
    engine.gate.release(20)
    for future in (first, recording, draft, *utterances):
        future.result(WAIT_S)
    order = [batch[0] for batch in engine.batches]
    assert order[1:9] == [float(10 + number) for number in range(8)]
    assert order[9] == 1  # after eight of the others
    assert order[10:] == [18, 19, 2]
    scheduler.close()


def test_a_window_that_breaks_the_engine_fails_its_own_request_only(engine: RecordingEngine) -> None:
    scheduler = WindowScheduler(engine)
    requests = Requests(scheduler)
    held = requests.send(0)
    assert engine.begun.acquire(timeout=WAIT_S)
    good, bad = requests.send(1), requests.send(-1)
    while scheduler.queued_windows < 2:
        threading.Event().wait(0.001)
    for _ in range(4):
        engine.gate.release()
    assert held.result(WAIT_S) == ["0"]
    assert good.result(WAIT_S) == ["1"]
    with pytest.raises(RuntimeError, match="breaks the engine"):
        bad.result(WAIT_S)
    scheduler.close()


def test_closing_lets_nobody_wait(engine: RecordingEngine) -> None:
    scheduler = WindowScheduler(engine)
    requests = Requests(scheduler)
    held = requests.send(0)
    assert engine.begun.acquire(timeout=WAIT_S)
    waiting = requests.send(1)
    while scheduler.queued_windows < 1:
        threading.Event().wait(0.001)
    closing = requests.pool.submit(scheduler.close)
    assert isinstance(waiting.exception(WAIT_S), CancelledError)  # at once, while the engine is still at work
    engine.gate.release()
    closing.result(WAIT_S)
    assert held.result(WAIT_S) == ["0"]
    with pytest.raises(QueueFullError), scheduler.admit():
        pass
