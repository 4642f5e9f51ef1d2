"""The exported tagger on recordings: what it hears, how the bench scores it, how fast it is and what memory it takes.

    python eval_runtime.py dump --weights EXPORT --list FILES.txt --output DUMP --workers 16
    python eval_runtime.py score --dump DUMP --references src/evoxtral/bench/testset/references.jsonl --sensitivity 0
    python eval_runtime.py speed --weights EXPORT --list FILES.txt --together 4
    python eval_runtime.py cold --weights EXPORT --file CLIP
    python eval_runtime.py base --weights EXPORT --ct2 CT2_DIR --list FILES.txt

FILES.txt names one recording a line. `dump` writes DUMP.jsonl (text, language, tokens with times) and DUMP.npz (the
tagger's frames and their levels); `score` decides tags from them without any model, so that decisions are tuned in
seconds. `speed` hears 600 s in windows of up to 28 s, in this process; `cold` the first 5 s of one recording; `base`
the same 600 s by CTranslate2's own encoder: encode, write, align. Knows nothing of training.
"""

import argparse
import json
import multiprocessing
import os
import resource
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import scipy.signal
import soundfile
from numpy.typing import NDArray
from tag_decisions import HeardFrames, Thresholds, words_of, write_tags
from tagging_engine import SAMPLE_RATE_HZ, LogMel, SpeakerState, TaggingEngine

_BEGAN_S = time.perf_counter()

_LONGEST_WINDOW_S, _LONGEST_TEST_S, _COLD_CLIP_S = 28, 600, 5
_GAP_S = 0.5  # between the recordings of a window
# Whisper's start of text, English, transcribe, no timestamps.
_PROMPT = [50258, 50259, 50359, 50363]
_MOST_ALIGNED_TOKENS = 224
_MEL_FRAME_SAMPLES = 160

_engine: TaggingEngine | None = None


def read(path: Path | str) -> NDArray[np.float32]:
    """A recording as mono at 16 kHz, shape (n,)."""
    samples, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    samples = samples.mean(1)
    if rate_hz != SAMPLE_RATE_HZ:
        samples = scipy.signal.resample_poly(samples, SAMPLE_RATE_HZ, rate_hz).astype(np.float32)
    return samples


def read_list(path: Path) -> list[str]:
    """The recordings that a list names, one a line."""
    return [line for line in path.read_text().split("\n") if line]


def join_in_windows(paths: Sequence[str]) -> list[NDArray[np.float32]]:
    """Recordings one after the other in windows of up to 28 s, about 600 s of them."""
    made: list[NDArray[np.float32]] = []
    now: list[NDArray[np.float32]] = []
    total = 0
    for path in paths:
        samples = read(path)
        if sum(map(len, now)) + len(samples) > _LONGEST_WINDOW_S * SAMPLE_RATE_HZ:
            made.append(np.concatenate(now))
            now = []
        now += [samples, np.zeros(int(_GAP_S * SAMPLE_RATE_HZ), np.float32)]
        total += len(samples)
        if total > _LONGEST_TEST_S * SAMPLE_RATE_HZ:
            break
    return [*made, np.concatenate(now)]


def _start(folder: Path) -> None:
    global _engine
    os.environ["OMP_NUM_THREADS"] = "1"
    _engine = TaggingEngine(folder, threads=1)


def _hear(path: str) -> tuple[dict[str, Any], NDArray[np.float16]]:
    """One recording: its words, and its frames with the level as the last of 23 columns."""
    assert _engine is not None
    samples = read(path)
    heard = _engine._hear(samples)
    text, mean, no_speech = _engine._decode([heard], "en")[0]
    language = _engine._decoder.detect_language(_engine._view(heard.encoded[None]))[0]
    frames = heard.frames
    columns = (frames.whispers, frames.shouts, frames.stammers, frames.stress)
    packed = np.concatenate(
        [frames.events, *(column[:, None] for column in columns), frames.emotion, frames.level_db[:, None]], 1
    )
    row = {
        "file": path,
        "text": text,
        "mean": mean,
        "no_speech": no_speech,
        "duration": len(samples) / SAMPLE_RATE_HZ,
        "language": language[0][0],
        "tokens": _engine._align(heard, text, "en"),
    }
    return row, packed.astype(np.float16)


def dump(weights: Path, files: Sequence[str], output: Path, workers: int) -> None:
    """Write what the engine hears in each file."""
    frames = {}
    with (
        multiprocessing.get_context("spawn").Pool(workers, _start, (weights,)) as pool,
        output.with_suffix(".jsonl").open("w") as out,
    ):
        for row, packed in pool.imap_unordered(_hear, files, chunksize=2):
            out.write(json.dumps(row) + "\n")
            frames[row["file"].replace("/", "|")] = packed
    np.savez_compressed(output.with_suffix(".npz"), **frames)


