"""How much alike two scripts are: ROUGE-L, exact, for every pair of many scripts.

Words are lower-case runs of letters and digits, as in the usual ROUGE scorer. Knows nothing of slices or thresholds.
"""

import re

from rapidfuzz import process
from rapidfuzz.distance import Indel

from evoxtral.tags import strip_tags

_WORD = re.compile(r"[^\W_]+")
_SURROGATES = range(0xD800, 0xE000)


class Encoder:
    """Writes a text as a string with one character for each word, so that the C code for strings compares words."""

    def __init__(self) -> None:
        self._characters: dict[str, str] = {}

    def encode(self, text: str) -> str:
        return "".join(self._character(word) for word in _WORD.findall(text.lower()))

    def _character(self, word: str) -> str:
        known = self._characters.get(word)
        if known is None:
            code = len(self._characters)
            known = chr(code if code < _SURROGATES.start else code + len(_SURROGATES))
            self._characters[word] = known
        return known


def rouge_l(first: str, second: str) -> float:
    """ROUGE-L F1 of two encoded texts: 2 LCS / (m + n), with m and n their numbers of words (Lin, 2004; beta = 1).

    The insertions and deletions that turn one into the other number m + n - 2 LCS, so this is their normalised
    indel similarity. Two empty texts are equal: 1.
    """
    return Indel.normalized_similarity(first, second)


class SimilarityIndex:
    """Texts seen so far, to tell whether a new one is too much like any of them.

    Tagged texts are compared twice, without and with the names of their tags; the higher value counts. Without,
    because a script is not new for being tagged otherwise; with, because in short texts the tags are the most of it.
    """

    def __init__(self) -> None:
        self._encoder = Encoder()
        self._plain: list[str] = []
        self._tagged: list[str] = []

    def add(self, tagged_text: str) -> None:
        self._plain.append(self._encoder.encode(strip_tags(tagged_text)))
        self._tagged.append(self._encoder.encode(tagged_text))

    def has_similar(self, tagged_text: str, limit: float) -> bool:
        """Whether ROUGE-L with any text in the index is `limit` or more."""
        forms = (strip_tags(tagged_text), self._plain), (tagged_text, self._tagged)
        return any(
            process.extractOne(self._encoder.encode(text), seen, scorer=Indel.normalized_similarity, score_cutoff=limit)
            for text, seen in forms
        )
