"""The definitions of Evoxtral-Bench: small pure functions, first those that count within one clip, then those that
turn counts into figures.

Counts add up over clips, so a corpus figure is a function of summed counts ("micro" figures) and resampling clips is
adding up again. The functions that make figures take numbers or arrays of them, elementwise. `nan` stands for what
cannot be known. Knows nothing of files, ids or intervals.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rapidfuzz.distance import Levenshtein

from evoxtral.bench.alignment import Alignment
from evoxtral.tags import Category, TaggedText
from evoxtral.tags.taxonomy import normalise_name

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Matches:
    """How many items were matched, and how many the reference and the hypothesis have."""

    matched: int
    reference: int
    hypothesis: int


# ---------------------------------------------------------------------------------------------- counts in one clip


def word_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """Substituted, deleted and inserted words, and reference words; words are what white space separates.

    The least number of such edits (Levenshtein distance over words), as in jiwer.
    """
    words = reference.split()
    return Levenshtein.distance(words, hypothesis.split()), len(words)


def character_errors(reference: str, hypothesis: str) -> tuple[int, int]:
    """The same over characters, a space between words counting as one."""
    characters = " ".join(reference.split())
    return Levenshtein.distance(characters, " ".join(hypothesis.split())), len(characters)


def tag_presence(reference: Iterable[str], hypothesis: Iterable[str]) -> dict[str, Matches]:
    """For each tag name: how often both texts have it (the smaller of its two counts), and how often each has it.

    Tags are a multiset: where they stand does not matter, how many of a kind there are does.
    """
    expected, written = Counter(reference), Counter(hypothesis)
    return {
        name: Matches(min(expected[name], written[name]), expected[name], written[name])
        for name in sorted(expected | written)
    }


def type_matches(reference: TaggedText, hypothesis: TaggedText) -> tuple[int, int]:
    """Tags whose semantic group both texts have (multiset), and the number of tags in the text with more of them.

    Their ratio is the type accuracy: a confused pair within a group (angry, frustrated) is right, and both a missing
    and a superfluous tag count as wrong. An unknown tag is a group of its own.
    """
    expected = Counter(tag.group or tag.name for tag in reference.tags)
    written = Counter(tag.group or tag.name for tag in hypothesis.tags)
    return (expected & written).total(), max(expected.total(), written.total())


@dataclass(frozen=True, slots=True)
class TagPair:
    """A tag of the reference and one of the hypothesis, by index, and how many words too late (+) the latter stands."""

    reference: int
    hypothesis: int
    displacement: int


def match_tags(reference: TaggedText, hypothesis: TaggedText, alignment: Alignment) -> list[TagPair]:
    """Tags of one name matched one to one, in the order of the reference.

    Hypothesis gaps are projected onto reference gaps through the alignment of the words (`Alignment.project_gap`);
    where the projection is a range, the displacement is the distance to its nearest end. The matching makes the sum of
    absolute displacements least (Kuhn 1955, the Hungarian method), and among such matchings most are exact. As many
    tags of a name are matched as both texts have.
    """
    expected, written = _indices_by_name(reference), _indices_by_name(hypothesis)
    pairs = []
    for name in expected.keys() & written.keys():
        distances = tag_distances(reference, expected[name], hypothesis, written[name], alignment)
        # The addition sums to less than 1 over a matching, so it only decides between equal sums of distances.
        cost = np.abs(distances) + (distances != 0) / (distances.size + 1)
        pairs += [
            TagPair(expected[name][row], written[name][column], int(distances[row, column]))
            for row, column in least_cost_matching(cost)
        ]
    return sorted(pairs, key=lambda pair: pair.reference)


def tag_distances(
    reference: TaggedText,
    reference_tags: Sequence[int],
    hypothesis: TaggedText,
    hypothesis_tags: Sequence[int],
    alignment: Alignment,
) -> NDArray[np.int64]:
    """Signed displacements of hypothesis tags (columns) from reference tags (rows), in words."""
    ranges = [alignment.project_gap(hypothesis.tags[index].gap) for index in hypothesis_tags]
    gaps = [reference.tags[index].gap for index in reference_tags]
    return np.array([[_distance(gap, *bounds) for bounds in ranges] for gap in gaps], dtype=np.int64)


def least_cost_matching(cost: Floats) -> list[tuple[int, int]]:
    """Row and column of each pair of the one-to-one matching, as large as it can be, whose summed cost is least."""
    from scipy.optimize import linear_sum_assignment

    rows, columns = linear_sum_assignment(cost)
    return list(zip(rows.tolist(), columns.tolist(), strict=True))


def _indices_by_name(text: TaggedText) -> dict[str, list[int]]:
    indices: dict[str, list[int]] = {}
    for index, tag in enumerate(text.tags):
        indices.setdefault(tag.name, []).append(index)
    return indices


def _distance(gap: int, first: int, last: int) -> int:
    """Signed distance from a gap to a range of gaps, 0 inside it."""
    return first - gap if first > gap else last - gap if last < gap else 0


def scope_overlap(
    reference: TaggedText, hypothesis: TaggedText, alignment: Alignment, category: Category
) -> tuple[int, int]:
    """Reference words that a tag of `category` colours in both texts, and in either.

    Counted for each tag name and summed; their ratio is the intersection over union of the word spans. The scope of a
    hypothesis tag is projected onto the reference words between its first and last aligned word.
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


