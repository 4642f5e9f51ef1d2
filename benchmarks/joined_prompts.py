"""Clips joined to one recording must read as they do apart: WER of both with the same engine.

    python benchmarks/joined_prompts.py SET.jsonl ... [--clips 60] [--runs 3 | --in-order] [--model M] [--output F.json]

SET.jsonl is a manifest of recordings with its tar, or the same files, beside it. Each run draws clips of a split at
random, or takes the first ones in order, and joins them with pauses of 0.6 s. The references are the manifest's
transcripts, so a set with pseudo-transcripts tells only the difference. Apart and joined are scored alike: normalised
WER of one long text. Prints a row a run.
"""

import argparse
import json
import random
from datetime import UTC, datetime
from pathlib import Path

import jiwer
import numpy as np

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.bench.normalization import normalise_english
from evoxtral.corpus.recorded_speech import tagged_transcript
from evoxtral.data.recording_sets import Recording, RecordingSet
from evoxtral.inference import load_engine, transcribe
from evoxtral.inference.engines.protocol import TranscriptionEngine

PAUSE_S = 0.6
MIN_WORDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path, metavar="SET.jsonl")
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--in-order", action="store_true", help="one run, of the first clips")
    parser.add_argument("--model", default="edge")
    parser.add_argument("--split", default="test")
    parser.add_argument("--texts", action="store_true", help="print both texts of each run")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    engine = load_engine(options.model)
    rows = []
    for manifest in options.sets:
        recordings = RecordingSet(manifest)
        usable = [item for item in recordings.recordings if item.split == options.split and _words(item) >= MIN_WORDS]
        for seed in range(1 if options.in_order else options.runs):
            drawn = usable if options.in_order else random.Random(seed).sample(usable, len(usable))
            chosen = drawn[: options.clips]
            row, texts = measure(recordings, chosen, engine)
            rows.append({"set": recordings.name, "seed": seed, **row})
            print(json.dumps(rows[-1]), flush=True)
            if options.texts:
                print("\n".join(texts))
    if options.output is not None:
        figures = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "model": options.model, "runs": rows}
        options.output.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def measure(
    recordings: RecordingSet, chosen: list[Recording], engine: TranscriptionEngine
) -> tuple[dict[str, float], list[str]]:
    """WER of the clips apart and joined, and the three texts: what was said, heard apart, heard joined."""
    samples = [recordings.read(item) for item in chosen]
    apart = " ".join(transcribe(clip, engine=engine, times=False).plain_text for clip in samples)
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.float32)
    whole = np.concatenate([part for clip in samples for part in (clip, pause)])
    joined = transcribe(whole, engine=engine, times=False).plain_text
    said = " ".join(tagged_transcript(item) or "" for item in chosen)
    reference, *heard = (normalise_english(text) for text in (said, apart, joined))
    scores = [jiwer.process_words(reference, text) for text in heard]
    row = {"minutes": round(len(whole) / SAMPLE_RATE_HZ / 60, 1), "words": len(reference.split())}
    for name, score in zip(("apart", "joined"), scores, strict=True):
        row[f"wer_{name}"] = round(score.wer, 4)
        row[f"edits_{name}"] = f"{score.substitutions}/{score.deletions}/{score.insertions}"
    return row, [reference, *heard]


def _words(item: Recording) -> int:
    return len((tagged_transcript(item) or "").split())


if __name__ == "__main__":
    main()
