"""Levels of sounds whose level is known because they were made so."""

import numpy as np
import pytest

from evoxtral.audio.levels import bring_to, frame_rms, level_track_db, rms, rms_db, to_gain

SINE = np.sin(2 * np.pi * 100 * np.arange(16_000) / 16_000)


def test_level_of_a_full_scale_sine_is_3_db_below_full_scale() -> None:
    assert rms_db(SINE) == pytest.approx(-3.0103, abs=1e-3)
    assert rms(SINE) == pytest.approx(2**-0.5)


def test_level_falls_by_20_db_for_a_tenth() -> None:
    assert rms_db(SINE) - rms_db(SINE / 10) == pytest.approx(20.0, abs=1e-6)


def test_silence_and_nothing_have_the_lowest_level() -> None:
    assert rms_db(np.zeros(100)) == rms_db(np.zeros(0)) == -120.0
    assert rms(np.zeros(0)) == 0.0
    assert level_track_db(np.zeros(100), 1_000).tolist() == [-120.0] * 10


def test_frames_are_measured_by_themselves_and_an_incomplete_one_is_left_out() -> None:
    steps = np.array([3.0, -3.0, 0.0, 0.0, 1.0, 7.0, 5.0], np.float32)
    assert frame_rms(steps, 2).tolist() == [3.0, 0.0, 5.0]
    assert level_track_db(steps / 10, 200, 0.01) == pytest.approx([20 * np.log10(0.3), -120.0, 20 * np.log10(0.5)])
    assert frame_rms(steps[:1], 2).shape == (0,)


def test_a_sound_is_brought_to_a_level_and_silence_stays() -> None:
    loud = bring_to(SINE.astype(np.float32), to_gain(-26.0))
    assert rms_db(loud) == pytest.approx(-26.0, abs=1e-4)
    assert loud.dtype == np.float32
    assert not bring_to(np.zeros(9, np.float32), 0.5).any()


def test_six_decibels_are_about_twice() -> None:
    assert to_gain(20.0) == pytest.approx(10.0)
    assert to_gain(6.0206) == pytest.approx(2.0, abs=1e-4)