def score_dump(dumped: Path, references: Path, sensitivity: float) -> None:
    """Print how the bench scores the tags decided from a dump, of the clips that the references name."""
    from evoxtral.bench.scoring import score

    known = {Path(row["audio"]).name: row for row in map(json.loads, references.open())}
    frames = np.load(dumped.with_suffix(".npz"))
    thresholds = Thresholds().moved(sensitivity)
    expected, written = {}, {}
    for row in map(json.loads, dumped.with_suffix(".jsonl").open()):
        reference = known.get(Path(row["file"]).name)
        if reference is None:
            continue
        packed = frames[row["file"].replace("/", "|")].astype(np.float32)
        heard = HeardFrames(
            packed[:, :11], packed[:, 11], packed[:, 12], packed[:, 13], packed[:, 14], packed[:, 15:22], packed[:, 22]
        )
        words = words_of(row["text"], [tuple(token) for token in row["tokens"]])
        expected[reference["id"]] = reference["text"]
        written[reference["id"]] = write_tags(row["text"], words, heard, thresholds)
    print(json.dumps(score(expected, written, resamples=200).to_json(), indent=1))


def measure_engine(what: str, weights: Path, parts: Sequence[NDArray[np.float32]], together: int) -> None:
    """Print the time and memory of the engine; `together` windows are decoded in one call, 1 hears them one by one."""
    began_s = time.perf_counter()
    engine = TaggingEngine(weights)
    loaded_s = time.perf_counter() - began_s
    began_s = time.perf_counter()
    state = SpeakerState()
    if together > 1:
        engine.batch_size = together
        words = sum(len(found.text.split()) for found in engine.transcribe_windows(parts, speaker=state))
    else:
        words = sum(len(engine.transcribe_windows([part], speaker=state)[0].text.split()) for part in parts)
    spent_s, audio_s = time.perf_counter() - began_s, sum(map(len, parts)) / SAMPLE_RATE_HZ
    _print_figures(
        what=what,
        audio_s=round(audio_s, 1),
        words=words,
        load_s=round(loaded_s, 2),
        spent_s=round(spent_s, 2),
        real_time_factor=round((spent_s + loaded_s) / audio_s, 4),
        since_start_s=round(time.perf_counter() - _BEGAN_S, 2),
    )


def measure_base(weights: Path, ct2: Path, parts: Sequence[NDArray[np.float32]]) -> None:
    """Print the time and memory of Whisper base in CTranslate2 alone, a window at a time."""
    import ctranslate2

    with np.load(weights / "emotion.npz") as arrays:
        log_mel = LogMel(arrays["mel_filters"])
    cores = len(os.sched_getaffinity(0))
    model = ctranslate2.models.Whisper(str(ct2), compute_type="int8", intra_threads=cores, inter_threads=1)
    times_s = {"mel": 0.0, "encode": 0.0, "write": 0.0, "align": 0.0}
    began_s = time.perf_counter()
    for samples in parts:
        at_s = [time.perf_counter()]
        mel = log_mel(samples)
        at_s.append(time.perf_counter())
        encoded = model.encode(ctranslate2.StorageView.from_array(mel[None]))
        at_s.append(time.perf_counter())
        ids = model.generate(encoded, [_PROMPT], beam_size=1, suppress_tokens=[], suppress_blank=False)[0]
        ids = ids.sequences_ids[0][:_MOST_ALIGNED_TOKENS]
        at_s.append(time.perf_counter())
        model.align(encoded, _PROMPT[:3], [ids], [len(samples) // _MEL_FRAME_SAMPLES])
        at_s.append(time.perf_counter())
        for name, begin_s, end_s in zip(times_s, at_s[:-1], at_s[1:], strict=True):
            times_s[name] += end_s - begin_s
    spent_s, audio_s = time.perf_counter() - began_s, sum(map(len, parts)) / SAMPLE_RATE_HZ
    _print_figures(
        what="CTranslate2 alone",
        audio_s=round(audio_s, 1),
        spent_s=round(spent_s, 2),
        real_time_factor=round(spent_s / audio_s, 4),
        **{f"{name}_s": round(value, 2) for name, value in times_s.items()},
    )


def _print_figures(**figures: object) -> None:
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({**figures, "cores": len(os.sched_getaffinity(0)), "peak_mb": peak_mb}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("dump", "speed", "cold", "base"):
        command = commands.add_parser(name)
        command.add_argument("--weights", type=Path, required=True, help="what export_runtime.py wrote")
        if name == "cold":
            command.add_argument("--file", required=True)
        else:
            command.add_argument("--list", type=Path, required=True)
        if name == "dump":
            command.add_argument("--output", type=Path, required=True, help="without a suffix")
            command.add_argument("--workers", type=int, default=2)
        if name == "speed":
            command.add_argument("--together", type=int, default=1, help="windows that are decoded together")
        if name == "base":
            command.add_argument(
                "--ct2", type=Path, required=True, help="Whisper base as CTranslate2's converter made it"
            )
    command = commands.add_parser("score")
    command.add_argument("--dump", type=Path, required=True, help="without a suffix")
    command.add_argument("--references", type=Path, required=True)
    command.add_argument("--sensitivity", type=float, default=0.0, help="logits by which all thresholds are lowered")
    options = parser.parse_args()
    if options.command == "dump":
        dump(options.weights, read_list(options.list), options.output, options.workers)
    elif options.command == "score":
        score_dump(options.dump, options.references, options.sensitivity)
    elif options.command == "speed":
        measure_engine("speed", options.weights, join_in_windows(read_list(options.list)), options.together)
    elif options.command == "cold":
        measure_engine("cold", options.weights, [read(options.file)[: _COLD_CLIP_S * SAMPLE_RATE_HZ]], 1)
    else:
        measure_base(options.weights, options.ct2, join_in_windows(read_list(options.list)))


if __name__ == "__main__":
    main()
