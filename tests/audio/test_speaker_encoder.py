import numpy as np
import pytest

from evoxtral.audio import resample
from evoxtral.audio.speaker_encoder import _embed, embed_speaker, similarity
from evoxtral.tts import speak


def test_embeddings_agree_with_the_package():
    # The first values of what resemblyzer 0.1.4 makes of this sound at -30 dBFS (embed_utterance, rate=1.25).
    expected = [
        0.0000,
        0.0816,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
        0.0000,
        0.0051,
        0.0710,
        0.1320,
        0.1194,
        0.0034,
        0.0000,
        0.0301,
        0.0000,
    ]
    times_s = np.arange(4 * 16000) / 16000
    buzz = sum(np.sin(2 * np.pi * k * 140 * times_s + k) / k for k in range(1, 25))
    sound = (0.05 * buzz * (1.2 + np.sin(2 * np.pi * 3 * times_s))).astype(np.float32)
    assert _embed(sound)[:16] == pytest.approx(expected, abs=2e-3)


def test_a_voice_is_more_like_itself_than_like_another():
    def embed(voice: str, text: str):
        speech = speak(text, voice=voice)
        return embed_speaker(resample(speech.samples, speech.sample_rate_hz, 16000))

    amber = embed("espeak/amber", "The train left the station an hour ago.")
    again = embed("espeak/amber", "Please bring some bread and a bottle of milk.")
    carl = embed("espeak/carl", "Please bring some bread and a bottle of milk.")
    assert similarity(amber, again) > 0.8
    assert similarity(amber, again) > similarity(amber, carl) + 0.1


def test_loudness_and_silence_are_no_part_of_a_voice():
    noise = np.random.default_rng(0).normal(0, 0.1, 48000).astype(np.float32)
    padded = np.concatenate([np.zeros(32000, np.float32), noise, np.zeros(16000, np.float32)])
    assert similarity(embed_speaker(noise), embed_speaker(0.1 * padded)) == pytest.approx(1, abs=0.02)


def test_no_sound_has_no_voice():
    silence = np.zeros(16000, np.float32)
    assert not embed_speaker(silence).any()
    assert np.isnan(similarity(embed_speaker(silence), embed_speaker(np.ones(16000, np.float32))))
    assert not embed_speaker(np.zeros(0, np.float32)).any()
