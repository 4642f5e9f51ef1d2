"""64 uploads at once: only 200 and 503 come back, memory stays flat, and it takes no longer than the command line.

    python benchmarks/server_load.py [--files 64] [--rounds 3] [--output benchmarks/results/server_load.json]

The local voice makes files of a few seconds. `evoxtral transcribe` does all of them in one call, start to end; then
`evoxtral serve`, warm, gets all of them at once, in rounds; who gets 503 comes again after Retry-After. Told are the
statuses, the server's memory through the rounds (its decoding processes apart), and its throughput against the command
line's in the same run. Goals: no status but 200 and 503, memory flat, throughput >= 0.9 of the command line's.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import httpx
import soundfile

from evoxtral.tts import load_speech_engine

SENTENCES = (
    "[calm] The train leaves at seven, and we have to be at the station half an hour before that.",
    "[excited] You will NEVER guess who called me this morning! [laughs]",
    "I told them that the report was finished, but nobody had read a single page of it.",
    "[sighs] We could take the long way round, through the village and over the bridge.",
)
COMMAND = [sys.executable, "-m", "evoxtral.cli.main"]
SAMPLED_EVERY_S = 0.5
PATIENCE_S = 1200.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files, audio_s = make_files(folder / "in", arguments.files)
        load_before = os.getloadavg()
        started_s = time.monotonic()
        subprocess.run(
            [*COMMAND, "transcribe", str(folder / "in"), "--format", "json", "--output-dir", str(folder / "out")],
            check=True,
        )
        batch_s = time.monotonic() - started_s
        with serving(folder) as (address, pid):
            rounds = []
            with sampling(pid) as memory_mb:
                for _ in range(arguments.rounds):
                    rounds.append(upload_all(address, files))
                    memory_mb.append((None, rss_mb(pid)))  # the end of a round
    ends_mb = [used for at_s, used in memory_mb if at_s is None]
    best = min(rounds, key=lambda one: one["wall_s"])
    report = {
        "date": datetime.now(UTC).date().isoformat(),
        "command": f"python benchmarks/server_load.py --files {arguments.files} --rounds {arguments.rounds}",
        "machine": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "load_average": {"before": load_before, "after": os.getloadavg()},
        "versions": {name: version(name) for name in ("evoxtral", "ctranslate2", "av", "uvicorn")},
        "files": arguments.files,
        "audio_s": round(audio_s, 1),
        "batch_command_line_s": round(batch_s, 2),
        "rounds": rounds,
        "throughput_against_the_command_line": {
            "best_round": round(batch_s / best["wall_s"], 3),
            "each_round": [round(batch_s / one["wall_s"], 3) for one in rounds],
        },
        "rss_mb": {
            "after_each_round": ends_mb,
            "peak": max(used for _, used in memory_mb),
            "series": [(at_s, used) for at_s, used in memory_mb if at_s is not None][::4],
        },
    }
    print(json.dumps(report, indent=2))
    if arguments.output:
        arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def make_files(folder: Path, count: int) -> tuple[list[Path], float]:
    """Write files of the local voice; gives them and their length in all."""
    folder.mkdir()
    voice = load_speech_engine("local")
    voices = [found.name for found in voice.voices()][:4]
    files, audio_s = [], 0.0
    for number in range(count):
        speech = voice.speak(SENTENCES[number % 4], voice=voices[number // 4 % 4], seed=number % 16)
        files.append(folder / f"{number:03}.wav")
        soundfile.write(files[-1], speech.samples, speech.sample_rate_hz)
        audio_s += speech.duration_s
    return files, audio_s


@contextmanager
def serving(folder: Path) -> Iterator[tuple[str, int]]:
    """A warm server as a user starts it, its address and process."""
    server = subprocess.Popen(
        [*COMMAND, "serve", "--port", "0", "--no-store"], stderr=subprocess.PIPE, text=True, cwd=folder
    )
    try:
        assert server.stderr is not None
        line = server.stderr.readline()
        address = next(word for word in line.split() if word.startswith("http"))
        threading.Thread(target=server.stderr.read, daemon=True).start()
        while httpx.get(f"{address}/ready").status_code != httpx.codes.OK:
            time.sleep(0.2)
        yield address, server.pid
    finally:
        server.terminate()
        server.wait()


@contextmanager
def sampling(pid: int) -> Iterator[list[tuple[float | None, float]]]:
    """The process's memory, twice a second."""
    samples: list[tuple[float | None, float]] = []
    over, started_s = threading.Event(), time.monotonic()

    def sample() -> None:
        while not over.wait(SAMPLED_EVERY_S):
            samples.append((round(time.monotonic() - started_s, 1), rss_mb(pid)))

    thread = threading.Thread(target=sample)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def rss_mb(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)


def upload_all(address: str, files: list[Path]) -> dict[str, object]:
    """Send all files at once, and again those that are told to come later."""
    statuses: Counter[str] = Counter()

    def send(file: Path) -> float:
        started_s = time.monotonic()
        with httpx.Client(timeout=PATIENCE_S) as client:
            while True:
                answer = client.post(f"{address}/transcribe", files={"file": (file.name, file.read_bytes())})
                statuses[str(answer.status_code)] += 1
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    return time.monotonic() - started_s
                time.sleep(float(answer.headers["Retry-After"]))

    started_s = time.monotonic()
    with ThreadPoolExecutor(len(files)) as pool:
        waits_s = sorted(pool.map(send, files))
    return {
        "wall_s": round(time.monotonic() - started_s, 2),
        "statuses": dict(statuses),
        "answer_p50_s": round(waits_s[len(waits_s) // 2], 2),
        "answer_max_s": round(waits_s[-1], 2),
    }


if __name__ == "__main__":
    main()
