"""A child gives what this process would have decoded; its end, whatever it is, is one line, and the next is served."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.audio import SAMPLE_RATE_HZ, Hole, load_audio, open_audio, write_audio
from evoxtral.audio.decoding_process import DecodingProcesses, Limits
from evoxtral.errors import AudioError


@pytest.fixture(scope="module")
def processes() -> Iterator[DecodingProcesses]:
    started = DecodingProcesses()
    yield started
    started.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, 25 * SAMPLE_RATE_HZ).astype(np.float32)
    write_audio(tmp_path / "clip.flac", samples, SAMPLE_RATE_HZ)
    return tmp_path / "clip.flac"


def test_blocks_are_those_of_the_same_process(processes: DecodingProcesses, clip: Path) -> None:
    with processes.open(clip) as recording:
        blocks = list(recording.blocks())
    assert [len(block) for block in blocks] == [10 * SAMPLE_RATE_HZ, 10 * SAMPLE_RATE_HZ, 5 * SAMPLE_RATE_HZ]
    np.testing.assert_array_equal(np.concatenate(blocks), load_audio(clip))
    assert (recording.name, recording.channels, recording.declared_duration_s) == (str(clip), 1, 25.0)
    assert (recording.holes, recording.notes) == ([], [])


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".opus"])
def test_whatever_holds_the_sound(processes: DecodingProcesses, suffix: str, clip: Path, tmp_path: Path) -> None:
    """Files, and what has no number: a child may open nothing but what it is given, and needs nothing else."""
    path = tmp_path / f"again{suffix}"
    write_audio(path, load_audio(clip), SAMPLE_RATE_HZ)
    for source in (path, io.BytesIO(path.read_bytes())):
        with processes.open(source, name="again") as recording:
            np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), load_audio(path))


def test_a_channel_is_heard_alone(processes: DecodingProcesses, tmp_path: Path) -> None:
    left, right = np.full((2, SAMPLE_RATE_HZ), [[0.25], [-0.5]])
    soundfile.write(tmp_path / "two.wav", np.stack([left, right], axis=1), SAMPLE_RATE_HZ, subtype="FLOAT")
    for channel, level in ((0, 0.25), (1, -0.5)):
        with processes.open(tmp_path / "two.wav", channel=channel) as recording:
            assert recording.channels == 2
            np.testing.assert_array_equal(np.concatenate(list(recording.blocks())), np.float32(level))


def test_holes_are_known_before_the_sound_around_them(processes: DecodingProcesses, clip: Path, tmp_path: Path) -> None:
    """A packet in the middle of an Ogg file is damaged: what is told is what this process finds."""
    path = tmp_path / "hole.opus"
    write_audio(path, load_audio(clip), SAMPLE_RATE_HZ)
    content = bytearray(path.read_bytes())
    pages = [at for at in range(len(content)) if content[at : at + 4] == b"OggS"]
    middle = pages[len(pages) // 2]
    content[middle + 60] ^= 0xFF  # its checksum is wrong, so that it is left out
    path.write_bytes(content)
    with open_audio(path) as expected:
        sound = np.concatenate(list(expected.blocks()))
    assert expected.holes
    with processes.open(path) as recording:
        seen: list[list[Hole]] = []
        blocks = []
        for block in recording.blocks():
            blocks.append(block)
            seen.append(list(recording.holes))
    np.testing.assert_array_equal(np.concatenate(blocks), sound)
    assert (recording.holes, recording.notes) == (expected.holes, expected.notes)
    behind = int(expected.holes[0].end_s // 10)
    assert seen[behind] == expected.holes


def test_errors_keep_their_words(processes: DecodingProcesses, tmp_path: Path) -> None:
    cut = tmp_path / "cut.wav"
    write_audio(cut, np.zeros(SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)
    cut.write_bytes(cut.read_bytes()[:-1000])
    with (
        pytest.raises(AudioError, match=r"^mine: is truncated: 1000 of its 32000 bytes") as caught,
        processes.open(cut, name="mine"),
    ):
        pass
    assert caught.value.hint == "copy or download it again"
    with pytest.raises(AudioError, match="gone: cannot be read"), processes.open(tmp_path / "gone"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="the address space is bounded on Linux only")
def test_too_little_memory_is_one_line(clip: Path) -> None:
    processes = DecodingProcesses(Limits(memory_bytes=4096))
    with pytest.raises(AudioError, match=r"^clip: "), processes.open(clip, name="clip") as recording:
        list(recording.blocks())
    processes.close()


def test_a_child_that_gives_nothing_is_given_up(clip: Path) -> None:
    processes = DecodingProcesses(Limits(block_s=0.0))
    with pytest.raises(AudioError, match="clip: is not decoded within 0 s"), processes.open(clip, name="clip"):
        pass
    processes.close()


def children_of(pid: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    return [int(line) for line in found.stdout.split()]


def test_what_a_killed_child_was_at_is_one_line_and_the_next_is_served(
    processes: DecodingProcesses, tmp_path: Path
) -> None:
    """A crash looks like this to the parent. Four minutes do not fit into a pipe, so that the child is still there."""
    long = tmp_path / "long.wav"
    write_audio(long, np.zeros(240 * SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)
    with processes.open(long) as recording:
        assert processes._forker is not None
        (child,) = children_of(processes._forker.pid)
        os.kill(child, signal.SIGKILL)
        with pytest.raises(AudioError, match=r"long\.wav: cannot be decoded: the decoder crashed"):
            list(recording.blocks())
    with processes.open(long) as recording:
        assert sum(len(block) for block in recording.blocks()) == 240 * SAMPLE_RATE_HZ


def test_a_child_that_nobody_listens_to_is_ended(processes: DecodingProcesses, tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    write_audio(long, np.zeros(240 * SAMPLE_RATE_HZ, np.float32), SAMPLE_RATE_HZ)
    with processes.open(long) as recording:
        next(recording.blocks())
    with processes.open(long) as recording:  # asked for after the end of the first was, and in order
        assert processes._forker is not None
        assert len(children_of(processes._forker.pid)) == 1


def test_a_forker_that_was_killed_is_started_again(clip: Path) -> None:
    processes = DecodingProcesses()
    processes.start()
    assert processes._forker is not None
    processes._forker.kill()
    with processes.open(clip) as recording:
        assert len(list(recording.blocks())) == 3
    processes.close()


def test_a_child_can_open_nothing_else(tmp_path: Path) -> None:
    """The bounds of a child, in a child: neither a file nor a socket, whatever a decoder might try."""
    program = """
import os, socket, sys
from evoxtral.audio.decoding_child import _bound
recording, pipe = os.open(sys.argv[1], os.O_RDONLY), os.dup(1)
_bound({"memory_bytes": 1 << 30, "cpu_s": 100}, recording, pipe)
for attempt in (lambda: open("/etc/passwd"), lambda: socket.socket()):
    try:
        attempt()
    except OSError as error:
        os.write(pipe, os.strerror(error.errno).encode() + b";")
os.write(pipe, os.read(recording, 5))
"""
    (tmp_path / "given").write_text("given")
    told = subprocess.run([sys.executable, "-c", program, str(tmp_path / "given")], capture_output=True, check=True)
    assert told.stdout == b"Too many open files;Too many open files;given"
