"""Measurements of signals whose properties are known because they were made so."""

import numpy as np
import pytest

from evoxtral.audio import measures

RATE_HZ = 16_000


def times(duration_s):
    return np.arange(round(duration_s * RATE_HZ)) / RATE_HZ


def pulses(f0_hz, duration_s=1.0):
    """A voice-like tone: harmonics falling 6 dB an octave."""
    t = times(duration_s)
    return 0.1 * sum(np.sin(2 * np.pi * k * f0_hz * t) / k for k in range(1, int(4000 / f0_hz)))


def noise(duration_s=1.0, seed=0):
    return 0.05 * np.random.default_rng(seed).normal(size=round(duration_s * RATE_HZ))


def coloured(slope_db, duration_s=4.0):
    """White noise whose power density falls or rises by `slope_db` an octave."""
    white = np.fft.rfft(noise(duration_s))
    hz = np.fft.rfftfreq(round(duration_s * RATE_HZ), 1 / RATE_HZ)
    return np.fft.irfft(white * 10 ** (slope_db * np.log2(np.maximum(hz, 20) / 1000) / 20))


@pytest.mark.parametrize("f0_hz", [80.0, 125.0, 220.0, 400.0])
def test_pitch_of_a_harmonic_tone(f0_hz):
    assert measures.median_f0_hz(pulses(f0_hz), RATE_HZ) == pytest.approx(f0_hz, rel=0.01)


def test_spread_of_a_sinusoidal_pitch_is_its_depth_over_root_two():
    t = times(3.0)
    semitones = 2.0 * np.sin(2 * np.pi * 1.0 * t)
    phase = 2 * np.pi * np.cumsum(150 * 2 ** (semitones / 12)) / RATE_HZ
    tone = 0.1 * sum(np.sin(k * phase) / k for k in range(1, 20))
    assert measures.f0_spread_st(tone, RATE_HZ) == pytest.approx(2.0 / np.sqrt(2), rel=0.1)


def test_tone_is_voiced_noise_is_not_and_half_is_half():
    assert measures.voiced_fraction(pulses(130), RATE_HZ) > 0.95
    assert measures.voiced_fraction(noise(), RATE_HZ) < 0.1
    both = np.concatenate((pulses(130), noise()))
    assert measures.voiced_fraction(both, RATE_HZ) == pytest.approx(0.5, abs=0.07)


def test_silence_and_scraps_have_no_pitch():
    assert measures.median_f0_hz(np.zeros(RATE_HZ), RATE_HZ) == 0.0
    assert measures.voiced_fraction(np.zeros(RATE_HZ), RATE_HZ) == 0.0
    assert measures.f0_spread_st(np.zeros(10), RATE_HZ) == 0.0


def test_centroid_of_two_equal_tones_lies_between_them():
    t = times(1.0)
    tones = np.sin(2 * np.pi * 1000 * t) + np.sin(2 * np.pi * 3000 * t)
    assert measures.spectral_centroid_hz(tones, RATE_HZ) == pytest.approx(2000, rel=0.02)
    assert measures.spectral_centroid_hz(np.zeros(RATE_HZ), RATE_HZ) == 0.0


@pytest.mark.parametrize("slope_db", [-9.0, -3.0, 0.0, 4.0])
def test_tilt_of_coloured_noise_is_its_slope(slope_db):
    assert measures.spectral_tilt_db_per_octave(coloured(slope_db), RATE_HZ) == pytest.approx(slope_db, abs=0.6)


def test_silences_are_found_where_they_were_put():
    sound = np.concatenate(
        (noise(0.5), np.zeros(round(0.3 * RATE_HZ)), noise(0.4), np.zeros(round(0.05 * RATE_HZ)), noise(0.2))
    )
    (found,) = measures.silences(sound, RATE_HZ)
    assert (found.start_s, found.end_s) == pytest.approx((0.5, 0.8), abs=0.02)


def test_all_silence_is_one_run_and_sound_has_none():
    (found,) = measures.silences(np.zeros(RATE_HZ), RATE_HZ)
    assert found.duration_s == pytest.approx(1.0)
    assert measures.silences(noise(), RATE_HZ) == []


def test_rate_of_a_tone_that_swells_four_times_a_second():
    t = times(3.0)
    swelling = pulses(140, 3.0) * (0.55 - 0.45 * np.cos(2 * np.pi * 4.0 * t))
    assert measures.syllables_per_s(swelling, RATE_HZ) == pytest.approx(4.0, abs=0.4)
    assert measures.syllables_per_s(np.zeros(RATE_HZ), RATE_HZ) == 0.0


def test_modulation_has_its_depth_at_its_rate_and_none_elsewhere():
    t = np.arange(600) * 0.005
    track = 100.0 + 3.0 * np.sin(2 * np.pi * 7.0 * t)
    assert measures.modulation_depth(track, 0.005, 5.0, 9.0) == pytest.approx(3.0 / np.sqrt(2), rel=1e-6)
    assert measures.modulation_depth(track, 0.005, 1.0, 4.0) == pytest.approx(0.0, abs=1e-9)
