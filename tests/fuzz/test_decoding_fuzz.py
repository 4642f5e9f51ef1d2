"""Thousands of damaged files: each is decoded, or refused in one line, within bounds of memory and time.

`pytest tests/fuzz` tries 500 mutations with a fixed seed; `pytest tests/fuzz --mutations 10000 --seed N` more of
them. A worker process with a bound of memory tries one file after the other and says what became of each; one that
dies or stands still has named the file it was at.
"""

import json
import os
import select
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

RATE_HZ = 48_000
SECONDS = 2.0
MEMORY_BYTES = 2 << 30
MOST_S = 60.0  # for one file, where one takes milliseconds

# Container of FFmpeg, codec and options.
KINDS: dict[str, tuple[str, str, dict[str, str]]] = {
    "wav": ("wav", "pcm_s16le", {}),
    "flac": ("flac", "flac", {}),
    "mp3": ("mp3", "libmp3lame", {}),
    "ogg": ("ogg", "flac", {}),
    "opus": ("ogg", "libopus", {}),
    "m4a": ("ipod", "aac", {}),
    "fragmented mp4": ("mp4", "aac", {"movflags": "frag_keyframe+empty_moov", "frag_duration": "300000"}),
    "mkv": ("matroska", "aac", {}),
    "webm": ("webm", "libopus", {}),
    "avi": ("avi", "pcm_s16le", {}),
    "caf": ("caf", "pcm_s16be", {}),
    "aac": ("adts", "aac", {}),
    "ts": ("mpegts", "aac", {}),
    "wma": ("asf", "wmav2", {}),
    "aiff": ("aiff", "pcm_s16be", {}),
}

WORKER = """
import json, resource, sys
import numpy as np
from evoxtral.audio import open_audio
from evoxtral.errors import AudioError
limit = int(sys.argv[1])
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for line in sys.stdin:
    path = line.strip()
    try:
        with open_audio(path) as reader:
            samples = sum(len(block) for block in reader.blocks())
            answer = {"samples": samples, "notes": reader.notes}
    except AudioError as error:
        answer = {"error": str(error)}
    print(json.dumps(answer), flush=True)
"""


def write(kind: str, path: Path) -> bytes:
    container_format, codec, options = KINDS[kind]
    time_s = np.arange(round(SECONDS * RATE_HZ)) / RATE_HZ
    sound = (0.4 * np.sin(2 * np.pi * 440 * time_s * (1 + 0.1 * time_s))).astype(np.float32)
    with av.open(path, "w", format=container_format, options=options) as container:
        stream = container.add_stream(codec, rate=RATE_HZ, layout="mono")
        if codec == "wmav2":  # which has no bit rate of its own accord
            stream.bit_rate = 64_000
        frame = av.AudioFrame.from_ndarray(sound[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE_HZ, 0
        resampler = av.AudioResampler(stream.codec_context.format, "mono", RATE_HZ)
        for out in [*resampler.resample(frame), *resampler.resample(None), None]:
            container.mux(stream.encode(out))
    return path.read_bytes()


def mutate(data: bytes, other: bytes, rng: np.random.Generator) -> bytes:
    """Damage a file as disks, networks and attackers do: bits, numbers, holes, cuts, repeats, splices."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 5))):
        size = len(changed)
        if size < 16:
            break
        # Headers are hit as often as everything else.
        at = int(rng.integers(0, min(size, 400) if rng.random() < 0.5 else size))
        length = int(rng.integers(1, max(2, size // 8)))
        kind = int(rng.integers(0, 8))
        if kind == 0:
            changed[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            changed[at : at + 4] = rng.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x80"])
        elif kind == 2:
            changed[at : at + length] = rng.bytes(min(length, size - at))
        elif kind == 3:
            changed[at : at + length] = bytes(min(length, size - at))
        elif kind == 4:
            del changed[at : at + length]
        elif kind == 5:
            del changed[max(at, 16) :]
        elif kind == 6:
            changed[at:at] = changed[at : at + length]
        else:
            start = int(rng.integers(0, len(other)))
            changed[at:at] = other[start : start + length]
    return bytes(changed)


class Worker:
    """Tries files one after the other; started again after a death."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WORKER, str(MEMORY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONFAULTHANDLER": "1"},
        )

    def answer(self, path: Path) -> dict[str, object]:
        """What became of a file: samples and notes, or its error; or how the worker ended."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        ready, _, _ = select.select([self.process.stdout], [], [], MOST_S)
        if not ready:
            return {"fatal": f"nothing within {MOST_S:.0f} s"}
        line = self.process.stdout.readline()
        if not line:
            return {"fatal": self.process.stderr.read()[-1500:]}
        answer: dict[str, object] = json.loads(line)
        return answer

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()


def test_every_damaged_file_is_decoded_or_refused_in_one_line(tmp_path: Path, pytestconfig: pytest.Config) -> None:
    count, seed = pytestconfig.getoption("--mutations"), pytestconfig.getoption("--seed")
    rng = np.random.default_rng(seed)
    wholes = {kind: write(kind, tmp_path / "whole") for kind in KINDS}
    kinds = list(KINDS)
    faults: list[str] = []
    outcomes = {"decoded": 0, "refused": 0}
    worker = Worker()
    try:
        for number in range(count):
            kind, other = kinds[number % len(kinds)], kinds[int(rng.integers(0, len(kinds)))]
            path = tmp_path / f"mutation-{number}"
            path.write_bytes(mutate(wholes[kind], wholes[other], rng))
            answer = worker.answer(path)
            if "fatal" in answer:
                faults.append(f"{path} ({kind}): {answer['fatal']}")
                worker.close()
                worker = Worker()
                continue
            error = answer.get("error")
            outcomes["refused" if error else "decoded"] += 1
            if error and (not str(error).startswith(str(path)) or "\n" in str(error)):
                faults.append(f"{path} ({kind}): {error}")
            else:
                path.unlink()
    finally:
        worker.close()
    assert not faults, f"{len(faults)} of {count} (seed {seed}):\n" + "\n".join(faults[:10])
    # Neither a reader that refuses everything nor damage that does nothing.
    assert min(outcomes.values()) > count // 20, outcomes


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_whole_before_they_are_damaged(kind: str, tmp_path: Path) -> None:
    write(kind, tmp_path / "whole")
    worker = Worker()
    answer = worker.answer(tmp_path / "whole")
    worker.close()
    samples = answer["samples"]
    assert isinstance(samples, int)
    assert samples / 16_000 == pytest.approx(SECONDS, abs=0.15)
    assert answer["notes"] == []
