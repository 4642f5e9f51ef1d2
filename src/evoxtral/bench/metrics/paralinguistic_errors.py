"""PCER of NV-Bench (Ni et al. 2026, arXiv 2603.15352, section 4.2.3): the character error rate of vocal events alone.

    PCER = (S + D + I) / N

with the least number of substituted, deleted and inserted events that turn the sequence of the reference's events into
the hypothesis's, all else taken out, and N events in the references; summed over clips. Order counts, places do not.
Events are non-verbal tags, and tags that the taxonomy does not know (a data set's own events); emotion, delivery and
pauses are not. Their system writes its own transcript of synthesised speech; here a transcript of recordings is judged.
"""

from evoxtral.bench import edit_distance
from evoxtral.bench.counts import Counts
from evoxtral.bench.formulas import rate
from evoxtral.bench.metrics.metric import ClipTexts, FigureRow, Metric
from evoxtral.tags import Category, TaggedText


def events(text: TaggedText) -> list[str]:
    """The names of a text's vocal events, in order."""
    return [tag.name for tag in text.tags if tag.category is Category.NON_VERBAL or not tag.known]


def count(clip: ClipTexts) -> Counts:
    expected = events(clip.reference)
    return {
        "events/errors": edit_distance.distance(expected, events(clip.hypothesis)),
        "events/reference": len(expected),
    }


METRIC = Metric(
    definition="PCER (NV-Bench): substituted, deleted and inserted vocal events for each event of the reference, "
    "words taken out; may exceed 1.",
    count=count,
    figures={
        "paralinguistic.pcer": FigureRow(
            lambda t: rate(t["events/errors"], t["events/reference"]), "PCER, vocal events", True, for_baselines=True
        ),
    },
)