def emphasis_matches(reference: TaggedText, hypothesis: TaggedText, alignment: Alignment) -> Matches:
    """Words stressed by capitals; one is matched where the reference word aligned to it is stressed too."""
    expected = set(reference.emphasised)
    matched = sum(alignment.to_reference[index] in expected for index in hypothesis.emphasised)
    return Matches(matched, len(expected), len(hypothesis.emphasised))


def legacy_tag_f1(reference: TaggedText, hypothesis: TaggedText) -> float:
    """F1 of one clip's multisets of tags as written (lower case, no aliases); 1 when both are empty.

    Definition of the first Evoxtral report, which averaged it over clips.
    """
    return _multiset_f1(_written_names(reference), _written_names(hypothesis))


def legacy_emphasis_f1(reference: TaggedText, hypothesis: TaggedText) -> float:
    """F1 of one clip's multisets of words in capitals of two or more letters, acronyms included; 1 when both are empty.

    Definition of the first Evoxtral report, which averaged it over clips.
    """
    return _multiset_f1(_capitals(reference), _capitals(hypothesis))


def legacy_false_tags(reference: TaggedText, hypothesis: TaggedText) -> tuple[int, int]:
    """Tags of the hypothesis whose type (as written) is absent from the reference, and all its tags.

    The first Evoxtral report gave their ratio over all clips as the hallucination rate.
    """
    expected = set(_written_names(reference))
    written = _written_names(hypothesis)
    return sum(name not in expected for name in written), len(written)


def _written_names(text: TaggedText) -> list[str]:
    return [normalise_name(tag.text[1:-1]) for tag in text.tags]


def _capitals(text: TaggedText) -> list[str]:
    return [capitals for word in text.words for capitals in re.findall(r"\b[A-Z]{2,}\b", word.text)]


def _multiset_f1(reference: Sequence[str], hypothesis: Sequence[str]) -> float:
    if not reference and not hypothesis:
        return 1.0
    return 2 * (Counter(reference) & Counter(hypothesis)).total() / (len(reference) + len(hypothesis))


# ------------------------------------------------------------------------------------------ figures from the counts


def error_rate(errors: ArrayLike, reference: ArrayLike) -> Floats:
    """Errors for each word or character of the reference; the bare number of errors where there is none (as jiwer)."""
    quotient: Floats = np.asarray(errors, float) / np.maximum(np.asarray(reference, float), 1.0)
    return quotient


def rate(count: ArrayLike, exposure: ArrayLike, per: float = 1.0) -> Floats:
    """`per * count / exposure`; nan without exposure."""
    count, exposure = np.asarray(count, float), np.asarray(exposure, float)
    return np.where(exposure == 0, np.nan, per * count / np.where(exposure == 0, 1.0, exposure))


def precision(matched: ArrayLike, reference: ArrayLike, hypothesis: ArrayLike) -> Floats:
    """Share of what the hypothesis has that is right; 0 if only the reference has anything, nan if neither has."""
    reference, hypothesis = np.asarray(reference, float), np.asarray(hypothesis, float)
    return np.where((hypothesis == 0) & (reference > 0), 0.0, rate(matched, hypothesis))


def recall(matched: ArrayLike, reference: ArrayLike, hypothesis: ArrayLike) -> Floats:
    """Share of what the reference has that was found; `precision` with the sides exchanged."""
    return precision(matched, hypothesis, reference)


def f1(matched: ArrayLike, reference: ArrayLike, hypothesis: ArrayLike) -> Floats:
    """Harmonic mean of precision and recall, 2 matched / (reference + hypothesis); nan where neither has anything.

    Source: van Rijsbergen 1979 (Dice coefficient).
    """
    return rate(matched, np.asarray(reference, float) + np.asarray(hypothesis, float), per=2)


def macro_f1(matched: ArrayLike, reference: ArrayLike, hypothesis: ArrayLike) -> Floats:
    """Mean, over the last axis (one entry a tag), of the F1 of each tag that the reference has; nan if it has none."""
    occurs = np.asarray(reference, float) > 0
    each = np.where(occurs, f1(matched, reference, hypothesis), 0.0)
    return rate(each.sum(axis=-1), occurs.sum(axis=-1))


def histogram_median(values: ArrayLike, counts: ArrayLike) -> Floats:
    """Median of `values` (shape (k,), increasing) that occur `counts` (shape (..., k)) times; nan if none does."""
    values, counts = np.asarray(values, float), np.asarray(counts, float)
    total = counts.sum(axis=-1)
    if values.size == 0:
        return np.full(total.shape, np.nan)
    cumulated = counts.cumsum(axis=-1)
    lower = values[(cumulated > np.floor((total - 1) / 2)[..., None]).argmax(axis=-1)]
    upper = values[(cumulated > np.floor(total / 2)[..., None]).argmax(axis=-1)]
    median: Floats = np.where(total == 0, np.nan, (lower + upper) / 2)
    return median
