"""Whether each clip is what its script says: decodes, of plausible length, audible, whole, and intelligible.

Two steps: clips are measured once, in a journal, so that a killed run goes on where it was; verdicts follow from the
measurements, so that another threshold needs no second listening. The audio of a rejected clip stays; its id and the
reason go to `set_aside.jsonl`. Knows an engine that listens and nothing of the one that spoke.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio
from evoxtral.audio.levels import level_track_db, rms_db
from evoxtral.data.corpus_config import ValidationConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.journal import Journal
from evoxtral.data.records import Clip, SetAside
from evoxtral.errors import AudioError, CorpusError
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.tags import parse, plain_text

if TYPE_CHECKING:
    from whisper_normalizer.english import EnglishTextNormalizer

# Nobody speaks faster; a shorter clip lacks words.
_MAX_WORDS_PER_S = 6.5
# Slow speech, and the room that each tag (a pause, a laugh) and the clip's two ends may take; a longer clip rambles.
_MAX_S_PER_WORD = 1.3
_MAX_S_PER_TAG = 4.0
_MAX_S_AT_ENDS = 3.0
_MIN_LEVEL_DB = -50.0
_FULL_SCALE = 0.999
_MAX_CLIPPED_SHARE = 0.001
# Speech fades before it ends; the last moments of a clip that is cut off are as loud as its speech.
_END_S = 0.02
_SPEECH_PERCENTILE = 80
_MIN_FADE_DB = 6.0

_ELLIPSIS = re.compile(r"\.{2,}|…")  # which the normaliser would take for a word's end


class Measurement(BaseModel):
    """What was measured of one clip; None where the step before failed or nobody listened.

    Attributes:
        key: digest of what the measurement depends on: audio, text, listener.
        error: why the audio cannot be read.
        level_db: RMS over the whole clip, dB of full scale.
        clipped_share: share of the samples at full scale.
        fade_db: how far the clip's last moments lie below its speech.
        heard: plain text that the listener wrote.
    """

    id: str
    key: str
    error: str | None = None
    duration_s: float = 0.0
    level_db: float = -120.0
    clipped_share: float = 0.0
    fade_db: float = 0.0
    heard: str | None = None


@dataclass(frozen=True, slots=True)
class ValidationReport:
    """What a validation found.

    Attributes:
        total: clips of the corpus.
        measured: those that this run measured; the others were measured before.
        set_aside: rejected clips with their reasons.
        wer: word error rate of the listener over all clips with words; None where nobody listened.
    """

    total: int
    measured: int
    set_aside: tuple[SetAside, ...]
    wer: float | None

    @property
    def reasons(self) -> Counter[str]:
        return Counter(clip.reason for clip in self.set_aside)


def validate(
    corpus: CorpusFolder,
    config: ValidationConfig,
    *,
    listener: TranscriptionEngine | None,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
) -> ValidationReport:
    """Measure clips that are not measured yet, judge all, and rewrite the list of those set aside.

    Args:
        listener: transcribes each clip back; None leaves intelligibility out.
        on_progress: called with the number of clips measured and of all.

    Raises:
        CorpusError: there are no clips; the folder's files are malformed; another process works on it.
    """
    clips = corpus.read_clips()
    if not clips:
        raise CorpusError(f"{corpus.path} has no clips", f"make some: evoxtral corpus synthesize {corpus.path}")
    with corpus.locked():
        journal = Journal(corpus.path / "checked.jsonl", Measurement)
        before = journal.latest(lambda measurement: measurement.key)
        measurements: dict[str, Measurement] = {}
        measured = 0
        batch_size = max(8, listener.batch_size * 2 if listener else 0)
        for batch in _measure_in_batches(corpus.path, clips, listener, config.workers, before, batch_size):
            new = [measurement for measurement in batch if measurement.key not in before]
            journal.append(new)
            measured += len(new)
            measurements.update((measurement.id, measurement) for measurement in batch)
            on_progress(len(measurements), len(clips))
        rejected = [verdict for clip in clips if (verdict := judge(clip, measurements[clip.id], config.max_wer))]
        corpus.write_set_aside(rejected)
    return ValidationReport(len(clips), measured, tuple(rejected), _corpus_wer(clips, measurements))


def judge(clip: Clip, measurement: Measurement, max_wer: float) -> SetAside | None:
    """Why a clip is rejected; None for a good one. The first reason counts."""
    parsed = parse(clip.tagged_text)
    words, tags = len(parsed.words), len(parsed.tags)
    duration_s = measurement.duration_s

    def reject(reason: str, detail: str) -> SetAside:
        return SetAside(id=clip.id, reason=reason, detail=detail)

    if measurement.error is not None:
        return reject("unreadable", measurement.error)
    if measurement.level_db < _MIN_LEVEL_DB:
        return reject("silent", f"{measurement.level_db:.0f} dB of full scale")
    if measurement.clipped_share > _MAX_CLIPPED_SHARE:
        return reject("clipped", f"{measurement.clipped_share:.2%} of the samples at full scale")
    if duration_s < words / _MAX_WORDS_PER_S:
        return reject("too short", f"{duration_s:.1f} s for {words} words")
    if duration_s > _MAX_S_AT_ENDS + words * _MAX_S_PER_WORD + tags * _MAX_S_PER_TAG:
        return reject("too long", f"{duration_s:.1f} s for {words} words and {tags} tags")
    if measurement.fade_db < _MIN_FADE_DB:
        return reject("cut off", f"its end lies {measurement.fade_db:.0f} dB below its speech")
    if measurement.heard is not None and words:
        errors, spoken = count_errors(parsed.plain_text, measurement.heard)
        # One misheard word says nothing about a clip of one or two.
        if errors > max(1.0, max_wer * spoken):
            return reject("unintelligible", f"{errors} errors in {spoken} words, heard: {measurement.heard}")
    return None


def count_errors(spoken: str, heard: str) -> tuple[int, int]:
    """Word errors between two plain texts, both normalised as Whisper's authors do, and the number of spoken words."""
    import jiwer

    reference, hypothesis = (" ".join(_normalizer()(_ELLIPSIS.sub(" ", text)).split()) for text in (spoken, heard))
    if not reference:
        return len(hypothesis.split()), 0
    output = jiwer.process_words(reference, hypothesis)
    return output.substitutions + output.deletions + output.insertions, len(reference.split())


