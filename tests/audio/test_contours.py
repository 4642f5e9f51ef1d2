import io

import numpy as np
import pytest
import soundfile

from evoxtral.audio.contours import trace, trace_blocks

RATE_HZ = 16_000


def tone(hz, seconds, amplitude=0.5):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_pitch_and_level_of_tones_and_of_silence_between():
    contours = trace(np.concatenate([tone(200, 1), np.zeros(RATE_HZ, np.float32), tone(300, 1, 0.05)]), RATE_HZ)
    assert contours.step_s == pytest.approx(0.02)
    assert len(contours.f0_hz) == len(contours.level_db) == 150
    assert contours.f0_hz[5:45] == pytest.approx([200] * 40, abs=1)
    assert contours.f0_hz[105:145] == pytest.approx([300] * 40, abs=1)
    assert set(contours.f0_hz[55:95]) == {None}
    # A sine's RMS is its amplitude over the square root of two.
    assert contours.level_db[10] == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.1)
    assert contours.level_db[120] == pytest.approx(20 * np.log10(0.05 / np.sqrt(2)), abs=0.1)
    assert set(contours.level_db[55:95]) == {-120.0}


def test_steps_do_not_shift_over_blocks_and_long_recordings_have_longer_ones():
    quiet_then_loud = np.concatenate([np.zeros(130 * RATE_HZ, np.float32), tone(150, 20)])
    contours = trace(quiet_then_loud, RATE_HZ)
    assert len(contours.f0_hz) == len(contours.level_db) <= 6_000
    assert len(contours.f0_hz) * contours.step_s == pytest.approx(150, abs=0.05)
    first = next(index for index, pitch in enumerate(contours.f0_hz) if pitch is not None)
    assert first * contours.step_s == pytest.approx(130, abs=0.06)


def test_blocks_of_any_size_give_the_same(spoken_wav):
    samples, rate_hz = soundfile.read(io.BytesIO(spoken_wav), dtype="float32")
    whole = trace(samples, rate_hz)
    in_blocks = trace_blocks(np.array_split(samples, 37), rate_hz, len(samples) / rate_hz)
    assert in_blocks == whole
    assert sum(pitch is not None for pitch in whole.f0_hz) > 20


def test_no_sound_has_no_steps():
    assert trace(np.zeros(0, np.float32), RATE_HZ).f0_hz == ()
