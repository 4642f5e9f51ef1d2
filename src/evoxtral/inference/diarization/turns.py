"""Turns of speakers: the record, what a diarizer looks like, and the speakers of words.

Knows times; nothing of how speakers are told apart.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from evoxtral.inference.chunking import Window
from evoxtral.inference.diarization.clustering import Piece

_OVERLAPPING_TURNS = 8


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of one speaker's speech, in seconds from the start of the recording."""

    start_s: float
    end_s: float
    speaker: str


class Diarizer(Protocol):
    """Hears a recording window by window and then tells whose speech it was."""

    def hear(self, window: Window) -> None:
        """Take in the next window."""
        ...

    def turns(self, min_speakers: int | None = None, max_speakers: int | None = None) -> list[Turn]:
        """The turns of all that was heard, in order."""
        ...


def speaker_of(start_s: float, end_s: float, turns: Sequence[Turn]) -> str | None:
    """Who speaks most between two times; between turns, who speaks nearest to them; None without turns.

    Args:
        turns: in the order of their starts.
    """
    first = bisect_left(turns, end_s, key=lambda turn: turn.start_s)
    # Turns that overlap are few at a time.
    near = turns[max(0, first - _OVERLAPPING_TURNS) : first + 1]

    def closeness(turn: Turn) -> float:
        """Seconds in common; if none, minus the seconds between."""
        return min(end_s, turn.end_s) - max(start_s, turn.start_s)

    return max(near, key=closeness).speaker if near else None


def named(turns: Sequence[Turn]) -> list[Turn]:
    """Call the speakers SPEAKER_1, SPEAKER_2, ... in the order in which they begin."""
    names: dict[str, str] = {}
    for turn in turns:
        names.setdefault(turn.speaker, f"SPEAKER_{len(names) + 1}")
    return [Turn(turn.start_s, turn.end_s, names[turn.speaker]) for turn in turns]


def join_turns(pieces: Sequence[Piece], speakers: Sequence[str]) -> list[Turn]:
    """Join what one speaker says without another between; `speakers` has a name for each piece."""
    turns: list[Turn] = []
    for piece, speaker in zip(pieces, speakers, strict=True):
        if turns and turns[-1].speaker == speaker:
            turns[-1] = Turn(turns[-1].start_s, piece.end_s, speaker)
        else:
            turns.append(Turn(piece.start_s, piece.end_s, speaker))
    return turns
