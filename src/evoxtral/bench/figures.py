"""The figures of the bench: what is made of summed counts, under the names that the JSON report uses.

Each figure works on one set of totals or on thousands of resampled ones alike. Knows nothing of texts or intervals.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from evoxtral.bench import metrics
from evoxtral.bench.counts import SCOPED, Totals
from evoxtral.bench.metrics import Floats

Figure = Callable[[Totals], Floats]

POSITION_TOLERANCES_WORDS = (0, 1, 3)


def tag_figures(tag: str) -> dict[str, Figure]:
    """Precision, recall and F1 of one tag on tagged clips."""

    def counts(totals: Totals) -> tuple[Floats, Floats, Floats]:
        return totals[f"tag/matched/{tag}"], totals[f"tag/reference/{tag}"], totals[f"tag/hypothesis/{tag}"]

    return {
        "precision": lambda totals: metrics.precision(*counts(totals)),
        "recall": lambda totals: metrics.recall(*counts(totals)),
        "f1": lambda totals: metrics.f1(*counts(totals)),
    }


def tag_totals(totals: Totals, *, all_clips: bool = False) -> tuple[Floats, Floats, Floats]:
    """Matched, reference and hypothesis tags of the tagged clips, or of all clips (which adds false tags)."""
    matched, reference, hypothesis = (
        totals.stack([f"tag/{side}/{name}" for name in totals.under(f"tag/{side}")]).sum(axis=-1)
        for side in ("matched", "reference", "hypothesis")
    )
    return matched, reference, hypothesis + totals["plain/tags"] if all_clips else hypothesis


def _macro_f1(totals: Totals) -> Floats:
    names = totals.under("tag/reference")
    sides = (totals.stack([f"tag/{side}/{name}" for name in names]) for side in ("matched", "reference", "hypothesis"))
    return metrics.macro_f1(*sides)


def _position_f1(totals: Totals, tolerance: int) -> Floats:
    near = [f"displacement/{value}" for value in displacement_values(totals) if abs(value) <= tolerance]
    _, reference, hypothesis = tag_totals(totals)
    return metrics.f1(totals.stack(near).sum(axis=-1), reference, hypothesis)


def displacement_values(totals: Totals) -> list[int]:
    """The displacements that occur, in words, increasing."""
    return sorted(int(value) for value in totals.under("displacement"))


def _median_displacement(totals: Totals) -> Floats:
    values = displacement_values(totals)
    return metrics.histogram_median(values, totals.stack([f"displacement/{value}" for value in values]))


def _scope_iou(totals: Totals, categories: tuple[str, ...]) -> Floats:
    shared, either = (
        totals.stack([f"scope/{kind}/{category}" for category in categories]).sum(axis=-1)
        for kind in ("shared", "either")
    )
    return metrics.rate(shared, either)


def _emphasis(totals: Totals) -> tuple[Floats, Floats, Floats]:
    return totals["emphasis/matched"], totals["emphasis/reference"], totals["emphasis/hypothesis"]


# Where there was nothing to find and nothing was found, these have full marks; the others are unknown.
FULL_WHEN_EMPTY = ("tags.", "position.f1", "scope.", "emphasis.")

# Dotted names become nested objects. `tags.*` counts tagged clips only; false tags on plain clips are `hallucination`,
# and `tags.all_clips.*` counts both together.
FIGURES: dict[str, Figure] = {
    "wer": lambda t: metrics.error_rate(t["word/errors"], t["word/reference"]),
    "wer_normalized": lambda t: metrics.error_rate(t["normalised word/errors"], t["normalised word/reference"]),
    "cer": lambda t: metrics.error_rate(t["character/errors"], t["character/reference"]),
    "cer_normalized": lambda t: metrics.error_rate(
        t["normalised character/errors"], t["normalised character/reference"]
    ),
    "tags.precision": lambda t: metrics.precision(*tag_totals(t)),
    "tags.recall": lambda t: metrics.recall(*tag_totals(t)),
    "tags.f1": lambda t: metrics.f1(*tag_totals(t)),
    "tags.macro_f1": _macro_f1,
    "tags.type_accuracy": lambda t: metrics.rate(t["type/matched"], t["type/most"]),
    "tags.all_clips.precision": lambda t: metrics.precision(*tag_totals(t, all_clips=True)),
    "tags.all_clips.recall": lambda t: metrics.recall(*tag_totals(t, all_clips=True)),
    "tags.all_clips.f1": lambda t: metrics.f1(*tag_totals(t, all_clips=True)),
    **{
        f"position.f1_at_{tolerance}": partial(_position_f1, tolerance=tolerance)
        for tolerance in POSITION_TOLERANCES_WORDS
    },
    "position.median_displacement": _median_displacement,
    "scope.iou": partial(_scope_iou, categories=SCOPED),
    **{f"scope.{category}_iou": partial(_scope_iou, categories=(category,)) for category in SCOPED},
    "emphasis.precision": lambda t: metrics.precision(*_emphasis(t)),
    "emphasis.recall": lambda t: metrics.recall(*_emphasis(t)),
    "emphasis.f1": lambda t: metrics.f1(*_emphasis(t)),
    "hallucination.per_100_words_plain": lambda t: metrics.rate(t["plain/tags"], t["plain/words"], per=100),
    "hallucination.per_minute_plain": lambda t: metrics.rate(t["plain/timed tags"], t["plain/seconds"], per=60),
    "legacy.tag_f1": lambda t: metrics.rate(t["legacy/tag f1"], t["clips"]),
    "legacy.emphasis_f1": lambda t: metrics.rate(t["legacy/emphasis f1"], t["clips"]),
    "legacy.hallucination_rate": lambda t: np.where(
        t["legacy/tags"] == 0, 0.0, metrics.rate(t["legacy/false tags"], np.maximum(t["legacy/tags"], 1))
    ),
}
