"""Who has given a sample of their voice is called by name; nobody else is."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.errors import AudioError, EvoxtralError
from evoxtral.inference import TranscribeOptions
from evoxtral.inference.chunking import cut_windows
from evoxtral.inference.diarization import EmbeddedDiarizer, Turn, name_known, voice_of
from evoxtral.inference.diarization.clustering import Piece
from evoxtral.tts import speak
from known_speech import SENTENCES, record

PLAIN = [sentence for sentence in SENTENCES if "[" not in sentence]


def sample(
    path: Path, voice: str, text: str = "I can not remember the name of that small village near the sea."
) -> Path:
    speech = speak(text, voice=voice, seed=9)
    soundfile.write(path, resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ), SAMPLE_RATE_HZ)
    return path


def test_a_voice_that_is_known_has_its_name_and_the_other_its_number(tmp_path: Path) -> None:
    conversation = record(PLAIN, [0.3, 0.6, 0.4, 0.9], voices=["espeak/alan", "espeak/grace"])
    diarizer = EmbeddedDiarizer()
    for window in cut_windows(iter([conversation.samples]), 30.0):
        diarizer.hear(window)
    turns = diarizer.turns()
    assert [turn.speaker for turn in turns[:2]] == ["SPEAKER_1", "SPEAKER_2"]
    known = {
        "Grace": voice_of(sample(tmp_path / "grace.wav", "espeak/grace")),
        "Nobody": voice_of(sample(tmp_path / "nobody.wav", "espeak/cora")),
    }
    named = name_known(turns, diarizer.pieces, known)
    # The second voice to speak is Grace's.
    called = {"SPEAKER_1": "SPEAKER_1", "SPEAKER_2": "Grace"}
    assert [turn.speaker for turn in named] == [called[turn.speaker] for turn in turns]


def test_each_name_goes_to_the_speaker_that_is_most_like_it() -> None:
    def voice(*parts: float) -> np.ndarray:
        vector = np.zeros(256, np.float32)
        vector[: len(parts)] = parts
        return vector / np.linalg.norm(vector)

    turns = [Turn(0, 2, "SPEAKER_1"), Turn(2, 4, "SPEAKER_2"), Turn(4, 6, "SPEAKER_3")]
    pieces = [Piece(0, 2, 2, voice(1, 0.5)), Piece(2, 4, 2, voice(1, 0.1)), Piece(4, 6, 2, voice(0, 0, 1))]
    known = {"Ann": voice(1), "Bob": voice(0, 1)}
    assert [turn.speaker for turn in name_known(turns, pieces, known)] == ["SPEAKER_1", "Ann", "SPEAKER_3"]
    assert name_known(turns, pieces, {}) == turns
    assert name_known([], [], known) == []


def test_samples_that_tell_nothing_are_refused(tmp_path: Path) -> None:
    for name, samples, cause in (
        ("short", np.ones(8_000), "shorter than 1 s"),
        ("long", np.ones(31 * SAMPLE_RATE_HZ), "longer than 30 s"),
        ("silent", np.zeros(2 * SAMPLE_RATE_HZ), "is silent"),
    ):
        soundfile.write(tmp_path / f"{name}.wav", 0.1 * samples, SAMPLE_RATE_HZ)
        with pytest.raises(AudioError, match=cause):
            voice_of(tmp_path / f"{name}.wav")
    with pytest.raises(EvoxtralError, match="nobody tells speakers apart"):
        TranscribeOptions(known_speakers={"Ann": (1.0,)})
