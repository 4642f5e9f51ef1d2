"""Where tags stand: F1 of the tags within 0, 1 and 3 words of their place, and how far off they are.

    F1@k = 2 (pairs at most k words off) / (reference tags + hypothesis tags),  over all clips

Words are aligned, hypothesis tags projected onto reference gaps and tags of one name matched one to one at least sum
of displacements (`tag_matching`). As many pairs are made as tags are matched by name, so F1@k is never above tag F1.
"""

from collections.abc import Callable

from evoxtral.bench import formulas
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.metrics.metric import ClipTexts, Figure, FigureRow, Metric
from evoxtral.bench.metrics.tag_presence import tag_totals
from evoxtral.bench.tag_matching import match_tags

# Displacements further out are counted as this one, so that totals stay small.
MAX_DISPLACEMENT_WORDS = 1000


def count(clip: ClipTexts) -> Counts:
    counts: Counts = {}
    if clip.reference.tags and clip.hypothesis.tags:
        for pair in match_tags(clip.reference, clip.hypothesis, clip.alignment):
            words = max(-MAX_DISPLACEMENT_WORDS, min(MAX_DISPLACEMENT_WORDS, pair.displacement))
            counts[f"displacement/{words}"] = counts.get(f"displacement/{words}", 0) + 1
    return counts


def displacement_values(totals: Totals) -> list[int]:
    """The displacements that occur, in words, increasing; words too late are positive."""
    return sorted(int(value) for value in totals.under("displacement"))


def _counted(totals: Totals, is_meant: Callable[[int], bool]) -> tuple[list[int], Floats]:
    values = [value for value in displacement_values(totals) if is_meant(value)]
    return values, totals.stack([f"displacement/{value}" for value in values])


def _f1_within(words: int) -> Figure:
    def figure(totals: Totals) -> Floats:
        _, reference, hypothesis = tag_totals(totals)
        _, near = _counted(totals, lambda value: abs(value) <= words)
        return formulas.f1(near.sum(axis=-1), reference, hypothesis)

    return figure


def _median_displacement(totals: Totals) -> Floats:
    return formulas.histogram_median(*_counted(totals, lambda value: True))


METRIC = Metric(
    definition="Place: hypothesis words are aligned to reference words, tags projected onto reference gaps and matched "
    "one to one at least cost; a tag is in place if it stands at most so many words off.",
    count=count,
    figures={
        "position.f1_at_0": FigureRow(_f1_within(0), "Tag F1 at its exact place", for_baselines=True),
        "position.f1_at_1": FigureRow(_f1_within(1), "Tag F1 within 1 word", for_baselines=True, by_slice=True),
        "position.f1_at_3": FigureRow(_f1_within(3), "Tag F1 within 3 words", for_baselines=True),
        "position.median_displacement": FigureRow(
            _median_displacement, "Median displacement, words", for_baselines=True
        ),
    },
)
