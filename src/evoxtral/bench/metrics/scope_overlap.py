"""How far emotion and delivery tags colour the same words.

IoU = words coloured by a tag in both texts / words coloured by it in either,  summed over tags and clips
"""

from evoxtral.bench.alignment import Alignment
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.formulas import rate
from evoxtral.bench.metrics.metric import ClipTexts, Figure, FigureRow, Metric
from evoxtral.tags import Category, TaggedText

_SCOPED = (Category.EMOTION, Category.DELIVERY)


def scope_overlap(
    reference: TaggedText, hypothesis: TaggedText, alignment: Alignment, category: Category
) -> tuple[int, int]:
    """Reference words that a tag of `category` colours in both texts, and in either.

    Counted for each tag name and summed. The scope of a hypothesis tag is projected onto the reference words between
    its first and last aligned word.
    """
    expected: dict[str, set[int]] = {}
    written: dict[str, set[int]] = {}
    for scope in reference.scopes:
        if reference.tags[scope.tag].category is category:
            expected.setdefault(reference.tags[scope.tag].name, set()).update(range(scope.first_word, scope.last_word))
    for scope in hypothesis.scopes:
        if hypothesis.tags[scope.tag].category is category:
            span = range(*alignment.project_span(scope.first_word, scope.last_word))
            written.setdefault(hypothesis.tags[scope.tag].name, set()).update(span)
    names = expected.keys() | written.keys()
    shared = sum(len(expected.get(name, set()) & written.get(name, set())) for name in names)
    either = sum(len(expected.get(name, set()) | written.get(name, set())) for name in names)
    return shared, either


def count(clip: ClipTexts) -> Counts:
    counts: Counts = {}
    for category in _SCOPED:
        shared, either = scope_overlap(clip.reference, clip.hypothesis, clip.alignment, category)
        counts[f"scope/shared/{category}"], counts[f"scope/either/{category}"] = shared, either
    return counts


def _iou(*categories: Category) -> Figure:
    def figure(totals: Totals) -> Floats:
        shared, either = (
            totals.stack([f"scope/{kind}/{category}" for category in categories]).sum(axis=-1)
            for kind in ("shared", "either")
        )
        return rate(shared, either)

    return figure


METRIC = Metric(
    definition="Scope overlap: words coloured by an emotion or delivery tag in both texts, over those in either.",
    count=count,
    figures={
        "scope.emotion_iou": FigureRow(_iou(Category.EMOTION), "Emotion scope overlap, IoU", for_baselines=True),
        "scope.delivery_iou": FigureRow(_iou(Category.DELIVERY), "Delivery scope overlap, IoU", for_baselines=True),
        "scope.iou": FigureRow(_iou(*_SCOPED), for_baselines=True),
    },
)
