"""Speakers that are known by a sample of their voice: what such a sample gives, and whose turns are whose.

Knows voices as vectors (`evoxtral.audio.speaker_encoder`), turns and pieces of speech; nothing of how they were found.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np

from evoxtral.audio import SAMPLE_RATE_HZ, Recording, open_audio
from evoxtral.errors import AudioError
from evoxtral.inference.diarization.clustering import Piece
from evoxtral.inference.diarization.turns import Turn, speaker_of

# A sample of a voice: shorter ones tell too little, longer ones nothing more.
MIN_SAMPLE_S, MAX_SAMPLE_S = 1.0, 30.0
# From this cosine on a speaker's mean voice is that of a sample.
_SAME_VOICE = 0.75


class OpenRecording(Protocol):
    """Opens a recording as `open_audio` does."""

    def __call__(
        self, source: str | Path | BinaryIO, *, name: str | None = None
    ) -> AbstractContextManager[Recording]: ...


def voice_of(
    source: str | Path | BinaryIO, *, name: str | None = None, decode: OpenRecording = open_audio
) -> tuple[float, ...]:
    """The voice in a recording of 1 to 30 s in which one person speaks: a vector of length 1, 256 numbers.

    Args:
        name: how messages call it; by default its path.

    Raises:
        AudioError: it cannot be decoded, is too short or too long, or holds no sound.
    """
    from evoxtral.audio.speaker_encoder import embed_speaker

    parts, length_s = [], 0.0
    with decode(source, name=name) as recording:
        for block in recording.blocks():
            parts.append(block)
            length_s += len(block) / SAMPLE_RATE_HZ
            if length_s > MAX_SAMPLE_S:
                break
    if not MIN_SAMPLE_S <= length_s <= MAX_SAMPLE_S:
        raise AudioError(
            f"{recording.name}: is no sample of a voice: {'longer' if length_s > 1 else 'shorter'} than "
            f"{MAX_SAMPLE_S if length_s > 1 else MIN_SAMPLE_S:.0f} s",
            f"take {MIN_SAMPLE_S:.0f} to {MAX_SAMPLE_S:.0f} s in which one person speaks",
        )
    voice = embed_speaker(np.concatenate(parts))
    if not voice.any():
        raise AudioError(f"{recording.name}: is silent", "take a sample in which one person speaks")
    return tuple(float(number) for number in voice)


def name_known(turns: Sequence[Turn], pieces: Sequence[Piece], known: Mapping[str, Sequence[float]]) -> list[Turn]:
    """The turns with the names of those whose voices are known; a voice that is like none of them keeps its number.

    Each name goes to at most one speaker, so that the likenesses of all pairs together are greatest.

    Args:
        pieces: of the same speech, with their voices.
        known: voices by name, as `voice_of` gives them.
    """
    from scipy.optimize import linear_sum_assignment

    voices: dict[str, np.ndarray] = {}
    for piece in pieces:
        speaker = speaker_of(piece.start_s, piece.end_s, turns)
        if speaker is not None:
            voices[speaker] = voices.get(speaker, np.zeros(len(piece.voice))) + (
                (piece.end_s - piece.start_s) * piece.voice
            )
    if not voices or not known:
        return list(turns)
    speakers, names = list(voices), list(known)
    means = np.stack([voice / max(float(np.linalg.norm(voice)), 1e-9) for voice in voices.values()])
    likeness = means @ np.array([known[name] for name in names]).T
    likeness[likeness < _SAME_VOICE] = 0.0
    pairs = zip(*linear_sum_assignment(likeness, maximize=True), strict=True)
    called = {speakers[row]: names[column] for row, column in pairs if likeness[row, column] > 0.0}
    return [Turn(turn.start_s, turn.end_s, called.get(turn.speaker, turn.speaker)) for turn in turns]