@cache
def _normalizer() -> "EnglishTextNormalizer":
    from whisper_normalizer.english import EnglishTextNormalizer

    return EnglishTextNormalizer()


def _corpus_wer(clips: Sequence[Clip], measurements: dict[str, Measurement]) -> float | None:
    errors = words = 0
    for clip in clips:
        heard = measurements[clip.id].heard
        if heard is not None and (spoken := plain_text(clip.tagged_text)):
            new_errors, new_words = count_errors(spoken, heard)
            errors, words = errors + new_errors, words + new_words
    return errors / words if words else None


# --- measuring ------------------------------------------------------------------------------------------------------


def _measure_in_batches(
    folder: Path,
    clips: Sequence[Clip],
    listener: TranscriptionEngine | None,
    workers: int | None,
    before: dict[str, Measurement],
    batch_size: int,
) -> Iterator[list[Measurement]]:
    """Measurements of all clips, old and new, in batches; decoding runs in threads beside the listener."""
    name = listener.model if listener else None
    waiting = iter(clips)
    with ThreadPoolExecutor(workers) as pool:

        def submit() -> list[tuple[Measurement, NDArray[np.float32] | None]]:
            return list(pool.map(lambda clip: _measure(folder, clip, name, before), islice(waiting, batch_size)))

        with ThreadPoolExecutor(1) as ahead:
            following = ahead.submit(submit)
            while batch := following.result():
                following = ahead.submit(submit)
                yield _listen(batch, listener)


def _measure(
    folder: Path, clip: Clip, listener: str | None, before: dict[str, Measurement]
) -> tuple[Measurement, NDArray[np.float32] | None]:
    """A clip's measurement, and its samples where somebody must listen to them."""
    path = folder / clip.audio
    try:
        content = path.read_bytes()
    except OSError as error:
        content = str(error).encode()
    digest = hashlib.blake2b(content, digest_size=16)
    digest.update("\0".join(("", clip.id, clip.tagged_text, listener or "")).encode())
    key = digest.hexdigest()
    if key in before:
        return before[key], None
    try:
        samples = load_audio(path, name=clip.audio)
    except AudioError as error:
        return Measurement(id=clip.id, key=key, error=error.message), None
    levels_db = level_track_db(samples, SAMPLE_RATE_HZ)
    measurement = Measurement(
        id=clip.id,
        key=key,
        duration_s=round(len(samples) / SAMPLE_RATE_HZ, 3),
        level_db=round(rms_db(samples), 2),
        clipped_share=round(float(np.mean(np.abs(samples) >= _FULL_SCALE)), 6),
        fade_db=round(_speech_level_db(levels_db) - rms_db(samples[-round(_END_S * SAMPLE_RATE_HZ) :]), 2),
    )
    return measurement, samples


def _speech_level_db(levels_db: NDArray[np.float64]) -> float:
    return float(np.percentile(levels_db, _SPEECH_PERCENTILE)) if len(levels_db) else -120.0


def _listen(
    batch: Sequence[tuple[Measurement, NDArray[np.float32] | None]], listener: TranscriptionEngine | None
) -> list[Measurement]:
    """The measurements with what the listener heard."""
    if listener is None:
        return [measurement for measurement, _ in batch]
    windows: list[NDArray[np.float32]] = []
    owners: list[int] = []
    for index, (_, samples) in enumerate(batch):
        if samples is None:
            continue
        for window in _cut(samples, listener.max_window_s):
            windows.append(window)
            owners.append(index)
    texts: list[list[str]] = [[] for _ in batch]
    for index, hypothesis in zip(owners, listener.transcribe_windows(windows) if windows else [], strict=True):
        texts[index].append(hypothesis.text)
    return [
        measurement if samples is None else measurement.model_copy(update={"heard": plain_text(" ".join(heard))})
        for (measurement, samples), heard in zip(batch, texts, strict=True)
    ]


def _cut(samples: NDArray[np.float32], max_window_s: float) -> list[NDArray[np.float32]]:
    if len(samples) <= max_window_s * SAMPLE_RATE_HZ:
        return [samples]
    from evoxtral.inference.chunking import cut_windows

    return [window.samples for window in cut_windows([samples], max_window_s)]
