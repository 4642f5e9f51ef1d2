"""How much alike two scripts are: ROUGE-L, exact, for every pair of many scripts.

Words are lower-case runs of letters and digits, as in the usual ROUGE scorer. Scripts are compared by what is spoken,
and again with the names of their tags; the higher value counts. Without tags, because a script is not new for being
tagged otherwise; with them, because in a short text they are the most of it.
Knows nothing of slices or thresholds.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Indel, LCSseq

from evoxtral.cpu import usable_cores
from evoxtral.tags import strip_tags

_WORD = re.compile(r"[^\W_]+")
_SURROGATES = range(0xD800, 0xE000)
_ROWS_PER_BLOCK = 256
# The C code compares in floating point: ask it for a little more than is wanted, then decide in whole numbers.
_SLACK = 1e-4


class Encoder:
    """Writes a text as a string with one character for each word, so that the C code for strings compares words."""

    def __init__(self) -> None:
        self._characters: dict[str, str] = {}

    def encode(self, text: str) -> str:
        return "".join(self._character(word) for word in _WORD.findall(text.lower()))

    def encode_forms(self, tagged_text: str) -> tuple[str, str]:
        """What is spoken, and the same with the names of the tags."""
        return self.encode(strip_tags(tagged_text)), self.encode(tagged_text)

    def _character(self, word: str) -> str:
        known = self._characters.get(word)
        if known is None:
            code = len(self._characters)
            known = chr(code if code < _SURROGATES.start else code + len(_SURROGATES))
            self._characters[word] = known
        return known


def rouge_l(first: str, second: str) -> float:
    """ROUGE-L F1 of two encoded texts: 2 LCS / (m + n), with m and n their numbers of words (Lin, 2004; beta = 1).

    Two empty texts are equal: 1.
    """
    words = len(first) + len(second)
    return 2 * LCSseq.similarity(first, second) / words if words else 1.0


@dataclass(frozen=True, slots=True)
class SimilarPair:
    """Two texts, by their places in the list, and their ROUGE-L."""

    first: int
    second: int
    similarity: float


def find_similar_pairs(
    tagged_texts: Sequence[str], limit: float, *, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> list[SimilarPair]:
    """Every pair of texts whose ROUGE-L is `limit` or more, most alike first.

    All pairs are compared, on all cores. With words as the unit, an insertion-deletion distance of d gives a normalised
    similarity of 1 - d / (m + n) = 2 LCS / (m + n): ROUGE-L is what rapidfuzz calls `Indel.normalized_similarity`, and
    its bit-parallel code stops early at pairs that cannot reach the limit.

    Args:
        on_progress: called with the number of texts done and of all.
    """
    encoder = Encoder()
    forms = [encoder.encode_forms(text) for text in tagged_texts]
    found: dict[tuple[int, int], float] = {}
    for start in range(0, len(forms), _ROWS_PER_BLOCK):
        for texts in zip(*forms, strict=True):
            for first, second in _candidates(texts, start, limit):
                similarity = rouge_l(texts[first], texts[second])
                if similarity >= limit:
                    found[first, second] = max(similarity, found.get((first, second), 0.0))
        on_progress(min(start + _ROWS_PER_BLOCK, len(forms)), len(forms))
    pairs = [SimilarPair(first, second, similarity) for (first, second), similarity in found.items()]
    return sorted(pairs, key=lambda pair: (-pair.similarity, pair.first, pair.second))


def _candidates(texts: Sequence[str], start: int, limit: float) -> Iterator[tuple[int, int]]:
    """Pairs of a block's rows with all later texts that may reach the limit, and few others."""
    rows = texts[start : start + _ROWS_PER_BLOCK]
    scores = process.cdist(
        rows,
        texts[start:],
        scorer=Indel.normalized_similarity,
        score_cutoff=max(0.0, limit - _SLACK),
        dtype=np.float32,
        workers=usable_cores(),
    )
    for row, column in np.argwhere(scores >= limit - _SLACK).tolist():
        if row < column:
            yield start + row, start + column


class SimilarityIndex:
    """Texts seen so far, to tell whether a new one is too much like any of them."""

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._seen: tuple[list[str], list[str]] = ([], [])

    def add(self, tagged_text: str) -> None:
        for seen, form in zip(self._seen, self._encoder.encode_forms(tagged_text), strict=True):
            seen.append(form)

    def has_similar(self, tagged_text: str, limit: float) -> bool:
        """Whether ROUGE-L with any text in the index is `limit` or more."""
        for seen, form in zip(self._seen, self._encoder.encode_forms(tagged_text), strict=True):
            nearest = process.extractOne(form, seen, scorer=Indel.normalized_similarity, score_cutoff=limit)
            if nearest is not None:
                return True
        return False
