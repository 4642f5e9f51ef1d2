"""Which word of a hypothesis stands for which word of its reference, and where a hypothesis gap lies in the reference.

Knows words and gaps only: nothing of tags or scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from evoxtral.bench import edit_distance


def comparable(word: str) -> str:
    """A word as alignment compares it: letters and digits in lower case, so that "Wait—" equals "wait"."""
    return "".join(character for character in word.casefold() if character.isalnum())


@dataclass(frozen=True)
class Alignment:
    """A minimal edit script between reference and hypothesis words.

    Attributes:
        to_reference: for each hypothesis word the index of the reference word that it equals or replaces, None for
            an inserted word; increasing.
        reference_words: number of reference words.
    """

    to_reference: tuple[int | None, ...]
    reference_words: int

    def project_gap(self, gap: int) -> tuple[int, int]:
        """The reference gaps, first and last, at which a hypothesis gap may lie.

        They differ where reference words are missing from the hypothesis at the gap: nothing tells then on which
        side of these words it lies. Inserted words lie in the gap of the reference where they were inserted. Two such
        ranges are the same or have no gap in common.
        """
        return self._gap_bounds[gap]

    @cached_property
    def _gap_bounds(self) -> list[tuple[int, int]]:
        firsts, lasts = [0], [self.reference_words]
        for index in self.to_reference:
            firsts.append(firsts[-1] if index is None else index + 1)
        for index in reversed(self.to_reference):
            lasts.append(lasts[-1] if index is None else index)
        return list(zip(firsts, reversed(lasts), strict=True))

    def project_span(self, first: int, last: int) -> tuple[int, int]:
        """The reference words, first and last (exclusive), that hypothesis words `first` to `last` stretch over."""
        indices = [index for index in self.to_reference[first:last] if index is not None]
        return (indices[0], indices[-1] + 1) if indices else (0, 0)


def align(reference: Sequence[str], hypothesis: Sequence[str]) -> Alignment:
    """Align words by least edit distance, each substitution, insertion and deletion costing 1 (see `edit_distance`)."""
    first, second = ([comparable(word) for word in words] for words in (reference, hypothesis))
    return Alignment(tuple(edit_distance.partners(first, second)), len(reference))
