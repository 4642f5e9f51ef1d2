"""Base voices that are recordings: a speaker's sentences, spoken again in another delivery.

A voice `recorded/SET.SPEAKER` says only what was recorded of that speaker, in sets of recordings
(`evoxtral.data.recording_sets`) that lie in the folder EVOXTRAL_RECORDINGS_DIR. Made for training data: real
timbres and rooms, with deliveries that nobody recorded. Knows nothing of tags or delivery.
"""

import functools
import re
from collections.abc import Sequence
from pathlib import Path

from evoxtral.data.recording_sets import SAMPLE_RATE_HZ, Recording, RecordingSet
from evoxtral.errors import AudioError, VoiceError
from evoxtral.findings import Finding
from evoxtral.models import ModelStore
from evoxtral.settings import read_settings
from evoxtral.tts.plain_speech import PlainSpeech, probe_folder
from evoxtral.tts.speech_engine import Voice
from evoxtral.tts.word_times import align

_GUIDE_VOICE = "en-us+m3"
_VARIABLE = "EVOXTRAL_RECORDINGS_DIR"


class RecordedBase:
    """A speaker of a set of recordings.

    Args:
        name: `SET.SPEAKER`.
        folder: holds SET.jsonl and its audio.

    Raises:
        VoiceError: there is no such set or speaker.
    """

    def __init__(self, name: str, folder: Path) -> None:
        set_name, _, speaker = name.partition(".")
        self.engine = f"local/recorded-{set_name}"
        try:
            self._set = _open_set(folder / f"{set_name}.jsonl")
        except AudioError as error:
            raise VoiceError(f"there is no voice recorded/{name}: {error.message}", error.hint) from error
        spoken = [recording for recording in self._set.recordings if recording.speaker == speaker]
        if not spoken:
            raise VoiceError(f"there is no voice recorded/{name}: {set_name} has no speaker {speaker!r}")
        self._by_words: dict[tuple[str, ...], Recording] = {_keys(item.transcript.split()): item for item in spoken}

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        """The recording of these words, or the stretch of a recording that holds them.

        Raises:
            VoiceError: the speaker never said these words in a row.
        """
        wanted = _keys(words)
        if wanted in self._by_words:
            return self._stretch(self._by_words[wanted], 0, len(words))
        for held, recording in self._by_words.items():
            for first in range(len(held) - len(wanted) + 1):
                if held[first : first + len(wanted)] == wanted:
                    return self._stretch(recording, first, len(words))
        raise VoiceError(
            f"{self.engine} has no recording of {' '.join(words)[:60]!r}", "take sentences of its manifest"
        )

    def sample(self) -> PlainSpeech:
        """A recording of middling length, to measure the speaker by."""
        chosen = sorted(self._by_words.values(), key=lambda recording: abs(recording.duration_s - 3.0))[0]
        return PlainSpeech(self._set.read(chosen), SAMPLE_RATE_HZ, ())

    def _stretch(self, recording: Recording, first: int, count: int) -> PlainSpeech:
        whole = _aligned(self._set.manifest, recording.file)
        if len(whole.words) == count:
            return whole
        start_s, end_s = whole.words[first][0], whole.words[first + count - 1][1]
        samples = whole.samples[round(start_s * SAMPLE_RATE_HZ) : max(1, round(end_s * SAMPLE_RATE_HZ))]
        spans = tuple((a - start_s, b - start_s) for a, b in whole.words[first : first + count])
        return PlainSpeech(samples, SAMPLE_RATE_HZ, spans)


def voices(store: ModelStore) -> list[Voice]:
    """All speakers with transcripts in the sets of the user's folder."""
    folder = read_settings().recordings_dir
    found = []
    for manifest in sorted(folder.glob("*.jsonl")) if folder is not None else ():
        speakers = {recording.speaker for recording in _open_set(manifest).recordings if recording.transcript}
        found += [Voice(f"recorded/{manifest.stem}.{name}", "recordings") for name in sorted(speakers)]
    return found


def load(name: str, store: ModelStore, cache_folder: Path | None) -> RecordedBase:
    folder = read_settings().recordings_dir
    if folder is None:
        raise VoiceError(
            f"the recordings of recorded/{name} were not found", f"set {_VARIABLE} to the folder of its manifest"
        )
    return RecordedBase(name, folder)


def probe(store: ModelStore) -> Finding:
    folder = read_settings().recordings_dir
    holds = "a folder with sets of recordings, for training data"
    return probe_folder("recorded", voices(store), _VARIABLE, None if folder is None else str(folder), holds)


@functools.lru_cache(maxsize=8)
def _open_set(manifest: Path) -> RecordingSet:
    return RecordingSet(manifest)


@functools.lru_cache(maxsize=2048)
def _aligned(manifest: Path, file: str) -> PlainSpeech:
    """A whole recording with the times of the words of its transcript."""
    recordings = _open_set(manifest)
    recording = next(item for item in recordings.recordings if item.file == file)
    return align(recordings.read(recording), SAMPLE_RATE_HZ, recording.transcript.split(), _GUIDE_VOICE)


def _keys(words: Sequence[str]) -> tuple[str, ...]:
    """Words as they are compared: letters and digits alone."""
    return tuple(key for word in words if (key := re.sub(r"[^\w]", "", word.lower())))
