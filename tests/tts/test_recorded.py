"""A voice made of recordings: it says what was recorded, finds stretches inside, and refuses the rest.

The recordings are espeak's speech, whose word times are known.
"""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.audio import resample
from evoxtral.errors import VoiceError
from evoxtral.tts import espeak
from evoxtral.tts.local import LocalEngine
from evoxtral.tts.recorded import RecordedBase, voices

SENTENCES = {"one.flac": "Nobody waited for the train.", "two.flac": "Seven boats went by. Rain fell all day long."}


@pytest.fixture
def truth(tmp_path: Path) -> dict[str, espeak.PlainSpeech]:
    """A set of two recordings in `tmp_path`, and the word times that espeak gave."""
    rows, spoken = [], {}
    for file, text in SENTENCES.items():
        spoken[file] = espeak.speak_words(text.split(), espeak.VOICES["carl"])
        samples = resample(spoken[file].samples, spoken[file].sample_rate_hz, 16_000)
        soundfile.write(tmp_path / file, samples, 16_000)
        rows.append({"file": file, "duration": len(samples) / 16_000, "transcript": text, "speaker": "carl"})
    (tmp_path / "boats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return spoken


def test_whole_recording_is_given_back(truth: dict[str, espeak.PlainSpeech], tmp_path: Path) -> None:
    speech = RecordedBase("boats.carl", tmp_path).speak_words(["Nobody", "waited", "for", "the", "train."])
    expected = truth["one.flac"]
    assert len(speech.words) == 5
    assert len(speech.samples) / 16_000 == pytest.approx(len(expected.samples) / expected.sample_rate_hz, abs=0.1)


def test_stretch_of_a_recording_is_cut_at_its_words(truth: dict[str, espeak.PlainSpeech], tmp_path: Path) -> None:
    speech = RecordedBase("boats.carl", tmp_path).speak_words(["rain", "fell", "all", "day", "long."])
    times = truth["two.flac"].words
    assert len(speech.samples) / 16_000 == pytest.approx(times[8][1] - times[4][0], abs=0.12)
    recorded, _ = soundfile.read(tmp_path / "two.flac", dtype="float32")
    # The stretch stands in the recording where espeak put those words.
    match = np.correlate(recorded, speech.samples, mode="valid")
    assert np.argmax(match) / 16_000 == pytest.approx(times[4][0], abs=0.12)


def test_other_words_and_speakers_are_refused(truth: dict[str, espeak.PlainSpeech], tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="no recording of 'Good evening'"):
        RecordedBase("boats.carl", tmp_path).speak_words(["Good", "evening"])
    with pytest.raises(VoiceError, match="no speaker 'dora'"):
        RecordedBase("boats.dora", tmp_path)
    with pytest.raises(VoiceError, match=r"recorded/ships\.carl"):
        RecordedBase("ships.carl", tmp_path)


def test_local_engine_delivers_recordings(
    truth: dict[str, espeak.PlainSpeech], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVOXTRAL_RECORDINGS_DIR", str(tmp_path))
    assert [voice.name for voice in voices(tmp_path)] == ["recorded/boats.carl"]
    speech = LocalEngine().speak(
        "[sad] Seven boats went by. [pause] Rain fell all day long.", voice="recorded/boats.carl"
    )
    assert speech.engine == "local/recorded-boats"
    assert " ".join(word.word for word in speech.words) == SENTENCES["two.flac"]
    pause = next(tag for tag in speech.tags if tag.tag == "pause")
    assert pause.end_s - pause.start_s > 0.5
