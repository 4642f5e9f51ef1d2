"""Does real speech stay speech? Word error rate of the edge model on human recordings beside its base's, in one run.

    python benchmarks/real_speech.py --base BASE --output benchmarks/results/real_speech.json SET.jsonl ...

BASE is the CTranslate2 folder of the Whisper that the edge model was trained from; each SET.jsonl a manifest of
recordings with its tar beside it, whose `test` clips both transcribe. Prints one row a set and writes all figures.
"""

import argparse
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np
from rich.progress import track

from evoxtral.bench.comparing import compare
from evoxtral.bench.predicting import model_digest
from evoxtral.corpus.recorded_speech import tagged_transcript
from evoxtral.data.recording_sets import RecordingSet
from evoxtral.data.records import Reference
from evoxtral.inference import load_engine, transcribe

FIGURES = ("wer_normalized", "wer", "cer", "hallucination.per_100_words_plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("--base", required=True)
    parser.add_argument("--model", default="edge")
    parser.add_argument("--most", type=int, help="at most so many clips of a set, evenly spaced")
    parser.add_argument("--output", type=Path)
    options = parser.parse_args()
    engines = {"base": load_engine(options.base), "edge": load_engine(options.model)}
    results = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": f"{platform.machine()}, {platform.python_implementation()} {platform.python_version()}",
        "versions": {name: version(name) for name in ("evoxtral", "ctranslate2", "numpy")},
        "models": {name: model_digest(engine.model) for name, engine in engines.items()},
        "sets": {},
    }
    for manifest in options.sets:
        recordings = RecordingSet(manifest)
        chosen = [item for item in recordings.recordings if item.split == "test" and item.transcript]
        if options.most is not None and len(chosen) > options.most:
            chosen = [chosen[round(place)] for place in np.linspace(0, len(chosen) - 1, options.most)]
        texts = {item.file: text for item in chosen if (text := tagged_transcript(item)) is not None}
        references = [Reference(id=file, text=text) for file, text in texts.items()]
        heard: dict[str, dict[str, str]] = {name: {} for name in engines}
        for item in track([item for item in chosen if item.file in texts], description=recordings.name):
            samples = recordings.read(item)
            for name, engine in engines.items():
                heard[name][item.file] = transcribe(samples, engine=engine, times=False).text
        comparison = compare(references, heard)
        report = comparison.to_json()
        results["sets"][recordings.name] = {
            "clips": len(references),
            **{name: {figure: _figure(report["systems"][name], figure) for figure in FIGURES} for name in engines},
            "edge minus base": {figure: _figure(report["differences"]["edge"], figure) for figure in FIGURES},
        }
        row = results["sets"][recordings.name]
        wer = {name: row[name]["wer_normalized"]["value"] for name in engines}
        false_tags = row["edge"]["hallucination.per_100_words_plain"]["value"]
        print(
            f"{recordings.name}: {len(references)} clips, normalised WER base {wer['base']:.4f} edge {wer['edge']:.4f}"
        )
        print(f"{recordings.name}: false tags per 100 words: {false_tags:.2f}")
    if options.output:
        options.output.write_text(json.dumps(results, indent=1) + "\n")


def _figure(report: dict[str, object], name: str) -> object:
    found: object = report
    for part in name.split("."):
        assert isinstance(found, dict)
        found = found[part]
    return found


if __name__ == "__main__":
    main()
