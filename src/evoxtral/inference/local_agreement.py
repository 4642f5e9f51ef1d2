"""What of a growing utterance is certain: text on which two hypotheses in a row agree is committed and never changes.

LocalAgreement-2 (Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by Partial Hypothesis
Selection", Interspeech 2020), over words and whole tags. Knows texts; nothing of sound or of who decodes it.
"""

from dataclasses import dataclass
from itertools import takewhile

from evoxtral.tags import Tag, Word, parse


@dataclass(frozen=True, slots=True)
class PartialText:
    """An utterance so far: `committed` only ever grows at its end; `tentative` may change with the next hypothesis."""

    committed: str
    tentative: str


@dataclass(frozen=True, slots=True)
class _Unit:
    """A word or a tag: what is compared, and how it was written."""

    key: str
    text: str
    is_tag: bool


class LocalAgreement:
    """Takes one hypothesis after the other of one utterance that is still being spoken."""

    def __init__(self) -> None:
        self._committed: list[_Unit] = []
        self._previous: list[_Unit] = []

    @property
    def committed(self) -> str:
        """What is certain so far, tagged text."""
        return _join(self._committed)

    def update(self, hypothesis: str) -> PartialText:
        """Take in the next hypothesis, the tagged text of the whole utterance so far.

        A tag is whole or not there, and is committed only when a word after it is: what follows decides it.
        """
        units = _units(hypothesis)
        agreed = sum(
            1 for _ in takewhile(lambda pair: pair[0].key == pair[1].key, zip(self._previous, units, strict=False))
        )
        while agreed and units[agreed - 1].is_tag:
            agreed -= 1
        if agreed > len(self._committed) and _agree(self._committed, units):
            self._committed += units[len(self._committed) : agreed]
        self._previous = units
        return PartialText(_join(self._committed), _join(_rest(self._committed, units)))


def _agree(committed: list[_Unit], units: list[_Unit]) -> bool:
    return all(one.key == other.key for one, other in zip(committed, units, strict=False))


def _rest(committed: list[_Unit], units: list[_Unit]) -> list[_Unit]:
    """What a hypothesis says after the committed text, by place where it contradicts it."""
    return units[len(committed) :]


def _units(text: str) -> list[_Unit]:
    parsed = parse(text)
    pieces: list[Word | Tag] = sorted([*parsed.words, *parsed.tags], key=lambda piece: piece.start)
    return [
        _Unit(f"[{piece.name}]", f"[{piece.name}]", is_tag=True)
        if isinstance(piece, Tag)
        else _Unit(_spoken(piece.text), piece.text, is_tag=False)
        for piece in pieces
    ]


def _spoken(word: str) -> str:
    """The word without case and punctuation: those may still change while the words stand."""
    return "".join(character for character in word.lower() if character.isalnum())


def _join(units: list[_Unit]) -> str:
    return " ".join(unit.text for unit in units)
