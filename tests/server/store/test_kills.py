"""kill -9 at random moments under load: the store opens, no accepted job is forgotten, no orphan stays."""

import io
import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import soundfile
from sqlalchemy import text as sql

from evoxtral.server.store.opening import open_store
from killed_server import Running, run_server

WAIT_S = 60  # only for a test that has failed already
CLIENTS = 3
MAX_JOBS_OF_A_CLIENT = 6  # while one server lives
LONGEST_LIFE_S = 1.0
# Of the others, many are killed while they start and collect what the one before left.
SHARE_KILLED_AT_WORK = 0.8


def clip() -> bytes:
    """A second of a tone that counts as speech for nobody, but is decoded and cut as any recording."""
    samples = 0.3 * np.sin(np.arange(16_000) * 0.05).astype(np.float32)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, 16_000, format="WAV")
    return buffer.getvalue()


def send_until_it_dies(server: Running, sound: bytes) -> list[str]:
    """Send jobs, one after the other; gives the ids of those that were accepted."""
    accepted: list[str] = []
    with httpx.Client(base_url=server.address, timeout=WAIT_S) as client:
        for number in range(MAX_JOBS_OF_A_CLIENT):
            try:
                answer = client.post("/jobs", files={"file": (f"{number}.wav", sound)})
            except httpx.TransportError:
                break  # killed before it answered: nothing was promised
            assert answer.status_code == 202, answer.text
            accepted.append(answer.json()["id"])
    return accepted


def test_kill_9_under_load_loses_no_accepted_job_and_leaves_no_orphan(place, tmp_path, request, spoken_wav):
    files = tmp_path / "files"
    lives = random.Random(request.config.getoption("--seed"))
    accepted: list[str] = []
    sounds = [spoken_wav, clip(), b"no audio at all"]
    for _ in range(request.config.getoption("--server-kills")):
        with run_server(place, files) as server, ThreadPoolExecutor(CLIENTS) as pool:
            sending = [pool.submit(send_until_it_dies, server, sound) for sound in sounds]
            if not accepted or lives.random() < SHARE_KILLED_AT_WORK:
                httpx.get(f"{server.address}/health", timeout=WAIT_S)
            threading.Event().wait(lives.uniform(0, LONGEST_LIFE_S))
            server.kill()
            accepted += [job_id for sent in sending for job_id in sent.result(WAIT_S)]
    assert accepted, "no job was accepted before a kill: the lives are too short"

    states: Counter[str] = Counter()
    with run_server(place, files) as server, httpx.Client(base_url=server.address, timeout=WAIT_S) as client:
        deadline_s = time.monotonic() + WAIT_S
        for job_id in accepted:
            while (job := client.get(f"/jobs/{job_id}").json())["state"] in ("queued", "running"):
                assert time.monotonic() < deadline_s, job
                threading.Event().wait(0.05)
            assert job["state"] in ("done", "failed"), job
            states[job["state"]] += 1
            if job["state"] == "done":
                document = client.get(f"/transcripts/{job['transcript_id']}").json()
                assert document["has_audio"]
                assert client.head(f"/transcripts/{job['transcript_id']}/audio").status_code == 200
            else:
                assert job["problem"]["detail"]

    print(f"{len(accepted)} jobs were accepted: {dict(states)}")

    store = open_store(place, files)  # after the last kill
    with store._database.reading() as session:
        recorded = set(session.scalars(sql("SELECT id FROM files")))
        used = set(session.scalars(sql("SELECT file_id FROM transcripts UNION SELECT file_id FROM jobs"))) - {None}
        if store._database.is_sqlite:
            assert session.scalar(sql("PRAGMA integrity_check")) == "ok"
    assert set(store.files.ids()) == recorded == used
    assert [path.name for path in (files / "incoming").iterdir()] == [store.files.worker_id]
    assert [path.stem for path in (files / "workers").iterdir()] == [store.files.worker_id]
    store.close()
