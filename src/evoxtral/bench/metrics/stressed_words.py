"""Emphasis: words stressed by capitals, found at the words that are aligned to each other.

F1 = 2 matched / (stressed in the reference + stressed in the hypothesis);  unknown where neither stresses a word
"""

from evoxtral.bench import formulas
from evoxtral.bench.alignment import Alignment
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.metrics.metric import ClipTexts, FigureRow, Metric
from evoxtral.bench.metrics.tag_presence import Matches
from evoxtral.tags import TaggedText


def emphasis_matches(reference: TaggedText, hypothesis: TaggedText, alignment: Alignment) -> Matches:
    """Words stressed by capitals; one is matched where the reference word aligned to it is stressed too."""
    expected = set(reference.emphasised)
    matched = sum(alignment.to_reference[index] in expected for index in hypothesis.emphasised)
    return Matches(matched, len(expected), len(hypothesis.emphasised))


def count(clip: ClipTexts) -> Counts:
    if not clip.has_words:
        return {}
    matches = emphasis_matches(clip.reference, clip.hypothesis, clip.alignment)
    return {
        "emphasis/matched": matches.matched,
        "emphasis/reference": matches.reference,
        "emphasis/hypothesis": matches.hypothesis,
    }


def _totals(totals: Totals) -> tuple[Floats, Floats, Floats]:
    return totals["emphasis/matched"], totals["emphasis/reference"], totals["emphasis/hypothesis"]


METRIC = Metric(
    definition="Emphasis F1: words in capitals, acronyms and texts all in capitals aside, at aligned words; unknown "
    "where neither text stresses a word.",
    count=count,
    figures={
        "emphasis.f1": FigureRow(lambda t: formulas.f1(*_totals(t)), "Emphasis F1", by_slice=True),
        "emphasis.precision": FigureRow(lambda t: formulas.precision(*_totals(t))),
        "emphasis.recall": FigureRow(lambda t: formulas.recall(*_totals(t))),
    },
)
