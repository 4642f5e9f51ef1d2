"""Who speaks in a live stream: utterance by utterance, with names that stay, and earlier ones set right later.

After each utterance all voices of the stream are clustered again, as of a recording that ends there; the clusters take
the names that most of their speech had before. What was said long ago is represented by some of its voices only, so
that a stream of hours needs no more time and memory than one of minutes. Knows sound and times; nothing of texts.
"""

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from evoxtral.inference.chunking import Window
from evoxtral.inference.diarization.clustering import Piece, assign_speakers
from evoxtral.inference.diarization.embedded import hear_pieces
from evoxtral.inference.diarization.turns import Turn, join_turns

# Clustering takes a time that grows with the square of this; so many pieces are ten to twenty minutes of speech.
_MOST_PIECES = 600


class StreamDiarizer:
    """One stream's speakers, SPEAKER_1 and so on in the order in which they were first told apart."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []
        self._names: list[str] = []  # of the pieces
        self._known = 0  # so many names were given

    def utterance(self, start_s: float) -> "UtteranceDiarizer":
        """What hears the utterance that begins `start_s` after the start of the stream."""
        return UtteranceDiarizer(self, start_s)

    def turns(self) -> list[Turn]:
        """The turns of the stream, as far back as it is remembered piece by piece, in order."""
        return join_turns(self._pieces, self._names)

    def add(self, pieces: list[Piece]) -> None:
        """Take in an utterance, whose times count from the start of the stream, and name all speakers anew."""
        if not pieces:
            return
        self._pieces += pieces
        self._names += [""] * len(pieces)
        labels = assign_speakers(self._pieces)
        self._names = self._renamed(labels)
        self._forget()

    def _renamed(self, labels: NDArray[np.intp]) -> list[str]:
        """A name for each cluster: the one that most of its speech had, if no other cluster has a better claim."""
        from scipy.optimize import linear_sum_assignment

        clusters = list(dict.fromkeys(int(label) for label in labels))  # as they begin
        before = sorted({name for name in self._names if name})
        shared_s = np.zeros((len(clusters), len(before)))
        for piece, name, label in zip(self._pieces, self._names, labels, strict=True):
            if name:
                shared_s[clusters.index(int(label)), before.index(name)] += piece.end_s - piece.start_s
        rows, columns = linear_sum_assignment(shared_s, maximize=True)
        names = {
            clusters[row]: before[column]
            for row, column in zip(rows, columns, strict=True)
            if shared_s[row, column] > 0
        }
        for cluster in clusters:
            if cluster not in names:
                self._known += 1
                names[cluster] = f"SPEAKER_{self._known}"
        return [names[int(label)] for label in labels]

    def _forget(self) -> None:
        """Leave out the oldest pieces of whoever has most, so that nobody is forgotten."""
        while len(self._pieces) > _MOST_PIECES:
            ((talkative, _),) = Counter(self._names).most_common(1)
            oldest = self._names.index(talkative)
            del self._pieces[oldest], self._names[oldest]


class UtteranceDiarizer:
    """The `Diarizer` of one utterance: its times count from the start of the utterance."""

    def __init__(self, stream: StreamDiarizer, start_s: float) -> None:
        self._stream, self._start_s = stream, start_s
        self._pieces: list[Piece] = []

    def hear(self, window: Window) -> None:
        self._pieces += [
            Piece(self._start_s + piece.start_s, self._start_s + piece.end_s, piece.stretch_s, piece.voice)
            for piece in hear_pieces(window)
        ]

    def turns(self, min_speakers: int | None = None, max_speakers: int | None = None) -> list[Turn]:
        """The turns of the utterance. How many speakers there are is the stream's to know."""
        self._stream.add(self._pieces)
        end_s = self._pieces[-1].end_s if self._pieces else self._start_s
        self._pieces = []
        return [
            Turn(turn.start_s - self._start_s, turn.end_s - self._start_s, turn.speaker)
            for turn in self._stream.turns()
            if turn.end_s > self._start_s and turn.start_s < end_s
        ]
