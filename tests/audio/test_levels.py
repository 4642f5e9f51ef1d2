"""Levels of sounds whose level is known because they were made so."""

import numpy as np
import pytest

from evoxtral.audio.levels import bring_to, frame_rms, level_track_db, lift_quiet_speech, rms, rms_db, to_gain

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


def _tone(level_db: float, seconds: float = 1.0) -> np.ndarray:
    """A sine of 100 Hz with that root mean square."""
    return np.tile(SINE * to_gain(level_db) * 2**0.5, round(seconds)).astype(np.float32)


@pytest.mark.parametrize("level_db", [-44.0, -30.0, -3.1])
def test_usual_speech_stays_the_same_samples(level_db: float) -> None:
    speech = _tone(level_db)
    assert lift_quiet_speech(speech) is speech


@pytest.mark.parametrize("level_db", [-46.0, -60.0, -75.0])
def test_quiet_speech_becomes_usual_speech_whatever_its_pauses(level_db: float) -> None:
    speech = np.concatenate([_tone(level_db), np.zeros(10 * 16_000, np.float32), _tone(level_db)])
    lifted = lift_quiet_speech(speech)
    assert lifted.dtype == np.float32
    assert rms_db(lifted[:15_000]) == pytest.approx(-25.0, abs=0.2)
    np.testing.assert_allclose(lifted / (lifted[5] / speech[5]), speech, rtol=1e-4)


def test_quiet_speech_beside_a_click_stays_within_full_scale() -> None:
    speech = _tone(-60.0)
    speech[777] = 0.1
    assert np.abs(lift_quiet_speech(speech)).max() == pytest.approx(1.0)


def test_silence_is_not_lifted() -> None:
    for silence in (np.zeros(16_000, np.float32), np.zeros(0, np.float32), np.full(100, 1e-4, np.float32)):
        assert lift_quiet_speech(silence) is silence
