"""The definitions of the first Evoxtral report, under `legacy`, so that its figures can be compared with today's.

They average over clips, know no aliases, take acronyms for emphasis, and give full marks where there is nothing.
"""

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.formulas import rate
from evoxtral.bench.metrics.metric import ClipTexts, FigureRow, Metric
from evoxtral.tags import TaggedText
from evoxtral.tags.taxonomy import normalise_name


def legacy_tag_f1(reference: TaggedText, hypothesis: TaggedText) -> float:
    """F1 of one clip's multisets of tags as written (lower case, no aliases); 1 when both are empty."""
    return _multiset_f1(_written_names(reference), _written_names(hypothesis))


def legacy_emphasis_f1(reference: TaggedText, hypothesis: TaggedText) -> float:
    """F1 of one clip's multisets of words in capitals of two or more letters, acronyms too; 1 when both are empty."""
    return _multiset_f1(_capitals(reference), _capitals(hypothesis))


def legacy_false_tags(reference: TaggedText, hypothesis: TaggedText) -> tuple[int, int]:
    """Tags of the hypothesis whose type (as written) is absent from the reference, and all its tags."""
    expected = set(_written_names(reference))
    written = _written_names(hypothesis)
    return sum(name not in expected for name in written), len(written)


def count(clip: ClipTexts) -> Counts:
    texts = clip.reference, clip.hypothesis
    counts: Counts = {
        "legacy/clips": 1,
        "legacy/tag f1": legacy_tag_f1(*texts),
        "legacy/emphasis f1": legacy_emphasis_f1(*texts),
    }
    counts["legacy/false tags"], counts["legacy/tags"] = legacy_false_tags(*texts)
    return counts


def _hallucination_rate(totals: Totals) -> Floats:
    tags = totals["legacy/tags"]
    return np.where(tags == 0, 0.0, rate(totals["legacy/false tags"], np.maximum(tags, 1)))


def _written_names(text: TaggedText) -> list[str]:
    return [normalise_name(tag.text[1:-1]) for tag in text.tags]


def _capitals(text: TaggedText) -> list[str]:
    return [capitals for word in text.words for capitals in re.findall(r"\b[A-Z]{2,}\b", word.text)]


def _multiset_f1(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    if not reference and not hypothesis:
        return 1.0
    return 2 * (Counter(reference) & Counter(hypothesis)).total() / (len(reference) + len(hypothesis))


METRIC = Metric(
    definition="Legacy figures, as the first Evoxtral report defined them: means over clips, tags without aliases, "
    "full marks where a clip has nothing; the hallucination rate is the share of written tags whose type is absent.",
    count=count,
    figures={
        "legacy.tag_f1": FigureRow(lambda t: rate(t["legacy/tag f1"], t["legacy/clips"]), "Legacy tag F1"),
        "legacy.emphasis_f1": FigureRow(
            lambda t: rate(t["legacy/emphasis f1"], t["legacy/clips"]), "Legacy emphasis F1"
        ),
        "legacy.hallucination_rate": FigureRow(_hallucination_rate, "Legacy hallucination rate"),
    },
)
