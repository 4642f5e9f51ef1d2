import numpy as np
import pytest

from evoxtral.audio.measures import f0_track, syllable_times_s
from evoxtral.audio.tempo import change_tempo
from evoxtral.tts import speak


@pytest.mark.parametrize("tempo", [0.8, 1.1, 1.25, 2.0])
@pytest.mark.parametrize("rate_hz", [16_000, 22_050])
def test_a_tone_keeps_its_pitch_and_changes_its_length(tempo, rate_hz):
    sound = (0.3 * np.sin(2 * np.pi * 220 * np.arange(12 * rate_hz) / rate_hz)).astype(np.float32)
    changed = change_tempo(sound, rate_hz, tempo)
    assert len(changed) == pytest.approx(len(sound) / tempo, abs=0.1 * rate_hz)
    pitch = f0_track(changed, rate_hz)[20:-20]
    assert np.median(pitch) == pytest.approx(220, abs=1)


def test_faster_speech_has_the_same_syllables():
    speech = speak("The baker opens his shop before anybody else is awake.")
    faster = change_tempo(speech.samples, speech.sample_rate_hz, 1.25)
    counts = [len(syllable_times_s(samples, speech.sample_rate_hz)) for samples in (speech.samples, faster)]
    assert abs(counts[0] - counts[1]) <= 2


def test_the_same_tempo_changes_nothing_and_others_are_refused():
    sound = np.ones(100, np.float32)
    assert change_tempo(sound, 16_000, 1) is sound
    with pytest.raises(ValueError, match="tempo 3"):
        change_tempo(sound, 16_000, 3)
