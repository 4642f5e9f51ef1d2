import dataclasses

import numpy as np
import pytest
from faster_whisper.feature_extractor import FeatureExtractor

from evoxtral.bench import perceptual
from evoxtral.bench.mos import predicted_mos
from evoxtral.bench.perceptual import Sound, analyse, compare_sounds

RATE_HZ = 16_000
SILENT = Sound(np.zeros((1, 24)), np.zeros(1), np.zeros(1), 0, (), 1.0)


def voice(f0_hz: np.ndarray) -> np.ndarray:
    """Harmonics with this pitch in each sample, in syllables of a quarter of a second under a formant that rises."""
    phase = 2 * np.pi * np.cumsum(f0_hz) / RATE_HZ
    formant_hz = np.linspace(500, 2500, len(f0_hz))
    buzz = sum(np.exp(-np.square((k * f0_hz - formant_hz) / 400)) * np.sin(k * phase) for k in range(1, 20))
    syllables = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(len(f0_hz)) / RATE_HZ)
    return (0.1 * (buzz + 0.3 * np.sin(phase)) * syllables).astype(np.float32)


def contour(semitones: float, rate_hz: float = 1.0, base_hz: float = 150.0, duration_s: float = 3.0) -> np.ndarray:
    times_s = np.arange(int(duration_s * RATE_HZ)) / RATE_HZ
    return base_hz * 2 ** (semitones * np.sin(2 * np.pi * rate_hz * times_s) / 12)


def test_mel_cepstral_distortion_by_hand():
    distances = np.array([[0.0, 9.0], [9.0, 0.2]])  # cepstra that differ by 0.2 in one coefficient of one frame
    path = np.array([0, 1])
    assert perceptual.mel_cepstral_distortion(distances, path, path) == pytest.approx(6.1418 * (0 + 0.2) / 2, abs=1e-4)


def test_loudness_is_no_difference():
    sound = voice(contour(2))
    found = compare_sounds(analyse(sound), analyse(0.25 * sound))
    assert found["mcd_db"] == pytest.approx(0, abs=1e-6)
    assert found["energy_correlation"] == pytest.approx(1)
    assert found["energy_rmse_db"] == pytest.approx(0, abs=1e-3)


def test_a_filter_is_a_difference_of_its_size():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ).astype(np.float32)
    softer = np.concatenate([[0], np.diff(noise)]).astype(np.float32)  # +6 dB an octave
    halves = [perceptual.mel_cepstra(sound).mean(axis=0) for sound in (noise, softer)]
    filters = FeatureExtractor.get_mel_filters(RATE_HZ, 400, n_mels=80)
    hz = filters @ np.linspace(0, RATE_HZ / 2, 201) / filters.sum(axis=1)
    gain = np.log(2 * np.sin(np.pi * hz / RATE_HZ))  # ln |1 - exp(-iw)|
    basis = np.cos(np.pi * np.outer(np.arange(1, 25), np.arange(80) + 0.5) / 80)
    assert halves[1] - halves[0] == pytest.approx(2 / 80 * basis @ gain, abs=0.05)


def test_another_speaker_with_the_same_melody_has_the_same_contour():
    found = compare_sounds(analyse(voice(contour(3))), analyse(voice(contour(3, base_hz=220))))
    assert found["f0_correlation"] > 0.98
    assert found["f0_rmse_st"] < 0.4
    assert found["voicing_error"] < 0.1


def test_pitch_errors_are_in_semitones():
    sound = analyse(voice(contour(2)))
    flat = dataclasses.replace(sound, f0_hz=np.where(sound.f0_hz > 0, 150.0, 0.0))
    # A sine of two semitones against a constant: 2 / sqrt(2)
    assert compare_sounds(sound, flat)["f0_rmse_st"] == pytest.approx(np.sqrt(2), abs=0.1)
    assert np.isnan(compare_sounds(sound, flat)["f0_correlation"])


def test_a_mirrored_melody_correlates_negatively():
    sound = analyse(voice(contour(2)))
    mirrored = dataclasses.replace(sound, f0_hz=np.where(sound.f0_hz > 0, 150.0**2 / np.maximum(sound.f0_hz, 1), 0.0))
    assert compare_sounds(sound, mirrored)["f0_correlation"] == pytest.approx(-1, abs=0.01)


def test_noise_is_not_voiced():
    noise = np.random.default_rng(0).normal(0, 0.1, 3 * RATE_HZ).astype(np.float32)
    found = compare_sounds(analyse(voice(contour(2))), analyse(noise))
    assert found["voicing_error"] > 0.9
    assert np.isnan(found["f0_correlation"])


def test_silence_at_the_ends_is_left_out():
    sound = voice(contour(2))
    padded = np.concatenate([np.zeros(RATE_HZ, np.float32), sound, np.zeros(RATE_HZ, np.float32)])
    assert analyse(padded).duration_s == pytest.approx(3, abs=0.05)


def test_empty_and_silent_recordings_are_measured_without_an_error():
    for samples in (np.zeros(0, np.float32), np.zeros(RATE_HZ, np.float32)):
        assert np.isnan(compare_sounds(analyse(samples), analyse(voice(contour(2))))["rate_error"])


@pytest.mark.parametrize(
    ("original", "other", "error_s"),
    [
        ([(2, 3)], [(2, 3)], 0),
        ([(2, 3)], [], 0.5 * 1),  # from the middle of the speech on a second is missing
        ([(2, 3)], [(2, 2.5)], 0.5 * 0.5),
        ([(2, 3)], [(3, 4)], 0.25 * 1),  # a quarter of the speech too late
        ([(1, 2)], [(1, 1.5), (2.5, 3)], 0.25 * 0.5),  # in two parts, the second a quarter of the speech later
    ],
)
def test_pause_errors_by_hand(original, other, error_s):
    # four seconds of speech each
    sounds = [
        dataclasses.replace(SILENT, pauses=tuple(pauses), duration_s=4 + sum(end - start for start, end in pauses))
        for pauses in (original, other)
    ]
    assert perceptual.pause_error_s(*sounds) == pytest.approx(error_s, abs=0.002)
    assert perceptual.pause_error_s(*reversed(sounds)) == pytest.approx(error_s, abs=0.002)


def test_rate_errors_by_hand():
    slow = dataclasses.replace(SILENT, syllables=10, duration_s=4)
    fast = dataclasses.replace(SILENT, syllables=10, duration_s=3, pauses=((1, 2),))
    assert perceptual.rate_error(slow, fast) == pytest.approx(np.log(2))
    assert perceptual.rate_error(fast, slow) == pytest.approx(np.log(2))


@pytest.mark.parametrize(
    ("duration_samples", "overall", "signal", "background"),
    [(13 * RATE_HZ, 1.54016, 2.10791, 2.03509), (40_000, 1.55082, 2.11816, 2.12847)],
)
def test_predicted_mos_agrees_with_the_package(duration_samples, overall, signal, background):
    # The figures are those of speechmos 0.0.1.1 (speechmos.dnsmos.run) for this sound.
    pytest.importorskip("speechmos")
    times_s = np.arange(13 * RATE_HZ) / RATE_HZ
    tone = 0.3 * np.sin(2 * np.pi * 150 * times_s) * (1 + np.sin(2 * np.pi * 4 * times_s)) / 2
    sound = (tone + 0.01 * np.random.default_rng(0).standard_normal(len(times_s))).astype(np.float32)
    found = predicted_mos(sound[:duration_samples])
    expected = {"mos_signal": signal, "mos_background": background, "mos_overall": overall}
    assert found == pytest.approx(expected, abs=1e-4)
