"""Clips for training: read once from corpus folders or datasets, and held in memory as 16-bit samples.

Reads with `json` and `soundfile` alone, so that a bare GPU machine can train from a corpus folder; `datasets` is
needed only for sources that are datasets. Knows nothing of windows, tokens or models.
"""

import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.errors import RecipeError
from evoxtral.training.recipe import Source

SAMPLE_RATE_HZ = 16_000
READERS = 16  # threads that read files


@dataclass(frozen=True, slots=True)
class TrainingClip:
    """One utterance: mono int16 `samples` at 16 kHz, shape (n,), and its tagged `text` ("" for no speech).

    `id` is unique over all sources of a run.
    """

    id: str
    text: str
    samples: NDArray[np.int16]
    repeat: float = 1.0

    @property
    def duration_s(self) -> float:
        return len(self.samples) / SAMPLE_RATE_HZ


@dataclass(frozen=True, slots=True)
class ListedClip:
    """A clip whose audio is not read yet; `audio` is a file's path or its bytes."""

    id: str
    text: str
    audio: Path | bytes

    @property
    def file(self) -> Path | BinaryIO:
        """What `soundfile` reads."""
        return io.BytesIO(self.audio) if isinstance(self.audio, bytes) else self.audio


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
    listed = list(_listed(source))
    if source.limit is not None and len(listed) > source.limit:
        chosen = np.linspace(0, len(listed) - 1, source.limit).round().astype(int)
        listed = [listed[index] for index in chosen]
    if not listed:
        raise RecipeError(f"{source.path}: no clip in split {source.split!r}")
    return listed


def duration_s(clip: ListedClip) -> float:
    """How long a clip is, by its audio's header.

    Raises:
        RecipeError: the audio has none.
    """
    import soundfile

    try:
        with soundfile.SoundFile(clip.file) as audio:
            return float(audio.frames / audio.samplerate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(clip, error) from error


def _unreadable(clip: ListedClip, error: Exception) -> RecipeError:
    return RecipeError(f"clip {clip.id}: its audio cannot be read: {error}")


def _listed(source: Source) -> Iterator[ListedClip]:
    folder = Path(source.path)
    if (folder / "clips.jsonl").is_file():
        yield from _from_corpus(folder, source.split)
    elif folder.is_dir() and not (folder / "dataset_dict.json").is_file() and not (folder / "state.json").is_file():
        raise RecipeError(f"{folder}: neither a corpus folder (clips.jsonl) nor a saved dataset")
    else:
        yield from _from_dataset(source)


def _from_corpus(folder: Path, split: str) -> Iterator[ListedClip]:
    with (folder / "clips.jsonl").open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                clip = json.loads(line)
                chosen = split in ("all", clip.get("split"))
                listed = ListedClip(str(clip["id"]), str(clip["tagged_text"]), folder / clip["audio"])
            except (json.JSONDecodeError, KeyError, TypeError, AttributeError) as error:
                raise RecipeError(f"{folder / 'clips.jsonl'}:{number}: not a clip: {error!r}") from error
            if chosen:
                yield listed


def _from_dataset(source: Source) -> Iterator[ListedClip]:
    try:
        import datasets
    except ImportError:
        raise RecipeError(
            f"{source.path}: no such corpus folder, and datasets cannot be read", "pip install 'evoxtral[corpus]'"
        ) from None
    try:
        if Path(source.path).is_dir():
            loaded = datasets.load_from_disk(source.path)
        else:
            loaded = datasets.load_dataset(source.path)
    except Exception as error:  # the hub, the disk and the format each have their own
        reason = " ".join(str(error).split())
        raise RecipeError(f"{source.path}: neither a corpus folder nor a readable dataset: {reason}") from error
    splits: dict[str, Any] = dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {source.split: loaded}
    if source.split != "all" and source.split not in splits:
        raise RecipeError(f"{source.path}: no split {source.split!r}; it has {', '.join(splits)}")
    for name, rows in splits.items():
        if source.split not in ("all", name):
            continue
        # Undecoded: the bytes are decoded by soundfile, as those of a corpus folder are.
        for number, row in enumerate(rows.cast_column("audio", datasets.Audio(decode=False))):
            audio = row["audio"]
            content = audio["bytes"] if audio["bytes"] is not None else Path(audio["path"])
            yield ListedClip(f"{name}-{number}", row["tagged_text"], content)


def _read(listed: ListedClip) -> TrainingClip:
    import soundfile

    try:
        samples, rate_hz = soundfile.read(listed.file, dtype="float32", always_2d=True)
    except (soundfile.LibsndfileError, OSError) as error:
        raise _unreadable(listed, error) from error
    mono = samples.mean(axis=1)
    if rate_hz != SAMPLE_RATE_HZ:
        from scipy.signal import resample_poly

        common = int(np.gcd(rate_hz, SAMPLE_RATE_HZ))
        mono = resample_poly(mono, SAMPLE_RATE_HZ // common, rate_hz // common)
    return TrainingClip(listed.id, listed.text, (mono.clip(-1, 1) * 32767).round().astype(np.int16))


def _measure(listed: ListedClip) -> TrainingClip:
    count = round(duration_s(listed) * SAMPLE_RATE_HZ)
    return TrainingClip(listed.id, listed.text, np.broadcast_to(np.int16(0), count))
