"""Whether tags are of the right type: F1 by semantic group.

    type accuracy = 2 sum over groups of min(reference, hypothesis) / (reference tags + hypothesis tags)

with the counts of a group in a clip, summed over all clips. The denominator is that of tag F1, and tags of one name are
of one group, so it is never below tag F1: the difference is what was taken for another tag of its group.
"""

from collections import Counter

from evoxtral.bench import formulas
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.metrics.metric import ClipTexts, FigureRow, Metric
from evoxtral.bench.metrics.tag_presence import tag_totals
from evoxtral.tags import TaggedText


def type_matches(reference: TaggedText, hypothesis: TaggedText) -> int:
    """How many tags both texts have of the same semantic group (multiset); an unknown tag is a group of its own."""
    expected, written = (
        Counter((tag.known, tag.group if tag.known else tag.name) for tag in text.tags)
        for text in (reference, hypothesis)
    )
    return (expected & written).total()


def count(clip: ClipTexts) -> Counts:
    return {"type/matched": type_matches(clip.reference, clip.hypothesis)}


def _type_accuracy(totals: Totals) -> Floats:
    _, reference, hypothesis = tag_totals(totals)
    return formulas.f1(totals["type/matched"], reference, hypothesis)


METRIC = Metric(
    definition="Type accuracy: tag F1 with any tag of the same semantic group taken as right (angry for frustrated); "
    "never below tag F1.",
    count=count,
    figures={"tags.type_accuracy": FigureRow(_type_accuracy, "Tag type accuracy (F1 by group)", for_baselines=True)},
)
