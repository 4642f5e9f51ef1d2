"""Whole batches on this machine: real recordings, the packaged model, real processes, and kills at random moments."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evoxtral.batch import BatchSettings, run_batch
from evoxtral.batch.inputs import BatchItem
from evoxtral.batch.worker import WorkerSettings
from evoxtral.cli.commands import run
from evoxtral.errors import EvoxtralError
from evoxtral.inference.options import TranscribeOptions

WAIT_S = 120  # only for a test that has failed already


def test_a_folder_is_done_once_and_its_failures_are_named(
    tmp_path, spoken_sentences, write_recordings, assert_all_are_done_once, capfd
):
    paths = write_recordings(tmp_path / "calls", 4)
    command = ["batch", str(tmp_path / "calls"), str(tmp_path / "out"), "--price-per-hour", "2"]
    assert run(command) == 1
    told = capfd.readouterr()
    assert told.out == ""
    assert f"{paths[1]}: " in told.err
    assert "3 transcribed" in told.err
    assert "1 failed" in told.err
    assert_all_are_done_once(tmp_path / "out", paths)
    summary = json.loads((tmp_path / "out" / "summary.json").read_bytes())
    assert summary["done"] == 3
    assert summary["failures"] == {"AudioError": 1}
    assert summary["cost_per_audio_hour"] == pytest.approx(summary["cost"] / summary["audio_h"], rel=0.02)
    assert summary["cost"] == pytest.approx(2 * summary["wall_s"] / 3600, rel=0.01)
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("part-*")}
    assert run(command) == 0
    assert "0 transcribed" in capfd.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("part-*")} == before
    # What failed is mended, and tried again when that is asked for.
    Path(paths[1]).write_bytes(spoken_sentences[1])
    assert run([*command, "--retry-failed"]) == 0
    assert "1 transcribed" in capfd.readouterr().err


def test_killed_at_random_moments_it_loses_and_repeats_nothing(
    tmp_path, write_recordings, assert_all_are_done_once, finished_lines, pytestconfig
):
    """The same for the process that writes and for the one that transcribes."""
    draw = random.Random(pytestconfig.getoption("--seed"))
    kills = pytestconfig.getoption("--kills")
    paths = write_recordings(tmp_path / "calls", 6 + 2 * kills)
    output = tmp_path / "out"
    command = [sys.executable, "-c", "from evoxtral.cli.main import main; raise SystemExit(main())", "batch"]
    kept: set[bytes] = set()
    for number in range(kills):
        wanted = finished_lines(output) + draw.randint(0, 3)
        batch = subprocess.Popen([*command, str(tmp_path / "calls"), str(output)], stderr=subprocess.DEVNULL)
        watch = threading.Event()
        for _ in range(WAIT_S * 50):
            if finished_lines(output) >= wanted or batch.poll() is not None:
                break
            watch.wait(0.02)
        watch.wait(draw.random() / 2)
        workers = children_of(batch.pid)
        victim = workers[0] if workers and number % 2 else batch.pid
        try:
            os.kill(victim, signal.SIGKILL)
        except ProcessLookupError:
            break  # all was done
        if victim != batch.pid:
            watch.wait(draw.random())
            batch.kill()
        batch.wait(WAIT_S)
        now = {line for path in output.glob("*-*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]}
        assert kept <= now
        kept = now
    assert run(["batch", str(tmp_path / "calls"), str(output)]) in (0, 1)
    assert_all_are_done_once(output, paths)


def children_of(process: int) -> list[int]:
    """Processes that a process has started, without Python's own helper for shared resources."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            if parent == process and b"spawn_main" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def test_a_recording_that_kills_its_process_is_failed_and_the_others_are_done(tmp_path, write_recordings, monkeypatch):
    paths = write_recordings(tmp_path / "calls", 4)
    # A worker unpickles what it gets: this item ends it, as a crash in a decoder would.
    items = [*(BatchItem(path, path) for path in paths), Deadly("x", "x.wav")]
    monkeypatch.setattr("evoxtral.batch.running.read_items", lambda source: items)
    output = str(tmp_path / "out")
    settings = BatchSettings(WorkerSettings(options=TranscribeOptions(times=False)))
    failures = []
    summary = run_batch("calls", output, settings, on_failure=failures.append)
    assert summary.done == 3
    assert {failure.id: failure.error.kind for failure in failures} == {paths[1]: "AudioError", "x": "WorkerDied"}


class Deadly(BatchItem):
    def __reduce__(self):
        return os._exit, (3,)


def test_a_model_that_is_not_there_is_said_and_nothing_is_written_for_recordings(
    tmp_path, write_recordings, finished_lines
):
    write_recordings(tmp_path / "calls", 2)
    settings = BatchSettings(WorkerSettings(model=str(tmp_path / "no-model"), offline=True))
    with pytest.raises(EvoxtralError, match="no-model"):
        run_batch(str(tmp_path / "calls"), str(tmp_path / "out"), settings)
    assert finished_lines(tmp_path / "out") == 0
