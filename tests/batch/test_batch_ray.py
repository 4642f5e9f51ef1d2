"""The same batches on a real Ray cluster of two nodes, whose processes are killed."""

import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from evoxtral.batch import BatchSettings, run_batch
from evoxtral.batch.worker import WorkerSettings
from evoxtral.errors import EvoxtralError
from evoxtral.inference.options import TranscribeOptions

ray = pytest.importorskip("ray")
WAIT_S = 900  # only for a test that has failed already
COMMAND = [sys.executable, "-c", "from evoxtral.cli.main import main; raise SystemExit(main())", "batch"]


@pytest.fixture(scope="module")
def cluster():
    """Two nodes of this machine; gives the address. Each holds one actor and the decoding beside it."""
    from ray.cluster_utils import Cluster

    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    nodes.add_node(num_cpus=2)
    yield nodes.address
    nodes.shutdown()


def actors() -> list[int]:
    """The processes of this machine that hold an engine for a batch."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"_Actor" in (folder / "cmdline").read_bytes() or b"MapWorker" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


def _lines(output: Path) -> set[bytes]:
    """The results that are written whole."""
    return {line for path in output.glob("*-*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]}


def test_two_nodes_lose_and_repeat_nothing_whoever_is_killed(
    tmp_path, cluster, write_recordings, assert_all_are_done_once, pytestconfig
):
    draw = random.Random(pytestconfig.getoption("--seed"))
    kills = pytestconfig.getoption("--kills")
    paths = write_recordings(tmp_path / "calls", 6 + 4 * kills)
    outputs = [tmp_path / "out0"]

    def command() -> list[str]:
        return [*COMMAND, str(tmp_path / "calls"), str(outputs[-1]), "--ray", cluster, "--workers", "2"]

    watch = threading.Event()
    kept: set[bytes] = set()
    done = 0
    while done < kills:
        if len(kept) == len(paths):  # all was done before so many kills: once more
            assert_all_are_done_once(outputs[-1], paths)
            outputs.append(tmp_path / f"out{len(outputs)}")
            kept = set()
        batch = subprocess.Popen(command(), stderr=subprocess.DEVNULL)
        # Half of the time while it starts, half of the time after so many further results, at whatever that is then.
        results = draw.choice([0, draw.randint(1, 8)])
        for _ in range(WAIT_S * 10):
            has_begun = len(_lines(outputs[-1])) >= len(kept) + results if results else bool(actors())
            if has_begun or batch.poll() is not None:
                break
            watch.wait(0.1)
        # First an actor, whose work Ray gives to another; then the process that writes.
        watch.wait(draw.random() * 3)
        found = actors()
        # What has ended by itself is nobody's victim.
        for victim in [*found[: draw.randint(0, 1)], *([batch.pid] if batch.poll() is None else [])]:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
            done += 1
            watch.wait(draw.random() * 3)
        batch.wait(WAIT_S)
        now = _lines(outputs[-1])
        assert kept <= now
        kept = now
    assert subprocess.run(command(), stderr=subprocess.DEVNULL, timeout=WAIT_S, check=False).returncode in (0, 1)
    assert_all_are_done_once(outputs[-1], paths)


def test_an_address_without_a_cluster_is_said(tmp_path, write_recordings):
    write_recordings(tmp_path / "calls", 2)
    settings = BatchSettings(WorkerSettings(options=TranscribeOptions(times=False)), ray_address="127.0.0.1:1")
    with pytest.raises(EvoxtralError, match=r"no Ray cluster at 127\.0\.0\.1:1"):
        run_batch(str(tmp_path / "calls"), str(tmp_path / "out"), settings)
