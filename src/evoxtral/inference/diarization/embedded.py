"""The embedded diarizer: stretches of speech between pauses become voices, and like voices are put together.

Needs nothing but this package (`evoxtral.audio.speaker_encoder`). It hears no overlapping speech: each moment has one
speaker. Knows sound and times; how voices are put together is `clustering`.
"""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.chunking import Window
from evoxtral.inference.diarization.clustering import Piece, assign_speakers
from evoxtral.inference.diarization.turns import Turn, join_turns, named
from evoxtral.inference.vad import FRAME_S

# A pause of so long ends a stretch of speech; one speaker is assumed between pauses for about a piece's length.
_PAUSE_S = 0.13
_PIECE_S = 1.6


class EmbeddedDiarizer:
    """Clusters voices; keeps a kilobyte for about every second and a half of speech."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    @property
    def pieces(self) -> Sequence[Piece]:
        """What was heard so far, with its voices."""
        return self._pieces

    def hear(self, window: Window) -> None:
        self._pieces += hear_pieces(window)

    def turns(self, min_speakers: int | None = None, max_speakers: int | None = None) -> list[Turn]:
        if not self._pieces:
            return []
        speakers = assign_speakers(self._pieces, min_speakers, max_speakers)
        return named(join_turns(self._pieces, [str(speaker) for speaker in speakers]))


def hear_pieces(window: Window) -> list[Piece]:
    """The voices in a window, in the order of time; times are those of the recording."""
    from evoxtral.audio.speaker_encoder import embed_stretches

    places: list[tuple[float, float, float]] = []  # start and end of a piece, and length of its stretch
    sounds: list[NDArray[np.float32]] = []
    for start_s, end_s in _stretches(window.speech):
        count = max(1, round((end_s - start_s) / _PIECE_S))
        edges = np.linspace(start_s, end_s, count + 1)
        for first_s, last_s in pairwise(edges):
            # The voice is heard in as much as the network takes, within the stretch.
            length_s = min(_PIECE_S, end_s - start_s)
            from_s = min(max((first_s + last_s - length_s) / 2, start_s), end_s - length_s)
            first, last = round(from_s * SAMPLE_RATE_HZ), round((from_s + length_s) * SAMPLE_RATE_HZ)
            sounds.append(window.samples[first:last])
            places.append((float(first_s), float(last_s), float(end_s - start_s)))
    pieces: list[Piece] = []
    for (first_s, last_s, stretch_s), voice in zip(places, embed_stretches(sounds), strict=True):
        start_s = window.time_in_recording(first_s)
        end_s = max(start_s, window.time_in_recording(last_s, is_end=True))
        pieces.append(Piece(start_s, end_s, stretch_s, voice))
    return pieces


def _stretches(speech: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """Stretches of speech between pauses, in seconds from the start of the window."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speech, [False]]).astype(np.int8)))
    stretches: list[tuple[float, float]] = []
    for start, end in zip(edges[::2] * FRAME_S, edges[1::2] * FRAME_S, strict=True):
        if stretches and start - stretches[-1][1] < _PAUSE_S:
            stretches[-1] = (stretches[-1][0], float(end))
        else:
            stretches.append((float(start), float(end)))
    return stretches
