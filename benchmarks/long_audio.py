"""An hour of joined clips, transcribed by the command line: is the text whole, and does memory stay flat?

    python benchmarks/long_audio.py [SET.jsonl] [--minutes 10 60] [--output benchmarks/results/long_audio.json]

SET.jsonl is a manifest of recordings with its tar beside it, of which the `test` clips are used; without it the local
voice speaks plain sentences. Clips are joined in random order, with pauses of 0.3 to 1.5 s between, and come again when
all were used. The whole text is compared with the joined truth. Memory is the child's resident set, read twice a second
from /proc (Linux): its peak, and its mean in each tenth of the time.
"""

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import jiwer
import numpy as np
import soundfile
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.bench.normalization import normalise_english
from evoxtral.data.recording_sets import RecordingSet
from evoxtral.tts import load_speech_engine

SENTENCES = (
    "The train leaves at seven, and we have to be at the station half an hour before that.",
    "Nobody had read a single page of the report, and now they complain that it is too long.",
    "When my grandfather was young, this street was a field with two cows and a well.",
    "There are three things to remember: the key, the number on the door, and the name of the dog.",
    "Put the boxes over there, please, next to the window, and then come back for the chairs.",
    "We could take the long way round, through the village and over the bridge.",
)
Clip = tuple[NDArray[np.float32], str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[10, 60])
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    clips = spoken() if options.set is None else recorded(options.set)
    results = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}",
        "clips": "local voice" if options.set is None else options.set.stem,
        "runs": [measure(clips, minutes) for minutes in options.minutes],
    }
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        options.output.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


def recorded(manifest: Path) -> list[Clip]:
    recordings = RecordingSet(manifest)
    chosen = [item for item in recordings.recordings if item.split == "test" and item.transcript]
    return [(recordings.read(item), item.transcript) for item in chosen]


def spoken() -> list[Clip]:
    engine = load_speech_engine("local")
    clips = []
    for voice in engine.voices():
        for sentence in SENTENCES:
            speech = engine.speak(sentence, voice=voice.name)
            clips.append((resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ), sentence))
    return clips


def joined(clips: list[Clip], minutes: float) -> Iterator[Clip]:
    rng = np.random.default_rng(0)
    length = 0
    while True:
        for index in rng.permutation(len(clips)):
            samples, text = clips[index]
            if length + len(samples) > minutes * 60 * SAMPLE_RATE_HZ:
                return
            pause = np.zeros(int(rng.uniform(0.3, 1.5) * SAMPLE_RATE_HZ), np.float32)
            length += len(samples) + len(pause)
            yield np.concatenate([samples, pause]), text


def measure(clips: list[Clip], minutes: float) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.flac"
        truth, written = [], 0
        with soundfile.SoundFile(path, "w", SAMPLE_RATE_HZ, 1) as file:
            for samples, text in joined(clips, minutes):
                file.write(samples)
                truth.append(text)
                written += len(samples)
        audio_s = written / SAMPLE_RATE_HZ
        command = [str(Path(sys.executable).with_name("evoxtral")), "transcribe", str(path), "--format", "json"]
        begin = time.perf_counter()
        with subprocess.Popen(command, stdout=(Path(folder) / "out.json").open("wb")) as child:
            resident_mb = []
            while child.poll() is None:
                resident_mb.append(resident(child.pid))
                time.sleep(0.5)
        elapsed_s = time.perf_counter() - begin
        if child.returncode:
            raise SystemExit(f"evoxtral transcribe ended with {child.returncode}")
        transcript = json.loads((Path(folder) / "out.json").read_bytes())
    expected, heard = (normalise_english(text) for text in (" ".join(truth), transcript["plain_text"]))
    words = jiwer.process_words(expected, heard)
    tenths = [round(float(np.mean(part))) for part in np.array_split(np.array(resident_mb), 10) if len(part)]
    result: dict[str, object] = {
        "audio_s": round(audio_s, 1),
        "clips": len(truth),
        "real_time_factor": round(elapsed_s / audio_s, 4),
        "wer_normalized": round(words.wer, 4),
        "words": {
            "said": words.hits + words.substitutions + words.deletions,
            "substituted": words.substitutions,
            "deleted": words.deletions,
            "inserted": words.insertions,
        },
        "tags": len(transcript["tags"]),
        "peak_mb": round(max(resident_mb)),
        "mean_mb_by_tenth": tenths,
    }
    print(json.dumps(result), flush=True)
    return result


def resident(pid: int) -> float:
    """Resident set of a process in MB; 0 once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1000 for line in lines if line.startswith("VmRSS:")), 0.0)


if __name__ == "__main__":
    main()
