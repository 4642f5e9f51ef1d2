"""All metrics, in the order in which reports show them, and their figures by name."""

from collections.abc import Mapping

from evoxtral.bench.counts import Counts
from evoxtral.bench.metrics import (
    false_tags,
    first_report,
    paralinguistic_errors,
    scope_overlap,
    stressed_words,
    tag_kinds,
    tag_position,
    tag_presence,
    tag_types,
    word_errors,
)
from evoxtral.bench.metrics.metric import ClipTexts, FigureRow, Metric

METRICS: tuple[Metric, ...] = (
    word_errors.METRIC,
    tag_presence.METRIC,
    tag_types.METRIC,
    tag_kinds.METRIC,
    tag_position.METRIC,
    scope_overlap.METRIC,
    stressed_words.METRIC,
    false_tags.METRIC,
    paralinguistic_errors.METRIC,
    first_report.METRIC,
)

FIGURES: Mapping[str, FigureRow] = {name: row for metric in METRICS for name, row in metric.figures.items()}

LABELS: Mapping[str, str] = {name: row.label for name, row in FIGURES.items() if row.label is not None}
"""What tables call the figures that they show."""


def count_clip(clip: ClipTexts) -> Counts:
    """Everything that the figures need to know of one clip; absent names are zero."""
    counts: Counts = {}
    for metric in METRICS:
        counts |= metric.count(clip)
    return counts
