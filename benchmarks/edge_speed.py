"""Time and memory of the edge model on the CPU: cold start, a ten-minute file, and faster-whisper beside it.

    python benchmarks/edge_speed.py [--model edge] [--audio talk.wav] [--output benchmarks/results/edge_speed.json]

Every figure is of a whole process, from its start to its end, so that imports and loading count. Without --audio the
local voice makes ten minutes of tagged speech. Budgets: 5 s clip <= 2.5 s; ten minutes: real-time factor <= 0.06 and
<= 700 MB, on two cores. faster-whisper runs its own batched pipeline on the same weights, without and with word times.
A folder of short clips is of the set of real recordings, with each side in one process for all of them; the parts of
the cold start are taken one after the other in a process of their own. On a busy machine look at the CPU seconds: the
wall time of an idle one is about half of them on two cores.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, resample
from evoxtral.bench.testset import find_testset, load_testset
from evoxtral.cpu import usable_cores
from evoxtral.models import resolve_model
from evoxtral.tts import load_speech_engine

LONG_S = 600
SHORT_S = 5
FOLDER_CLIPS = 200
SENTENCES = (
    "[calm] The train leaves at seven, and we have to be at the station half an hour before that.",
    "[excited] You will NEVER guess who called me this morning! [laughs]",
    "I told them that the report was finished, but nobody had read a single page of it.",
    "[sighs] We could take the long way round, through the village and over the bridge.",
    "[whispers] Do not turn around now, he is standing right behind you. [pause] Keep walking.",
    "When my grandfather was young, this street was a field, and there were horses where the bank is.",
    "[angry] How many times do I have to say it? Nobody touches the blue folder!",
    "There are three things to remember: the key, the number on the door, and the name of the dog.",
)

FASTER_WHISPER = """
import sys
from faster_whisper import BatchedInferencePipeline, WhisperModel
folder, audio, threads, words = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4] == "words"
model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)
segments, _ = BatchedInferencePipeline(model).transcribe(
    audio, language="en", beam_size=1, suppress_tokens=[], word_timestamps=words
)
print(" ".join(segment.text.strip() for segment in segments))
"""

FASTER_WHISPER_FOLDER = """
import sys
from pathlib import Path
from faster_whisper import WhisperModel
folder, clips, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = WhisperModel(folder, device="cpu", compute_type="int8", cpu_threads=threads, local_files_only=True)
for clip in sorted(Path(clips).iterdir()):
    segments, _ = model.transcribe(str(clip), language="en", beam_size=1, suppress_tokens=[], without_timestamps=True)
    print(" ".join(segment.text.strip() for segment in segments))
"""

# Each step of a cold start by itself, in the order in which they come; seconds.
COLD_START = """
import json, sys, time
steps, last = {}, time.perf_counter()
def done(name):
    global last
    now = time.perf_counter()
    steps[name], last = round(now - last, 3), now
