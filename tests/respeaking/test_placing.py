import numpy as np
import pytest

from evoxtral.audio.levels import rms
from evoxtral.respeaking.placing import Piece, join, keep_timing

RATE_HZ = 16_000


def tone(seconds, silence_s=0.0):
    sound = 0.3 * np.sin(2 * np.pi * 200 * np.arange(round(seconds * RATE_HZ)) / RATE_HZ)
    return np.pad(sound, round(silence_s * RATE_HZ)).astype(np.float32)


def starts(placed):
    return [round(start, 2) for start, _ in placed.spans]


def test_sentences_follow_each_other_with_a_breath_whatever_silence_they_came_with():
    placed = join([Piece(tone(1, 0.8)), Piece(tone(1, 0.0))], RATE_HZ)
    (_, first_end), (second_start, second_end) = placed.spans
    assert 0.3 < second_start - first_end < 0.4
    assert first_end == pytest.approx(1.04, abs=0.02)
    assert len(placed.samples) / RATE_HZ == pytest.approx(second_end, abs=1e-3)


def test_each_starts_at_its_place_and_silence_is_between_and_behind():
    placed = keep_timing([Piece(tone(1), 0.5), Piece(tone(1), 3.0)], RATE_HZ, 10.0)
    assert starts(placed) == [0.5, 3.0]
    assert len(placed.samples) == 10 * RATE_HZ
    assert not placed.samples[: RATE_HZ // 2].any()
    assert not placed.samples[round(1.6 * RATE_HZ) : 3 * RATE_HZ].any()
    assert rms(placed.samples[3 * RATE_HZ : 4 * RATE_HZ]) > 0.15
    assert placed.notes == ()


def test_one_that_is_a_little_too_long_is_played_faster():
    placed = keep_timing([Piece(tone(2.2), 0.0), Piece(tone(1), 2.0)], RATE_HZ, 4.0)
    assert starts(placed) == [0.0, 2.0]
    assert placed.spans[0][1] <= 2.0
    assert placed.notes == ()


def test_one_that_is_much_too_long_makes_the_next_late_which_is_said():
    placed = keep_timing([Piece(tone(5), 0.0), Piece(tone(1), 2.0), Piece(tone(1), 9.0)], RATE_HZ, 10.0)
    late, in_time = placed.spans[1][0], placed.spans[2][0]
    assert late == pytest.approx(5 / 1.25, abs=0.15)
    assert in_time == 9.0
    assert len(placed.notes) == 1
    assert "1 sentence starts late, by up to 2." in placed.notes[0]


def test_one_without_a_place_follows_the_one_before_and_leaves_room_for_the_next():
    placed = keep_timing([Piece(tone(1), 1.0), Piece(tone(1.2)), Piece(tone(1), 3.0)], RATE_HZ, 4.0)
    assert starts(placed)[0] == 1.0
    assert 1.7 < starts(placed)[1] < 2.1
    assert starts(placed)[2] == 3.0
    assert placed.notes == ()
