"""The synthesis of a corpus by ElevenLabs: the real SDK, a service that fails, kills, and what was paid in the end."""

import asyncio
import multiprocessing
import os
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import numpy as np
import pytest
import scipy.signal
from numpy.typing import NDArray

import evoxtral
from elevenlabs_service import (
    GARBAGE,
    Account,
    Service,
    cut_at_once,
    cut_in_the_middle,
    pcm_of,
    refusal,
    running,
)
from evoxtral.audio import read_clip
from evoxtral.corpus.synthesis import SynthesisReport, cast, plan, synthesize
from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.errors import CorpusError
from evoxtral.tts.elevenlabs import STOCK_VOICES


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = running([("secret-1", Account()), ("secret-2", Account(limit=3)), ("secret-3", Account(limit=2))])
    monkeypatch.setenv("ELEVENLABS_API_KEYS", ",".join(service.accounts))
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    yield service
    service.hold.set()
    service.shutdown()
    service.server_close()


def make_corpus(path: Path, count: int) -> CorpusFolder:
    corpus = CorpusFolder(path)
    corpus.append_scripts(
        Script(
            id=f"s{index:03}",
            tagged_text=f"[sad] This is line number {index:03}.",
            slice_type=SliceType.LIGHT,
            domain=Domain.PODCAST,
            writer="test",
        )
        for index in range(count)
    )
    return corpus


COST = len("[sad] This is line number 000.")


def configure(service: Service, max_characters: int | None = None) -> SynthesisConfig:
    return SynthesisConfig(
        engine="elevenlabs",
        engine_options={"base_url": service.url, "sleep": no_sleep},
        max_characters=max_characters,
    )


def assert_complete(corpus: CorpusFolder) -> None:
    """Each script has one line and one file, which holds exactly what the service spoke."""
    clips = corpus.read_clips()
    assert sorted(clip.script_id for clip in clips) == sorted(script.id for script in corpus.read_scripts())
    assert len((corpus.path / "clips.jsonl").read_text().splitlines()) == len(clips)
    assert {path.name for path in corpus.audio_path.iterdir()} == {Path(clip.audio).name for clip in clips}
    for clip in clips:
        samples = read_clip(corpus.path / clip.audio) * 32_768
        spoken = pcm_of(clip.tagged_text, clip.seed)
        if clip.details.get("from_history"):  # where the service keeps MP3
            assert abs(len(samples) - len(spoken)) < 2 * 1_152
            assert likeness(samples, spoken) > 0.7
        else:
            np.testing.assert_array_equal(samples, spoken)


def likeness(one: NDArray[np.float32], other: NDArray[np.int16]) -> float:
    """The greatest correlation over all shifts."""
    found = scipy.signal.correlate(one, other.astype(np.float32), method="fft")
    return float(np.max(found) / (np.linalg.norm(one) * np.linalg.norm(other.astype(np.float32))))


def test_a_corpus_is_spoken_by_eight_voices_with_three_keys(service: Service, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, 40)
    dry = plan(corpus, configure(service))
    assert (len(dry.to_make), dry.characters, dry.spent_characters) == (40, 40 * COST, 0)
    assert not service.requests
    report = synthesize(corpus, configure(service))
    assert (report.made, report.characters, report.failures, report.stopped) == (40, 40 * COST, {}, None)
    assert_complete(corpus)
    assert service.charged == 40 * COST
    assert Counter(clip.voice for clip in corpus.read_clips()) == dict.fromkeys(STOCK_VOICES, 5)
    assert {request.voice_id for request in service.requests} == {voice_id for voice_id, _ in STOCK_VOICES.values()}
    assert {request.key for request in service.requests} == set(service.accounts)
    for account in service.accounts.values():
        assert account.peak <= account.limit
    after = plan(corpus, configure(service))
    assert (after.to_make, after.characters, after.spent_characters) == ((), 0, 40 * COST)
    for clip in corpus.read_clips():
        assert clip.engine == "elevenlabs/eleven_v3"
        assert clip.details["characters"] == COST
        assert clip.details["request_id"].startswith("request-")


def test_a_storm_of_faults_costs_no_clip(service: Service, tmp_path: Path) -> None:
    free = [refusal(429, "system_busy"), refusal(500, "oops"), refusal(503, "oops", retry_after="9"), cut_at_once]
    paid = [cut_in_the_middle, *GARBAGE.values()]
    rng = random.Random(5)
    faults = [*rng.choices(free, k=40), *rng.choices(paid, k=15), *[None] * 60]
    rng.shuffle(faults)
    service.faults.extend(faults)
    corpus = make_corpus(tmp_path, 60)
    report = synthesize(corpus, configure(service))
    # A text may meet eight faults in a row and be given up; the next run takes it up again.
    while not report.stopped and report.failures:
        report = synthesize(corpus, configure(service))
    assert report.stopped is None
    assert_complete(corpus)
    assert sum(service.paid.values()) == 60 + 15


