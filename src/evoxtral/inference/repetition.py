"""Real repetition and loops: a text may say something again and again if each time is heard.

People repeat themselves, and so do models that have lost the thread. No statistic of the text tells them apart; the
sound does: each repetition needs a stretch of speech of its own. What has none is cut, and nothing is ever written in
its place. Knows one window's text, alignment and speech; nothing of engines.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.inference.vad import FRAME_S

# A run is a unit of at most so many words, said at least so often in a row.
_MAX_UNIT_WORDS = 24
_MIN_TIMES = 3
# Nobody says more letters a second; fast speakers reach about 20.
_MAX_LETTERS_PER_S = 25.0
# Alignments are vague at the edges of repetitions: one may have this share of the least time, if its run has it all.
_LEAST_SHARE = 0.5

_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class Run:
    """A stretch of text in which a unit comes again and again.

    Attributes:
        starts: where each repetition begins, in characters, and where the run ends.
        letters: of the unit.
    """

    starts: tuple[int, ...]
    letters: int

    @property
    def times(self) -> int:
        return len(self.starts) - 1


def repeated_runs(text: str) -> list[Run]:
    """The runs of a text, in order, each with its shortest unit; case and punctuation make no difference."""
    words = [(match.start(), match.end(), _letters(match[0])) for match in _WORD.finditer(text)]
    keys = [key for _, _, key in words]
    runs: list[Run] = []
    first = 0
    while first < len(words):
        for unit in range(1, min(_MAX_UNIT_WORDS, (len(words) - first) // _MIN_TIMES) + 1):
            times = 1
            while keys[first + times * unit : first + (times + 1) * unit] == keys[first : first + unit]:
                times += 1
            if times >= _MIN_TIMES and any(keys[first : first + unit]):
                last = first + times * unit
                starts = [words[first + index * unit][0] for index in range(times)]
                end = words[last][0] if last < len(words) else len(text)
                runs.append(Run((*starts, end), sum(map(len, keys[first : first + unit]))))
                first = last - 1
                break
        first += 1
    return runs


def cut_loops(text: str, tokens: Sequence[AlignedToken] | None, speech: NDArray[np.bool_]) -> str:
    """The text with each run as often as it is heard, at least once.

    Args:
        tokens: alignment of the text, which may end before it; None where there is none, and then the whole window's
            speech is the measure.
        speech: whether each frame of 32 ms of the window is speech.
    """
    pieces: list[str] = []
    kept = 0
    for run in repeated_runs(text):
        heard = _times_heard(run, tokens, speech)
        pieces.append(text[kept : run.starts[heard]])
        kept = run.starts[-1]
    return "".join([*pieces, text[kept:]]).rstrip()


def _times_heard(run: Run, tokens: Sequence[AlignedToken] | None, speech: NDArray[np.bool_]) -> int:
    least_s = run.letters / _MAX_LETTERS_PER_S
    if tokens is None:
        speech_s = float(speech.sum()) * FRAME_S
        return max(1, min(run.times, int(speech_s / least_s)))
    shares_s = [
        _speech_s(start, end, tokens, speech) for start, end in zip(run.starts[:-1], run.starts[1:], strict=True)
    ]
    with_time = sum(share_s >= _LEAST_SHARE * least_s for share_s in shares_s)
    return max(1, min(with_time, int(sum(shares_s) / least_s)))


def _speech_s(start: int, end: int, tokens: Sequence[AlignedToken], speech: NDArray[np.bool_]) -> float:
    """How much speech there is where some characters of the text are heard."""
    inside = [token for token in tokens if token.start < end and token.end > start]
    if not inside:
        return 0.0
    edges_s = np.clip(np.arange(len(speech) + 1) * FRAME_S, inside[0].start_s, inside[-1].end_s)
    return float(np.diff(edges_s)[speech].sum())


def _letters(word: str) -> str:
    return "".join(character for character in word.casefold() if character.isalnum())
