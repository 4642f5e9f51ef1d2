"""What lifting quiet speech gains: clips of the real test set made quieter, heard lifted and as they are.

    python benchmarks/quiet_speech.py --part quiet=0 plain=-30 sounds=-30 [--model edge]

PART=DB takes a part of the set and changes its level by so many decibels. Prints a table of paired differences over all
of them (95 % intervals, resamples of source recordings) and one row a part.
"""

import argparse
from collections.abc import Mapping
from unittest.mock import patch

import numpy as np
from rich.progress import track

from evoxtral.audio import load_audio
from evoxtral.audio.levels import to_gain
from evoxtral.bench.comparing import compare
from evoxtral.bench.testset import find_testset, load_testset
from evoxtral.data.records import Reference
from evoxtral.inference import load_engine, transcribe
from evoxtral.markdown import table

FIGURES = ("wer_normalized", "sounds.recall", "tags.f1", "hallucination.per_100_words_plain")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", nargs="+", required=True, metavar="PART=DB")
    parser.add_argument("--model", default="edge")
    options = parser.parse_args()
    engine = load_engine(options.model)
    testset = load_testset(find_testset("real"))
    rows: list[list[str]] = []
    everything: list[Reference] = []
    of_all: dict[str, dict[str, str]] = {"as it is": {}, "lifted": {}}
    for part in options.part:
        name, decibels = part.rsplit("=", 1)
        references = [reference for reference in testset.references if reference.slice_type == name]
        heard: dict[str, dict[str, str]] = {"as it is": {}, "lifted": {}}
        for reference in track(references, description=part):
            samples = load_audio(testset.audio_path(reference)) * np.float32(to_gain(float(decibels)))
            heard["lifted"][reference.id] = transcribe(samples, engine=engine, times=False).text
            with patch("evoxtral.inference.chunking.lift_quiet_speech", lambda samples: samples):
                heard["as it is"][reference.id] = transcribe(samples, engine=engine, times=False).text
        rows += compared(part, references, heard)
        everything += references
        for how, texts in heard.items():
            of_all[how] |= texts
    rows += compared("all", everything, of_all)
    print(table(["part", "clips", "figure", "as it is", "lifted", "difference"], rows))


def compared(name: str, references: list[Reference], heard: Mapping[str, Mapping[str, str]]) -> list[list[str]]:
    """One row a figure that the references have."""
    comparison = compare(references, heard)
    found = []
    for figure in FIGURES:
        difference = comparison.differences["lifted"][figure]
        before, after = (comparison.reports[how].figures[figure].value for how in ("as it is", "lifted"))
        if before is not None and difference.value is not None and difference.ci is not None:
            interval = (
                f"{difference.value:.4f} ({difference.ci[0]:.4f} to {difference.ci[1]:.4f}), p {difference.p:.3f}"
            )
            found.append([name, str(len(references)), figure, f"{before:.4f}", f"{after:.4f}", interval])
    return found


if __name__ == "__main__":
    main()