def test_a_refused_text_is_named_and_the_rest_goes_on(service: Service, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, 10)
    service.faults.append(refusal(422, "max_character_limit_exceeded", "too long"))
    report = synthesize(corpus, configure(service))
    assert report.made == 9
    (reason,) = report.failures.values()
    assert "too long" in reason


def test_the_budget_covers_the_corpus_not_the_run(service: Service, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, 10)
    budget = 4 * COST + COST // 2
    for made in (4, 0, 0):
        report = synthesize(corpus, configure(service, budget))
        assert report.made == made
        assert report.stopped is not None
        assert "budget" in report.stopped
    assert service.charged == 4 * COST
    assert synthesize(corpus, configure(service, 10 * COST)).made == 6
    assert_complete(corpus)
    assert service.charged == 10 * COST


def test_when_all_keys_end_a_new_one_resumes(service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for account in service.accounts.values():
        account.quota = 3 * COST
    service.accounts["fresh"] = Account()
    corpus = make_corpus(tmp_path, 15)
    report = synthesize(corpus, configure(service))
    assert report.made == 9
    assert report.stopped is not None
    assert report.stopped.count("quota_exceeded") == 3
    assert not report.failures
    monkeypatch.setenv("ELEVENLABS_API_KEYS", "fresh")
    assert synthesize(corpus, configure(service)).made == 6
    assert_complete(corpus)
    assert set(service.paid.values()) == {1}


def test_without_a_key_nothing_is_made_and_the_reason_told(
    service: Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ELEVENLABS_API_KEYS")
    report = synthesize(make_corpus(tmp_path, 3), configure(service))
    assert (report.made, report.failures) == (0, {})
    assert report.stopped is not None
    assert "set ELEVENLABS_API_KEY" in report.stopped


def test_options_that_the_engine_does_not_know_are_named(tmp_path: Path) -> None:
    config = SynthesisConfig(engine="elevenlabs", engine_options={"stabilty": 0.5})
    with pytest.raises(CorpusError, match="stabilty"):
        synthesize(make_corpus(tmp_path, 1), config)


def test_ctrl_c_records_what_is_paid_and_sends_nothing_more(service: Service, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, 30)
    service.hold.clear()

    def interrupt() -> None:
        service.waiting.wait(20)
        os.kill(os.getpid(), signal.SIGINT)
        service.hold.set()

    threading.Thread(target=interrupt).start()
    with pytest.raises(KeyboardInterrupt):
        synthesize(corpus, configure(service))
    recorded = {clip.tagged_text for clip in corpus.read_clips()}
    assert recorded
    assert recorded == set(service.paid)
    assert len(recorded) < 30
    synthesize(corpus, configure(service))
    assert_complete(corpus)
    assert set(service.paid.values()) == {1}


class Killer:
    """A profiler that kills its process when Evoxtral's code, in any thread, calls or returns for the n-th time."""

    SOURCE = str(Path(evoxtral.__file__).parent)

    def __init__(self, countdown: int) -> None:
        self._countdown = countdown

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename.startswith(self.SOURCE):
            self._countdown -= 1
            if self._countdown == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(path: Path, config: SynthesisConfig, armed_at: int, countdown: int) -> None:
    """In a process of its own: synthesise, and die `countdown` calls after `armed_at` clips were recorded."""

    def arm(report: SynthesisReport) -> None:
        if report.made == armed_at:
            killer = Killer(countdown)
            threading.setprofile(killer)
            sys.setprofile(killer)

    synthesize(CorpusFolder(path), config, on_progress=arm)


def test_kills_at_random_instants_pay_for_no_text_twice(service: Service, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 200)
    config = configure(service)
    text_of = {
        Path(take.audio).name: take.script.tagged_text for take in cast(corpus.read_scripts(), [*STOCK_VOICES], config)
    }
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["evoxtral.corpus.synthesis", "evoxtral.tts.elevenlabs", "elevenlabs.client"])
    rng = random.Random(3)
    lost_once = 0
    finished: set[str] = set()
    for _ in range(10):
        paid_before = service.paid.copy()
        instant = rng.randrange(6), rng.randrange(1_000)
        process = context.Process(target=run_until_killed, args=(corpus.path, config, *instant))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        service.wait_for_silence()
        assert not [text for text in finished if service.paid[text] > paid_before[text]]
        now_finished = {text_of[path.name] for path in corpus.audio_path.glob("*.flac")}
        assert finished <= now_finished
        assert {clip.tagged_text for clip in corpus.read_clips()} <= now_finished
        # What was paid and did not come to disk was still on its way, at most one text for each request at once.
        lost = [text for text in service.paid if service.paid[text] > paid_before[text] and text not in now_finished]
        assert len(lost) <= 10
        lost_once += len(lost)
        finished = now_finished
    assert finished != set(text_of.values())
    report = synthesize(corpus, config)
    assert_complete(corpus)
    assert not report.failures
    assert lost_once  # so that something was there to be found again
    assert service.paid == dict.fromkeys(text_of.values(), 1)
    assert sum(bool(clip.details.get("from_history")) for clip in corpus.read_clips()) >= 1
    assert plan(corpus, config).spent_characters == service.charged == 200 * COST


def kill_while_waiting(service: Service, corpus: CorpusFolder, config: SynthesisConfig) -> None:
    """Run in another process, kill it while all it sent is under way, and let the service finish what it was sent."""
    context = multiprocessing.get_context("forkserver")
    service.waiting.clear()
    service.hold.clear()
    process = context.Process(target=synthesize, args=(corpus, config))
    process.start()
    assert service.waiting.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    service.hold.set()
    service.wait_for_silence()


def test_what_a_killed_run_had_under_way_is_fetched_and_not_paid_again(service: Service, tmp_path: Path) -> None:
    service.history_page = 2  # the history comes in pages
    corpus = make_corpus(tmp_path / "corpus", 12)
    kill_while_waiting(service, corpus, configure(service))
    paid = service.paid.copy()
    assert paid
    assert not corpus.read_clips()
    # The budget covers what was paid before and the rest, to the character.
    report = synthesize(corpus, configure(service, 12 * COST))
    assert (report.failures, report.stopped) == ({}, None)
    assert_complete(corpus)
    assert set(service.paid.values()) == {1}
    fetched = {clip.tagged_text for clip in corpus.read_clips() if clip.details.get("from_history")}
    assert fetched == set(paid)
    requests = [clip.details["request_id"] for clip in corpus.read_clips()]
    assert len(set(requests)) == 12


def test_a_finished_corpus_asks_for_no_history(service: Service, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path, 3)
    synthesize(corpus, configure(service))
    synthesize(corpus, configure(service))
    assert service.histories_asked == 0


def test_an_item_of_another_clip_is_not_taken_twice(service: Service, tmp_path: Path) -> None:
    """Two takes of one text by one voice: the service tells them apart by nothing but their request."""
    corpus = CorpusFolder(tmp_path / "corpus")
    corpus.append_scripts(
        Script(
            id=name,
            tagged_text="[sad] The same again.",
            slice_type=SliceType.LIGHT,
            domain=Domain.PODCAST,
            writer="test",
            voice="Laura",
        )
        for name in ("a", "b")
    )
    synthesize(corpus, configure(service), scripts=corpus.read_scripts()[:1])
    kill_while_waiting(service, corpus, configure(service))
    assert service.paid["[sad] The same again."] == 2
    synthesize(corpus, configure(service))
    assert service.paid["[sad] The same again."] == 2
    assert_complete(corpus)
    assert len({clip.details["request_id"] for clip in corpus.read_clips()}) == 2


def test_a_key_that_may_not_read_the_history_pays_and_says_so(
    service: Service, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for account in service.accounts.values():
        account.may_read_history = False
    corpus = make_corpus(tmp_path / "corpus", 6)
    kill_while_waiting(service, corpus, configure(service))
    assert synthesize(corpus, configure(service)).made == 6
    assert_complete(corpus)
    assert "may not read its history" in caplog.text


def test_a_history_that_does_not_answer_stops_the_run_and_nothing_is_paid_twice(
    service: Service, tmp_path: Path
) -> None:
    corpus = make_corpus(tmp_path / "corpus", 6)
    kill_while_waiting(service, corpus, configure(service))
    paid = service.paid.copy()
    service.history_failures = 1_000
    report = synthesize(corpus, configure(service))
    assert report.stopped is not None
    assert "does not tell what it made before" in report.stopped
    assert service.paid == paid
    service.history_failures = 2  # and one that stumbles is asked again
    assert synthesize(corpus, configure(service)).stopped is None
    assert_complete(corpus)
    assert set(service.paid.values()) == {1}


def test_what_the_history_kept_broken_is_spoken_again(service: Service, tmp_path: Path) -> None:
    corpus = make_corpus(tmp_path / "corpus", 6)
    kill_while_waiting(service, corpus, configure(service))
    for account in service.accounts.values():
        account.sounds = {name: sound[:0] for name, sound in account.sounds.items()}
    assert synthesize(corpus, configure(service)).made == 6
    assert_complete(corpus)
    assert set(service.paid.values()) <= {1, 2}