import numpy
done("import numpy")
import ctranslate2
done("import ctranslate2")
import onnxruntime
done("import onnxruntime")
import av
done("import av")
import tokenizers
import faster_whisper.feature_extractor
done("import tokenizers, faster_whisper")
from evoxtral.audio import load_audio
from evoxtral.inference import load_engine
from evoxtral.inference.chunking import cut_windows
from evoxtral.inference.many import ManyTranscriber
done("import evoxtral")
engine = load_engine(sys.argv[1])
done("load the model")
samples = load_audio(sys.argv[2])
done("decode the clip")
windows = [window.samples for window in cut_windows([samples], engine.max_window_s)]
done("find speech")
engine._encode(windows)
done("encode")
text = engine.transcribe_windows(windows)
done("write")
print(json.dumps(steps))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="edge", help="edge, or the folder of a CTranslate2 Whisper")
    parser.add_argument("--audio", type=Path, help="a recording of at least ten minutes")
    parser.add_argument("--clips", type=int, default=FOLDER_CLIPS, help="how many short clips the folder has")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each; the best and the median are reported")
    parser.add_argument("--output", type=Path, help="write the figures as JSON")
    arguments = parser.parse_args()
    folder = str(resolve_model(arguments.model))
    evoxtral = [sys.executable, "-m", "evoxtral.cli.main", "transcribe", "--model", arguments.model]
    with tempfile.TemporaryDirectory() as name:
        long, short = make_audio(Path(name), arguments.audio)
        clips = copy_clips(Path(name) / "clips", arguments.clips)
        clips_s = sum(len(load_audio(clip)) for clip in clips.iterdir()) / SAMPLE_RATE_HZ
        faster = [sys.executable, "-c", FASTER_WHISPER, folder, str(long), str(usable_cores())]
        runs: dict[str, tuple[float, list[str]]] = {
            "evoxtral, 5 s clip, txt": (SHORT_S, [*evoxtral, str(short)]),
            "evoxtral, 5 s clip, json (with times)": (SHORT_S, [*evoxtral, "--format", "json", str(short)]),
            "evoxtral, 10 minutes, txt": (LONG_S, [*evoxtral, str(long)]),
            "evoxtral, 10 minutes, json (with times)": (LONG_S, [*evoxtral, "--format", "json", str(long)]),
            "faster-whisper batched, 10 minutes": (LONG_S, [*faster, "text"]),
            "faster-whisper batched, 10 minutes, word times": (LONG_S, [*faster, "words"]),
        }
        of_folder: dict[str, tuple[float, list[str]]] = {
            f"evoxtral, {arguments.clips} clips, txt": (clips_s, [*evoxtral, str(clips)]),
            f"faster-whisper, {arguments.clips} clips": (
                clips_s,
                [sys.executable, "-c", FASTER_WHISPER_FOLDER, folder, str(clips), str(usable_cores())],
            ),
        }
        # Interleaved, so that a busy minute does not fall on one of them alone.
        measured: dict[str, list[dict[str, float]]] = {label: [] for label in runs}
        for _ in range(arguments.repeat):
            for label, (_, command) in runs.items():
                measured[label].append(measure(command))
        # Once: they take long enough to even out what else goes on.
        measured |= {label: [measure(command)] for label, (_, command) in of_folder.items()}
        runs |= of_folder
        cold_start = [sys.executable, "-c", COLD_START, arguments.model, str(short)]
        steps = json.loads(subprocess.run(cold_start, capture_output=True, check=True).stdout)
    print(f"{'':50} {'wall s':>8} {'median':>8} {'CPU s':>8} {'RTF':>8} {'peak MB':>8} {'words':>6}")
    report = {}
    for label, (audio_s, _) in runs.items():
        best = min(measured[label], key=lambda run: run["wall_s"])
        median_s = float(np.median([run["wall_s"] for run in measured[label]]))
        report[label] = {**best, "median_wall_s": round(median_s, 2), "real_time_factor": best["wall_s"] / audio_s}
        print(
            f"{label:50} {best['wall_s']:8.2f} {median_s:8.2f} {best['cpu_s']:8.2f} {best['wall_s'] / audio_s:8.4f} "
            f"{best['peak_mb']:8.0f} {best['words']:6.0f}"
        )
    print("cold start: " + ", ".join(f"{step} {took_s:.2f} s" for step, took_s in steps.items()))
    if arguments.output:
        about = {
            "model": arguments.model,
            "audio": "given" if arguments.audio else "local voice",
            "cores": usable_cores(),
            "machine": platform.processor() or platform.machine(),
            "load_average": os.getloadavg(),
            "clips_s": round(clips_s, 1),
            "runs": report,
            "cold_start_s": steps,
        }
        arguments.output.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")


def make_audio(folder: Path, given: Path | None) -> tuple[Path, Path]:
    """Write the long and the short recording."""
    samples = load_audio(given) if given else speak(LONG_S)
    if len(samples) < LONG_S * SAMPLE_RATE_HZ:
        sys.exit(f"{given}: is shorter than {LONG_S} s")
    long, short = folder / "long.wav", folder / "short.wav"
    soundfile.write(long, samples[: LONG_S * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    soundfile.write(short, samples[: SHORT_S * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
    return long, short


def copy_clips(folder: Path, count: int) -> Path:
    """So many of the set of real recordings, in the order of their names."""
    testset = load_testset(find_testset("real"))
    folder.mkdir()
    for reference in sorted(testset.references, key=lambda reference: reference.id)[:count]:
        shutil.copy(testset.audio_path(reference), folder)
    return folder


def speak(duration_s: float) -> np.ndarray:
    """Tagged speech of several local voices with half-second pauses, at least so long."""
    engine = load_speech_engine("local")
    voices = [voice.name for voice in engine.voices()][:6]
    parts: list[np.ndarray] = []
    total = number = 0
    while total < duration_s * SAMPLE_RATE_HZ:
        speech = engine.speak(SENTENCES[number % len(SENTENCES)], voice=voices[number % len(voices)], seed=number)
        sound = resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
        parts += [sound, np.zeros(SAMPLE_RATE_HZ // 2, np.float32)]
        total += len(sound) + SAMPLE_RATE_HZ // 2
        number += 1
    return np.concatenate(parts)


def measure(command: Sequence[str]) -> dict[str, float]:
    """Run a process to its end: wall and CPU seconds, peak memory, and the words that it wrote."""
    begin = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        wall_s = time.perf_counter() - begin
        if status:
            sys.exit(f"failed: {' '.join(command)}")
        output.seek(0)
        text = output.read().decode()
    text = json.loads(text)["text"] if text.startswith("{") else text
    return {
        "wall_s": round(wall_s, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mb": round(usage.ru_maxrss / 1024),
        "words": len(text.split()),
    }


if __name__ == "__main__":
    main()
