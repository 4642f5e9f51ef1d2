"""A temporary folder that is full, or from which nothing can be run: real ones, where this user may mount them."""

import contextlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import soundfile

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a file system in memory with some options, and takes it away after the test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    mounted: list[Path] = []

    def make(options: str) -> Path:
        made = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
        )
        if made.returncode:
            pytest.skip(f"this user may mount nothing: {made.stderr.strip()}")
        mounted.append(folder)
        return folder

    if sys.platform != "linux":
        pytest.skip("file systems are mounted otherwise here")
    yield make
    for path in mounted:
        subprocess.run(["umount", str(path)], check=True)


def run(temporary: Path, *arguments: object, sound: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-c", "from evoxtral.cli.main import main; raise SystemExit(main())", *map(str, arguments)],
        input=sound,
        capture_output=True,
        check=False,
        env=os.environ | {"TMPDIR": str(temporary)},
    )


def fill(folder: Path) -> None:
    file = os.open(folder / "filled", os.O_CREAT | os.O_WRONLY)
    with contextlib.suppress(OSError):
        while os.write(file, bytes(1024)):
            pass
    os.close(file)
    assert shutil.disk_usage(folder).free == 0


def test_speech_needs_no_temporary_folder_to_run_programs_in_nor_room_there(mount: Mount, tmp_path: Path) -> None:
    folder = mount("noexec,size=64k")
    fill(folder)
    spoken = folder.parent / "out.wav"
    assert run(folder, "speak", "Hello there, [laughs] my friend.", "--output", spoken).returncode == 0
    assert soundfile.info(spoken).duration > 1.0
    assert [file.name for file in folder.iterdir()] == ["filled"]


def test_a_long_recording_from_a_pipe_and_no_room_for_it_is_one_line(mount: Mount) -> None:
    folder = mount("size=64k")
    samples = bytes(40 << 20)
    header = b"RIFF" + (36 + len(samples)).to_bytes(4, "little") + b"WAVEfmt \x10\0\0\0\1\0\1\0"
    header += (16_000).to_bytes(4, "little") + (32_000).to_bytes(4, "little") + b"\2\0\x10\0data"
    done = run(folder, "transcribe", "-", sound=header + len(samples).to_bytes(4, "little") + samples)
    assert (done.returncode, done.stdout) == (2, b"")
    (line,) = done.stderr.decode().splitlines()
    assert "No space left on device (make room, or set TMPDIR to a folder that has some)" in line
