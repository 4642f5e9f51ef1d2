"""Who speaks when: turns of speakers in a recording, and the speakers of words.

The embedded way needs nothing but this package: stretches of speech between pauses are turned into voices
(`evoxtral.audio.speaker_encoder`) and like voices are put together, as many speakers as that gives. It hears no
overlapping speech: each moment has one speaker. Where `pyannote.audio` and the user's right to its weights are there,
that is used instead. Knows times and sound; nothing of texts but that words have times.
"""

import logging
import os
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference.chunking import Window
from evoxtral.inference.vad import FRAME_S
from evoxtral.models import HUB_CACHE, ModelStore

_LOG = logging.getLogger(__name__)

PYANNOTE_MODEL = "pyannote/speaker-diarization-community-1"
_PYANNOTE_TELEMETRY = "PYANNOTE_METRICS_ENABLED"

# A pause of so long ends a stretch of speech; one speaker is assumed between pauses for about a piece's length.
_PAUSE_S = 0.13
_PIECE_S = 1.6
# Shorter stretches say too little of a voice to make a speaker; they are given to the likeliest one.
_TELLING_S = 1.1
# Voices with a smaller mean cosine distance are one speaker's. Set on mixtures of LibriSpeech and game voices
# (benchmarks/diarization.py).
_SAME_SPEAKER_DISTANCE = 0.35
# Who speaks less is no speaker but a sound that resembles none.
_LEAST_SPEECH_S = 3.0
# A change of speaker costs as much as so many seconds of a wholly other voice, and less after a pause: people take
# turns there. Without it a word that sounds unlike its speaker makes a turn of its own.
_CHANGE_COST_S = 0.2
_CHANGE_COST_FADES_S = 0.3
_OVERLAPPING_TURNS = 8


@dataclass(frozen=True, slots=True)
class Turn:
    """A stretch of one speaker's speech, in seconds from the start of the recording."""

    start_s: float
    end_s: float
    speaker: str


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


class Diarizer(Protocol):
    """Hears a recording window by window and then tells whose speech it was."""

    def hear(self, window: Window) -> None:
        """Take in the next window."""
        ...

    def turns(self, min_speakers: int | None = None, max_speakers: int | None = None) -> list[Turn]:
        """The turns of all that was heard, in order."""
        ...


class EmbeddedDiarizer:
    """Clusters voices; keeps a kilobyte for about every second and a half of speech."""

    def __init__(self) -> None:
        self._pieces: list[Piece] = []

    def hear(self, window: Window) -> None:
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
        for (first_s, last_s, stretch_s), voice in zip(places, embed_stretches(sounds), strict=True):
            start_s = window.time_in_recording(first_s)
            end_s = max(start_s, window.time_in_recording(last_s, is_end=True))
            self._pieces.append(Piece(start_s, end_s, stretch_s, voice))

    def turns(self, min_speakers: int | None = None, max_speakers: int | None = None) -> list[Turn]:
        if not self._pieces:
            return []
        return _turns(self._pieces, assign_speakers(self._pieces, min_speakers, max_speakers))


class PyannoteDiarizer:
    """`pyannote.audio`'s pipeline over the whole recording, whose speech is kept in memory (230 MB an hour).

    Args:
        pipeline: a loaded pipeline of pyannote.audio 4.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._windows: list[Window] = []

    def hear(self, window: Window) -> None:
        self._windows.append(window)

    def turns(self, min_speakers: int | None = None, max_speakers: int | None = None) -> list[Turn]:
        import torch

        if not self._windows:
            return []
        samples = np.zeros(self._windows[-1].spans[-1].end, np.float32)
        for window in self._windows:
            position = 0
            for span in window.spans:
                length = span.end - span.start
                samples[span.start : span.end] = window.samples[position : position + length]
                position += length
        sound = {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ}
        output = self._pipeline(sound, min_speakers=min_speakers, max_speakers=max_speakers)
        found = getattr(output, "speaker_diarization", output)
        turns = [(turn.start, turn.end, label) for turn, _, label in found.itertracks(yield_label=True)]
        return _named([Turn(start_s, end_s, str(label)) for start_s, end_s, label in sorted(turns)])


def load_diarizer(store: ModelStore = HUB_CACHE) -> Diarizer:
    """pyannote.audio where it is installed and gives its weights, otherwise the embedded way, as the log then says.

    Args:
        store: where the weights are looked up and fetched to.
    """
    if find_spec("pyannote") is None or find_spec("pyannote.audio") is None:
        return EmbeddedDiarizer()
    pipeline = _load_pipeline(store)
    return EmbeddedDiarizer() if pipeline is None else PyannoteDiarizer(pipeline)


@lru_cache(maxsize=1)
def _load_pipeline(store: ModelStore) -> Any:
    """pyannote.audio's pipeline, loaded once for all recordings; None where it cannot be had, as is said once."""
    # It tells its makers the length of what it hears, unless it is told not to.
    if store.offline or _PYANNOTE_TELEMETRY not in os.environ:
        os.environ[_PYANNOTE_TELEMETRY] = "false"
    try:
        folder = store.fetch_files(PYANNOTE_MODEL, ["*"])
        pipeline = import_module("pyannote.audio").Pipeline.from_pretrained(folder)
        _move_to_gpu(pipeline)
    except ModelError as error:
        cause = str(error)
    except Exception as error:  # its loaders raise whatever torch, a missing file or a missing library make them raise
        cause = " ".join(str(error).split())[:200]
    else:
        return pipeline
    _LOG.warning("speakers are told apart by the embedded way, because pyannote.audio cannot be used: %s", cause)
    return None


def _move_to_gpu(pipeline: Any) -> None:
    import torch

    if torch.cuda.is_available():
        pipeline.to(torch.device("cuda"))


def assign_speakers(
    pieces: Sequence[Piece], min_speakers: int | None = None, max_speakers: int | None = None
) -> NDArray[np.intp]:
    """The number of each piece's speaker, shape (pieces,).

    Average-linkage clustering of the telling pieces by cosine distance, cut at a fixed distance or at the number of
    speakers that was asked for; then the pieces go to the likeliest sequence of these speakers.
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
    labels = fcluster(tree, _SAME_SPEAKER_DISTANCE, "distance")
    speech_s = np.bincount(labels, weights=lengths_s[telling])
    kept = np.flatnonzero(speech_s >= min(_LEAST_SPEECH_S, speech_s.max()))
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


def _turns(pieces: Sequence[Piece], speakers: NDArray[np.intp]) -> list[Turn]:
    """Join what one speaker says without another between."""
    turns: list[Turn] = []
    for piece, speaker in zip(pieces, speakers, strict=True):
        if turns and turns[-1].speaker == str(speaker):
            turns[-1] = Turn(turns[-1].start_s, piece.end_s, turns[-1].speaker)
        else:
            turns.append(Turn(piece.start_s, piece.end_s, str(speaker)))
    return _named(turns)


def _named(turns: Sequence[Turn]) -> list[Turn]:
    """Call the speakers SPEAKER_1, SPEAKER_2, ... in the order in which they begin."""
    names: dict[str, str] = {}
    for turn in turns:
        names.setdefault(turn.speaker, f"SPEAKER_{len(names) + 1}")
    return [Turn(turn.start_s, turn.end_s, names[turn.speaker]) for turn in turns]
