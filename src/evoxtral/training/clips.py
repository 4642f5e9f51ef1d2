"""Clips for training: decoded once, and held in memory as 16-bit samples.

Where they lie and which of them are in a split is for `evoxtral.data.clips`. Knows nothing of windows, tokens or
models.
"""

import io
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.data.clips import ListedClip, read_clips
from evoxtral.errors import CorpusError, RecipeError
from evoxtral.training.recipe import Source

READERS = 16  # threads that read files


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """One utterance: mono int16 `samples` at 16 kHz, shape (n,), and its tagged `text` ("" for no speech).

    `id` is unique over all sources of a run. `ends_s`: when each word and tag of the text is over, in its order; None
    where that was not looked for (`evoxtral.training.word_ends`).
    """

    id: str
    text: str
    samples: NDArray[np.int16]
    repeat: float = 1.0
    ends_s: tuple[float, ...] | None = None

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


def load_clips(
    sources: Sequence[Source], *, max_clip_s: float | None = None, sound: bool = True
) -> tuple[list[TrainingClip], int]:
    """Read all clips of the sources into memory (32 kB a second of audio).

    Args:
        max_clip_s: longer clips are left out.
        sound: False reads the audio's headers only: samples are zeros, which take no memory, of the right number.

    Returns:
        The clips in the order of the sources, and how many were left out for their length.

    Raises:
        RecipeError: a source is missing, is malformed, has no clip in its split, or names unreadable audio.
    """
    clips: list[TrainingClip] = []
    too_long = 0
    with ThreadPoolExecutor(READERS) as readers:
        for source in sources:
            for clip in readers.map(_read if sound else _measure, list_clips(source)):
                if max_clip_s is not None and clip.duration_s > max_clip_s:
                    too_long += 1
                else:
                    clips.append(replace(clip, id=f"{source.path}:{clip.id}", repeat=source.repeat))
    if not clips:
        raise RecipeError(f"every clip is longer than {max_clip_s:g} s", "cut the clips at pauses first")
    return clips, too_long


def list_clips(source: Source) -> list[ListedClip]:
    """The clips of a source, no audio read.

    Raises:
        RecipeError: the source is missing, is malformed or has no clip in its split.
    """
    try:
        listed = list(read_clips(source.path, source.split))
    except CorpusError as error:
        raise RecipeError(error.message, error.hint) from error
    if source.limit is not None and len(listed) > source.limit:
        chosen = np.linspace(0, len(listed) - 1, source.limit).round().astype(int)
        listed = [listed[index] for index in chosen]
    if not listed:
        raise RecipeError(f"{source.path}: no clip in split {source.split!r}")
    return listed


def duration_s(clip: ListedClip, content: bytes) -> float:
    """How long a clip is, by the header of its audio.

    Args:
        content: the encoded audio.

    Raises:
        RecipeError: the audio has no header.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content)) as audio:
            return float(audio.frames / audio.samplerate)
    except soundfile.LibsndfileError as error:
        raise _unreadable(clip, error) from error


def read_audio(clip: ListedClip) -> bytes:
    """A clip's encoded audio.

    Raises:
        RecipeError: it cannot be read.
    """
    try:
        return clip.audio.read_bytes()
    except OSError as error:
        raise _unreadable(clip, error) from error


def _unreadable(clip: ListedClip, error: Exception) -> RecipeError:
    return RecipeError(f"clip {clip.id}: its audio cannot be read: {error}")


def _read(listed: ListedClip) -> TrainingClip:
    import soundfile

    try:
        samples, rate_hz = soundfile.read(io.BytesIO(read_audio(listed)), dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        raise _unreadable(listed, error) from error
    mono = resample(samples.mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
    return TrainingClip(listed.id, listed.text, (mono.clip(-1, 1) * 32767).round().astype(np.int16))


def _measure(listed: ListedClip) -> TrainingClip:
    count = round(duration_s(listed, read_audio(listed)) * SAMPLE_RATE_HZ)
    return TrainingClip(listed.id, listed.text, np.broadcast_to(np.int16(0), count))
