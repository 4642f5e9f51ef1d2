"""Jobs in a store that several processes share, on both databases: each `Store` here is as a process of its own."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import update

from evoxtral.server.store import jobs as jobs_module
from evoxtral.server.store.errors import JobsFullError, MissingError
from evoxtral.server.store.files import StoreFiles
from evoxtral.server.store.jobs import LEASE_S, MAX_ATTEMPTS, JobText
from evoxtral.server.store.tables import WorkerRow, now
from stored import SOUND, job, transcript


def crash(store) -> None:
    """End a process as kill -9 does: its lock is freed by the system, and nothing is tidied."""
    store.files._lock.release()


def test_a_job_goes_its_way(store):
    accepted = job(store)
    assert store.jobs.get(None, accepted).state == "queued"
    claim = store.jobs.claim()
    assert claim is not None
    assert (claim.name, claim.options, claim.path.read_bytes()) == ("a.wav", {"language": "en"}, SOUND)
    assert store.jobs.claim() is None
    assert store.jobs.report(claim, 1.0, 2.0, [JobText(1, "One.", 0.0, 1.0)])
    running, texts = store.jobs.news(None, accepted, 0)
    assert (running.state, running.done_s, running.total_s, texts) == (
        "running",
        1.0,
        2.0,
        [JobText(1, "One.", 0.0, 1.0)],
    )
    assert store.jobs.news(None, accepted, 1)[1] == []
    kept = store.jobs.finish(claim, transcript("One."))
    done = store.jobs.get(None, accepted)
    assert (done.state, done.transcript_id, done.done_s) == ("done", kept, 2.0)
    assert store.transcripts.audio(None, kept).path == claim.path
    assert store.transcripts.get(None, kept).transcript == transcript("One.")


def test_each_job_is_claimed_once(opened):
    stores = [opened(), opened(), opened()]
    accepted = {job(stores[0]) for _ in range(9)}
    together = threading.Barrier(3)

    def claim_all(store) -> list[int]:
        together.wait(30)
        return [claim.number for claim in iter(store.jobs.claim, None)]

    with ThreadPoolExecutor(3) as pool:
        claimed = [number for numbers in pool.map(claim_all, stores) for number in numbers]
    assert len(claimed) == len(set(claimed)) == len(accepted)


def test_who_sent_many_does_not_stop_who_sent_one(store):
    for _ in range(3):
        job(store, "many")
    job(store, "one", "wanted.wav")
    assert store.jobs.claim().name == "a.wav"
    assert store.jobs.claim().name == "wanted.wav"


def test_the_jobs_of_a_dead_process_are_done_by_another(opened):
    first, second = opened(), opened()
    accepted = job(first)
    claim = first.jobs.claim()
    first.jobs.report(claim, 1.0, 2.0, [JobText(1, "One.", 0.0, 1.0)])
    second.jobs.take_over()
    assert second.jobs.claim() is None  # it lives
    crash(first)
    second.jobs.take_over()
    assert second.jobs.get(None, accepted).state == "queued"
    again = second.jobs.claim()
    assert again.number == claim.number
    assert second.jobs.news(None, accepted, 0)[1] == []
    # What the first one would still say counts for nothing.
    assert not first.jobs.report(claim, 2.0, 2.0, [])
    assert first.jobs.finish(claim, transcript("Late.")) is None
    first.jobs.fail(claim, {"status": 500})
    first.jobs.release(claim)
    assert second.jobs.finish(again, transcript("One.")) is not None
    assert [item.snippet for item in second.transcripts.page(None)[0]] == ["One."]


def test_a_process_that_hangs_loses_its_jobs_when_its_lease_ends(opened):
    first, second = opened(), opened()
    job(first)
    assert first.jobs.claim() is not None
    with second._database.writing() as session:
        late = now() - timedelta(seconds=LEASE_S + 1)
        session.execute(update(WorkerRow).where(WorkerRow.id == first.files.worker_id).values(seen_at=late))
    second.jobs.take_over()
    assert second.jobs.claim() is not None
    first.jobs.say_alive()
    second.jobs.take_over()
    assert first.jobs.claim() is None


def test_a_job_that_ends_process_after_process_is_reported(opened):
    watching = opened()
    accepted = job(watching)
    for _ in range(MAX_ATTEMPTS):
        victim = opened()
        assert victim.jobs.claim() is not None
        crash(victim)
        watching.jobs.take_over()
    failed = watching.jobs.get(None, accepted)
    assert failed.state == "failed"
    assert f"{MAX_ATTEMPTS} times" in failed.problem["detail"]
    assert watching.jobs.claim() is None
    assert list(watching.files.ids()) == []


def test_a_job_that_is_given_back_does_not_count_as_tried(store):
    job(store)
    for _ in range(2 * MAX_ATTEMPTS):
        claim = store.jobs.claim()
        store.jobs.release(claim)
    assert store.jobs.claim() is not None
    store.jobs.leave()
    assert store.jobs.claim() is not None


def test_cancelled_jobs_are_over_for_who_is_at_them(store):
    waiting, running = job(store), None
    assert store.jobs.cancel(None, waiting).state == "cancelled"
    running = job(store)
    claim = store.jobs.claim()
    assert store.jobs.cancel(None, running).state == "cancelled"
    assert not store.jobs.report(claim, 1.0, None, [])
    assert store.jobs.finish(claim, transcript("One.")) is None
    assert store.jobs.get(None, running).state == "cancelled"
    assert list(store.files.ids()) == []


def test_failed_jobs_keep_their_reason_and_not_their_recording(store):
    accepted = job(store)
    store.jobs.fail(store.jobs.claim(), {"status": 400, "detail": "no audio"})
    assert store.jobs.get(None, accepted).problem == {"status": 400, "detail": "no audio"}
    assert list(store.files.ids()) == []


def test_no_more_are_accepted_than_may_wait(store):
    job(store, max_open=1)
    with pytest.raises(JobsFullError):
        job(store, max_open=1)
    store.jobs.cancel(None, store.jobs.newest(None, 1)[0].id)
    job(store, max_open=1)


def test_jobs_belong_to_their_key(store):
    mine = job(store, "me")
    assert [found.id for found in store.jobs.newest("me", 10)] == [mine]
    for owner in ("you", None):
        assert store.jobs.newest(owner, 10) == []
        for ask in (store.jobs.get, store.jobs.cancel):
            with pytest.raises(MissingError):
                ask(owner, mine)
    kept = store.jobs.finish(store.jobs.claim(), transcript("One."))
    assert store.transcripts.get("me", kept)


def test_what_became_of_jobs_is_forgotten_after_a_while(store, monkeypatch):
    ended, waiting = job(store), job(store)
    store.jobs.cancel(None, ended)
    store.jobs.forget_ended()
    assert len(store.jobs.newest(None, 10)) == 2
    monkeypatch.setattr(jobs_module, "_KEEP_ENDED", timedelta(0))
    store.jobs.forget_ended()
    assert [found.id for found in store.jobs.newest(None, 10)] == [waiting]


def test_a_lock_tells_the_living_from_the_dead(tmp_path):
    first, second = StoreFiles(tmp_path), StoreFiles(tmp_path)
    assert first.is_alive(second.worker_id)
    second._lock.release()
    assert not first.is_alive(second.worker_id)
    assert not first.is_alive("f" * 32)
    first.sweep()
    assert [path.name for path in (tmp_path / "incoming").iterdir()] == [first.worker_id]
    first.close()
