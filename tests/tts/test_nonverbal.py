"""The sounds between words are what they are called, for several speakers and many draws."""

import numpy as np
import pytest
import soundfile
from takes import VOICES, tremor_st

from evoxtral.audio import levels, measures
from evoxtral.errors import VoiceError
from evoxtral.tts import espeak
from evoxtral.tts.nonverbal import SPEECH_RMS, RecordedBursts, SynthesisedBursts, huff, speaker_of
from evoxtral.tts.sounds import BURSTS

WORDS = ["Ah,", "I", "was", "far", "along", "the", "path."]
SEEDS = range(4)


@pytest.fixture(scope="module", params=VOICES)
def speaker(request):
    plain = espeak.speak_words(WORDS, espeak.VOICES[request.param.removeprefix("espeak/")])
    return speaker_of(plain.samples, plain.sample_rate_hz)


def fine_level_db(sound):
    return np.maximum(levels.level_track_db(*sound, frame_s=0.004), -60.0)


def burst(tag, speaker, seed):
    samples = SynthesisedBursts().burst(tag, speaker, np.random.default_rng(seed))
    return samples, speaker.sample_rate_hz


def envelope(sound):
    return np.sqrt(np.maximum(10 ** (levels.level_track_db(*sound) / 10), 0.0))


def test_a_speaker_is_measured_at_their_pitch(speaker):
    assert 65 < speaker.f0_hz < 320
    hz = np.linspace(0, speaker.sample_rate_hz / 2, len(speaker.vowel))
    # An open vowel: without the glottis' slope its strongest resonance is the first formant of "ah".
    flattened = speaker.vowel + np.log(10) / 10 * 6.0 * np.log2(np.maximum(hz, 50) / 1000)
    assert 450 < hz[: len(hz) // 4][np.argmax(flattened[: len(hz) // 4])] < 1500


def test_room_tone_is_like_the_quiet_moments_between_words():
    rng = np.random.default_rng(0)
    words = tone(120, 16_000, 3.75) * (np.sin(np.arange(60_000) / 4_000) > 0)
    white = rng.normal(0, 0.002, 60_000)  # -54 dB of full scale
    heard = {}
    for colour, hum in (
        ("none", np.zeros(60_000)),
        ("white", white),
        ("dark", np.convolve(white, np.ones(12) / np.sqrt(12), "same")),
    ):
        speaker = speaker_of((words + hum).astype(np.float32), 16_000)
        heard[colour] = np.convolve(rng.normal(size=60_000), speaker.room, "same")
    assert levels.rms_db(heard["none"]) == pytest.approx(-78.0, abs=2.0)
    # The quietest moments of a noise are a little below its mean level.
    assert -58.0 < levels.rms_db(heard["white"]) < -53.0
    assert -62.0 < levels.rms_db(heard["dark"]) < -53.0
    centroids = {colour: measures.spectral_centroid_hz(sound, 16_000) for colour, sound in heard.items()}
    assert centroids["dark"] < 0.5 * centroids["white"]


@pytest.mark.parametrize("seed", SEEDS)
def test_laughs_are_voiced_bursts_three_to_six_a_second(speaker, seed):
    sound = burst("laughs", speaker, seed)
    assert 0.5 < len(sound[0]) / sound[1] < 3.5
    assert 0.25 < measures.voiced_fraction(*sound) < 0.95
    level = gaussian(20 * np.log10(envelope(sound) + 1e-4))
    assert measures.modulation_depth(level, 0.01, 3.0, 6.5) > 2.0 * measures.modulation_depth(level, 0.01, 7.5, 11.0)
    assert measures.modulation_depth(level, 0.01, 3.0, 6.5) > 2.0
    assert measures.median_f0_hz(*sound) > 0.85 * speaker.f0_hz


def gaussian(track):
    return np.convolve(track, np.hanning(7) / np.hanning(7).sum(), mode="same")


@pytest.mark.parametrize("seed", SEEDS)
def test_sighs_are_long_unvoiced_and_fall_away_darkening(speaker, seed):
    sound = burst("sighs", speaker, seed)
    samples, rate_hz = sound
    assert 0.6 < len(samples) / rate_hz < 2.2
    assert measures.voiced_fraction(*sound) < 0.05
    peak = int(np.argmax(gaussian(envelope(sound))))
    out = samples[round(peak * 0.01 * rate_hz) :]
    half = len(out) // 2
    assert levels.rms_db(out[:half]) > levels.rms_db(out[half:]) + 6.0
    assert measures.spectral_centroid_hz(out[:half], rate_hz) > measures.spectral_centroid_hz(out[half:], rate_hz)


@pytest.mark.parametrize("seed", SEEDS)
def test_gasps_are_short_unvoiced_and_rise(speaker, seed):
    sound = burst("gasps", speaker, seed)
    samples, rate_hz = sound
    assert 0.2 < len(samples) / rate_hz < 0.8
    assert measures.voiced_fraction(*sound) < 0.05
    track = gaussian(levels.level_track_db(*sound))
    peak = int(np.argmax(track))
    rise = samples[: round(peak * 0.01 * rate_hz)]
    assert len(rise) / rate_hz > 0.1
    half = len(rise) // 2
    assert levels.rms_db(rise[half:]) > levels.rms_db(rise[:half]) + 5.0
    assert measures.spectral_centroid_hz(rise[half:], rate_hz) > measures.spectral_centroid_hz(rise[:half], rate_hz)


@pytest.mark.parametrize("seed", SEEDS)
def test_throat_clearing_is_low_rough_and_short(speaker, seed):
    sound = burst("clears throat", speaker, seed)
    assert 0.15 < len(sound[0]) / sound[1] < 1.6
    # The scrapes beat at 18 to 45 Hz.
    assert measures.modulation_depth(fine_level_db(sound), 0.004, 18.0, 45.0) > 1.7
    sigh = burst("sighs", speaker, seed)
    assert measures.spectral_centroid_hz(*sound) < measures.spectral_centroid_hz(*sigh)


@pytest.mark.parametrize("seed", SEEDS)
def test_crying_is_irregular_trembling_high_voice(speaker, seed):
    sound = burst("crying", speaker, seed)
    assert 0.6 < len(sound[0]) / sound[1] < 5.5
    assert measures.voiced_fraction(*sound) > 0.3
    assert measures.median_f0_hz(*sound) > 1.05 * speaker.f0_hz
    assert tremor_st(sound, 4.0, 10.0) > 0.45


@pytest.mark.parametrize("tag", BURSTS)
def test_draws_differ_seeds_repeat_and_levels_are_those_of_speech(speaker, tag):
    first, again, other = (burst(tag, speaker, seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert len(first) != len(other) or not np.array_equal(first, other)
    for seed in SEEDS:
        samples, _ = burst(tag, speaker, seed)
        assert np.isfinite(samples).all()
        assert np.max(np.abs(samples)) < 0.7
        assert -40 < levels.rms_db(samples) < -20
        # No clicks at the ends.
        assert np.max(np.abs(samples[:5])) < 0.01
        assert np.max(np.abs(samples[-5:])) < 0.01


def test_a_huff_is_a_short_soft_breath(speaker):
    sound = huff(speaker, np.random.default_rng(0)), speaker.sample_rate_hz
    assert len(sound[0]) / sound[1] < 0.4
    assert measures.voiced_fraction(*sound) < 0.05
    assert levels.rms_db(sound[0]) == pytest.approx(20 * np.log10(SPEECH_RMS) - 9.0, abs=0.5)


def test_synthesis_has_nothing_for_other_tags(speaker):
    assert SynthesisedBursts().burst("excited", speaker, np.random.default_rng(0)) is None


def tone(f0_hz, rate_hz, duration_s=0.5):
    t = np.arange(round(duration_s * rate_hz)) / rate_hz
    return (0.3 * sum(np.sin(2 * np.pi * k * f0_hz * t) / k for k in range(1, 9))).astype(np.float32)


def test_recordings_nearest_in_pitch_are_chosen_resampled_and_levelled(speaker):
    low_hz, high_hz = 0.8 * speaker.f0_hz, 1.4 * speaker.f0_hz  # people laugh above their speaking pitch
    source = RecordedBursts([("laughs", tone(f0_hz, 16_000), 16_000) for f0_hz in (low_hz, high_hz)])
    for seed in SEEDS:
        samples = source.burst("laughs", speaker, np.random.default_rng(seed))
        assert len(samples) / speaker.sample_rate_hz == pytest.approx(0.5, abs=0.01)
        assert levels.rms_db(samples) == pytest.approx(20 * np.log10(SPEECH_RMS), abs=1.0)
        assert measures.median_f0_hz(samples, speaker.sample_rate_hz) == pytest.approx(high_hz, rel=0.02)
    assert source.burst("sighs", speaker, np.random.default_rng(0)) is None


def test_a_folder_of_recordings(tmp_path, speaker):
    with pytest.raises(VoiceError, match="no recordings"):
        RecordedBursts(tmp_path)
    (tmp_path / "clears throat").mkdir()
    soundfile.write(tmp_path / "clears throat" / "a.wav", np.stack([tone(80, 8000)] * 2, axis=1), 8000)
    samples = RecordedBursts(tmp_path).burst("clears throat", speaker, np.random.default_rng(0))
    assert len(samples) / speaker.sample_rate_hz == pytest.approx(0.5, abs=0.01)
