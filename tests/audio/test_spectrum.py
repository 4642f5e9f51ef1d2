"""The mel front end against tones whose band is known, and against scipy's short-time transform."""

import numpy as np
import pytest
from scipy.signal import stft

from evoxtral.audio.spectrum import mel_filters, mel_power

RATE_HZ = 16_000


def test_a_tone_is_in_the_band_around_it() -> None:
    filters = mel_filters(RATE_HZ, 400, 40)
    peaks_hz = filters.argmax(axis=1) * RATE_HZ / 400
    tone = np.sin(2 * np.pi * 1_000 * np.arange(RATE_HZ) / RATE_HZ)
    band = mel_power(tone, RATE_HZ, 40, centred=False).mean(axis=0).argmax()
    assert abs(peaks_hz[band] - 1_000) <= 40


def test_frames_begin_every_hundredth_of_a_second_or_are_centred_on_it() -> None:
    click = np.zeros(RATE_HZ)
    click[8_000] = 1.0
    whole = mel_power(click, RATE_HZ, 40, centred=False).sum(axis=1)
    assert len(whole) == (RATE_HZ - 400) // 160 + 1
    # Frame n holds samples 160 n to 160 n + 399 and is centred on 160 n + 200.
    assert np.flatnonzero(whole > 1e-9).tolist() == [n for n in range(len(whole)) if 160 * n < 8_000 < 160 * n + 400]
    centred = mel_power(click, RATE_HZ, 40, centred=True).sum(axis=1)
    assert len(centred) == 101
    assert centred.argmax() == 50


def test_it_is_scipys_transform_but_for_the_scale() -> None:
    noise = np.random.default_rng(0).normal(size=4_000)
    _, _, spectrum = stft(noise, nperseg=400, noverlap=240, boundary=None, padded=False)
    expected = (mel_filters(RATE_HZ, 400, 80) @ np.abs(spectrum) ** 2).T * 200.0**2  # the window's sum, squared
    assert mel_power(noise, RATE_HZ, 80, centred=False) == pytest.approx(expected, rel=1e-9)


def test_a_sound_shorter_than_a_window_has_one_frame() -> None:
    assert mel_power(np.ones(10), RATE_HZ, 40, centred=False).shape == (1, 40)
