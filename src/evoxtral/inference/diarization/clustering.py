"""How many voices there are, and which piece of speech is whose.

Knows voices as vectors and pieces as times; nothing of sound or networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

# Shorter stretches say too little of a voice to make a speaker; they are given to the likeliest one.
_TELLING_S = 1.1
# Voices with a smaller mean cosine distance are one speaker's: so many times what the parts of one stretch of speech
# differ by in this recording, within bounds; synthetic voices and clean studios differ less than old games. Set, as all
# here, on mixtures of local, LibriSpeech and game voices (benchmarks/diarization.py, seed 1).
_SPEAKER_DISTANCE_TO_OWN = 2.2
_LEAST_SPEAKER_DISTANCE = 0.25
_MOST_SPEAKER_DISTANCE = 0.35
_LEAST_NEIGHBOURS = 3  # fewer tell nothing of how much a voice differs from itself
# Who speaks a smaller share of the recording is no speaker but a sound that resembles none; in seconds at least and at
# most so much.
_LEAST_SHARE = 0.05
_LEAST_SPEECH_S = (1.0, 3.0)
# A change of speaker costs as much as so many seconds of a wholly other voice, and less after a pause: people take
# turns there. Without it a word that sounds unlike its speaker makes a turn of its own.
_CHANGE_COST_S = 0.2
_CHANGE_COST_FADES_S = 0.3
_SAME_MOMENT_S = 1e-3


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a stretch of speech between two pauses.

    Attributes:
        start_s, end_s: in the recording.
        stretch_s: length of the whole stretch.
        voice: shape (256,), of length 1.
    """

    start_s: float
    end_s: float
    stretch_s: float
    voice: NDArray[np.float32]


def assign_speakers(
    pieces: Sequence[Piece], min_speakers: int | None = None, max_speakers: int | None = None
) -> NDArray[np.intp]:
    """The number of each piece's speaker, shape (pieces,).

    Average-linkage clustering of the telling pieces by cosine distance, cut at what this recording's voices differ from
    themselves or at the number of speakers that was asked for; then the pieces go to the likeliest sequence of these
    speakers.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    voices = np.stack([piece.voice for piece in pieces])
    lengths_s = np.array([piece.end_s - piece.start_s for piece in pieces])
    telling = np.flatnonzero([piece.stretch_s >= _TELLING_S for piece in pieces])
    if len(telling) < max(2, min_speakers or 1):
        telling = np.arange(len(pieces))
    if len(telling) < 2:
        return np.zeros(len(pieces), np.intp)
    tree = linkage(voices[telling], "average", metric="cosine")
    labels = fcluster(tree, _speaker_distance(pieces), "distance")
    speech_s = np.bincount(labels, weights=lengths_s[telling])
    least_s = np.clip(_LEAST_SHARE * lengths_s.sum(), *_LEAST_SPEECH_S)
    kept = np.flatnonzero(speech_s >= min(least_s, speech_s.max()))
    wanted = min(max(len(kept), min_speakers or 1), max_speakers or len(pieces))
    if wanted != len(kept):
        labels = fcluster(tree, wanted, "maxclust")
        kept = np.unique(labels)
    centres = np.stack([voices[telling][labels == label].mean(axis=0) for label in kept])
    for _ in range(3):
        nearest = (voices[telling] @ _normed(centres).T).argmax(axis=1)
        of_speaker = [telling[nearest == index] for index in range(len(centres))]
        centres = np.stack(
            [
                (voices[own] * lengths_s[own, None]).sum(axis=0) if len(own) else centre
                for own, centre in zip(of_speaker, centres, strict=True)
            ]
        )
    likeness = voices @ _normed(centres).T
    speakers = _likeliest_sequence(pieces, likeness)
    # Nobody who is known to speak is smoothed away.
    return speakers if len(np.unique(speakers)) >= (min_speakers or 1) else likeness.argmax(axis=1)


def _speaker_distance(pieces: Sequence[Piece]) -> float:
    """From which distance on two voices are two speakers', by how the parts of one stretch differ in this recording."""
    own = [
        1.0 - float(before.voice @ after.voice)
        for before, after in pairwise(pieces)
        if before.stretch_s == after.stretch_s and abs(before.end_s - after.start_s) < _SAME_MOMENT_S
    ]
    if len(own) < _LEAST_NEIGHBOURS:
        return _MOST_SPEAKER_DISTANCE
    distance = _SPEAKER_DISTANCE_TO_OWN * float(np.median(own))
    return float(np.clip(distance, _LEAST_SPEAKER_DISTANCE, _MOST_SPEAKER_DISTANCE))


def _normed(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9), np.float32)


def _likeliest_sequence(pieces: Sequence[Piece], likeness: NDArray[np.float32]) -> NDArray[np.intp]:
    """The speakers, one a piece, whose voices are most like the pieces', less the cost of each change (Viterbi).

    Args:
        likeness: cosine of each piece's voice and each speaker's, shape (pieces, speakers).
    """
    scores = likeness * np.array([piece.end_s - piece.start_s for piece in pieces])[:, None]
    reached = scores[0]
    before = np.zeros(scores.shape, np.intp)
    for index in range(1, len(pieces)):
        pause_s = max(0.0, pieces[index].start_s - pieces[index - 1].end_s)
        changed = reached.max() - _CHANGE_COST_S * np.exp(-pause_s / _CHANGE_COST_FADES_S)
        before[index] = np.where(reached >= changed, np.arange(len(reached)), reached.argmax())
        reached = np.maximum(reached, changed) + scores[index]
    speakers = np.full(len(pieces), reached.argmax(), np.intp)
    for index in range(len(pieces) - 1, 0, -1):
        speakers[index - 1] = before[index, speakers[index]]
    return speakers
