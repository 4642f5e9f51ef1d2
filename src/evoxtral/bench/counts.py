"""What is counted in one clip, and counts summed over clips.

A clip's counts are a flat mapping from names to numbers, so that corpus totals, and those of any resampling of
clips, are one matrix product. Knows how to count; what is made of the totals stands in `figures`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evoxtral.bench.alignment import align
from evoxtral.bench.metrics import (
    Floats,
    character_errors,
    emphasis_matches,
    legacy_emphasis_f1,
    legacy_false_tags,
    legacy_tag_f1,
    match_tags,
    scope_overlap,
    tag_presence,
    type_matches,
    word_errors,
)
from evoxtral.bench.normalization import normalise_english
from evoxtral.tags import Category, TaggedText

Counts = dict[str, float]

SCOPED = (Category.EMOTION, Category.DELIVERY)


def count_clip(reference: TaggedText, hypothesis: TaggedText, duration_s: float | None = None) -> Counts:
    """Everything that the figures need to know of one clip; absent names are zero.

    A clip is plain where its reference has no tag. Tag counts are kept apart for tagged and plain clips, because the
    headline tag figures look at tagged clips and false tags are measured on plain ones.
    """
    alignment = align([word.text for word in reference.words], [word.text for word in hypothesis.words])
    counts: Counts = {"clips": 1}

    texts = reference.plain_text, hypothesis.plain_text
    counts["word/errors"], counts["word/reference"] = word_errors(*texts)
    counts["character/errors"], counts["character/reference"] = character_errors(*texts)
    normalised = normalise_english(texts[0]), normalise_english(texts[1])
    counts["normalised word/errors"], counts["normalised word/reference"] = word_errors(*normalised)
    counts["normalised character/errors"], counts["normalised character/reference"] = character_errors(*normalised)

    if reference.tags:
        names = [tag.name for tag in reference.tags], [tag.name for tag in hypothesis.tags]
        for name, matches in tag_presence(*names).items():
            counts[f"tag/matched/{name}"] = matches.matched
            counts[f"tag/reference/{name}"] = matches.reference
            counts[f"tag/hypothesis/{name}"] = matches.hypothesis
        counts["type/matched"], counts["type/most"] = type_matches(reference, hypothesis)
        for pair in match_tags(reference, hypothesis, alignment):
            name = f"displacement/{pair.displacement}"
            counts[name] = counts.get(name, 0) + 1
    else:
        counts["plain/words"] = len(reference.words)
        counts["plain/tags"] = len(hypothesis.tags)
        if duration_s is not None:
            counts["plain/seconds"] = duration_s
            counts["plain/timed tags"] = len(hypothesis.tags)

    for category in SCOPED:
        shared, either = scope_overlap(reference, hypothesis, alignment, category)
        counts[f"scope/shared/{category}"], counts[f"scope/either/{category}"] = shared, either

    emphasis = emphasis_matches(reference, hypothesis, alignment)
    counts["emphasis/matched"] = emphasis.matched
    counts["emphasis/reference"] = emphasis.reference
    counts["emphasis/hypothesis"] = emphasis.hypothesis

    counts["legacy/tag f1"] = legacy_tag_f1(reference, hypothesis)
    counts["legacy/emphasis f1"] = legacy_emphasis_f1(reference, hypothesis)
    counts["legacy/false tags"], counts["legacy/tags"] = legacy_false_tags(reference, hypothesis)
    return counts


@dataclass(frozen=True)
class Totals:
    """Counts summed over clips: once, or for many resamplings side by side.

    Attributes:
        columns: name of each count.
        values: shape (..., k), one entry of the last axis a column.
    """

    columns: Mapping[str, int]
    values: Floats

    def __getitem__(self, name: str) -> Floats:
        """The total of one count, shape (...)."""
        column = self.columns.get(name)
        return np.zeros(self.values.shape[:-1]) if column is None else self.values[..., column]

    def under(self, prefix: str) -> list[str]:
        """What follows `prefix/` in the names that begin so."""
        return [name.removeprefix(f"{prefix}/") for name in self.columns if name.startswith(f"{prefix}/")]

    def stack(self, names: Sequence[str]) -> Floats:
        """Several totals as one array of shape (..., n)."""
        return np.stack([self[name] for name in names], axis=-1) if names else np.zeros((*self.values.shape[:-1], 0))


def count_matrix(clips: Sequence[Counts], units: Sequence[str]) -> tuple[dict[str, int], Floats]:
    """Columns, and counts summed within each unit (such as a script): shape (number of units, number of columns)."""
    columns = {name: index for index, name in enumerate(sorted({name for clip in clips for name in clip}))}
    rows = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    matrix = np.zeros((len(rows), len(columns)))
    for clip, unit in zip(clips, units, strict=True):
        for name, value in clip.items():
            matrix[rows[unit], columns[name]] += value
    return columns, matrix
