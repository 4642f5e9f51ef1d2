"""Several processes behind one store: work is shared, and what a killed one was at is done by another."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import httpx
from sqlalchemy import text as sql

from evoxtral.server.store.opening import open_store
from killed_server import run_server

WAIT_S = 120  # only for a test that has failed already


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline_s = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline_s, what
        threading.Event().wait(0.05)


def count(place: Path, question: str) -> int:
    with closing(open_store(str(place))) as store, store._database.reading() as session:
        return session.scalar(sql(question), {"own": store.files.worker_id})


def test_servers_share_jobs_and_one_takes_over_those_of_a_killed_one(tmp_path, spoken_wav):
    place, hold = tmp_path / "store", tmp_path / "hold"
    hold.touch()
    with run_server(str(place), place, hold) as first, run_server(str(place), place, hold) as second:
        jobs = [
            httpx.post(f"{first.address}/jobs", files={"file": (f"{number}.wav", spoken_wav)}, timeout=WAIT_S).json()
            for number in range(8)
        ]
        claimants = "SELECT count(DISTINCT worker_id) FROM jobs WHERE state = 'running' AND worker_id <> :own"
        wait_until(lambda: count(place, claimants) == 2, "the jobs were not shared")
        first.kill()
        hold.unlink()
        with httpx.Client(base_url=second.address, timeout=WAIT_S) as client:
            for job in jobs:
                with client.stream("GET", f"/jobs/{job['id']}/events") as answer:
                    assert "event: done" in answer.read().decode()
            names = sorted(item["name"] for item in client.get("/transcripts").json()["items"])
    assert names == [f"{number}.wav" for number in range(8)]


def test_workers_of_one_command_share_its_socket_and_its_store(tmp_path):
    place = tmp_path / "store"
    command = [sys.executable, "-m", "evoxtral.cli.main", "serve", "--port", "0", "--workers", "2"]
    with subprocess.Popen([*command, "--store", str(place)], stderr=subprocess.PIPE, text=True) as server:
        try:
            assert server.stderr is not None
            address = re.search(r"http://\S+", server.stderr.readline())
            assert address is not None
            assert str(place) in server.stderr.readline()
            assert httpx.get(f"{address[0]}/transcripts", timeout=WAIT_S).json() == {"items": [], "next": None}
            registered = "SELECT count(*) FROM workers WHERE id <> :own"
            wait_until(lambda: count(place, registered) == 2, "two processes did not come")
            server.terminate()
            assert server.wait(WAIT_S) in (0, -signal.SIGTERM)
            assert count(place, registered) == 0
        finally:
            server.terminate()
