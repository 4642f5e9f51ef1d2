"""Repetitions that are heard stay, loops are cut; the alignment is made by hand, so that the answer is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.inference.repetition import cut_loops, repeated_runs
from evoxtral.inference.vad import FRAME_S


def words_at(text: str, times: list[tuple[float, float]]) -> list[AlignedToken]:
    """A token a word, heard at the times given; words beyond them are not aligned."""
    tokens, at = [], 0
    for word, (start_s, end_s) in zip(text.split(), times, strict=False):
        at = text.index(word, at)
        tokens.append(AlignedToken(at, at + len(word), start_s, end_s, 0.99))
        at += len(word)
    return tokens


def evenly(text: str, start_s: float, end_s: float) -> list[tuple[float, float]]:
    edges = np.linspace(start_s, end_s, len(text.split()) + 1)
    return list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))


def speech(*spans_s: tuple[float, float], window_s: float = 30.0) -> NDArray[np.bool_]:
    centres_s = (np.arange(round(window_s / FRAME_S)) + 0.5) * FRAME_S
    return np.any([(centres_s >= start) & (centres_s < end) for start, end in spans_s], axis=0)


REFRAIN = "We will not go home. " * 6 + "Thank you all."


def test_a_refrain_that_is_heard_each_time_stays() -> None:
    tokens = words_at(REFRAIN, evenly(REFRAIN, 0.0, 11.0))
    assert cut_loops(REFRAIN, tokens, speech((0.0, 11.0))) == REFRAIN


def test_what_people_say_in_haste_stays() -> None:
    text = "no no no no no no no wait"
    assert cut_loops(text, words_at(text, evenly(text, 1.0, 2.0)), speech((1.0, 2.1))) == text


def test_a_loop_over_the_silence_after_speech_is_cut_to_what_was_heard() -> None:
    text = "So I went home. " + "I do not know. " * 12
    times = evenly("So I went home. I do not know. I do not know.", 0.0, 4.0)
    times += evenly("I do not know. " * 10, 4.0, 28.0)
    heard = cut_loops(text, words_at(text, times), speech((0.0, 4.0)))
    assert heard == "So I went home. I do not know. I do not know."


def test_a_loop_crammed_into_a_moment_is_cut() -> None:
    text = "Yes. " + "thank you very much " * 20 + "and goodbye"
    times = [(0.0, 1.0), *evenly("thank you very much " * 20, 1.0, 2.5), (2.5, 2.8), (2.8, 3.2)]
    heard = cut_loops(text, words_at(text, times), speech((0.0, 3.2)))
    assert heard == "Yes. thank you very much and goodbye"


def test_repetitions_past_the_end_of_the_alignment_were_not_heard() -> None:
    text = "over and out " * 9
    tokens = words_at(text, evenly("over and out " * 3, 0.0, 3.0))
    assert cut_loops(text, tokens, speech((0.0, 30.0))) == "over and out over and out over and out"


def test_without_an_alignment_the_window_needs_the_time_for_all() -> None:
    assert cut_loops(REFRAIN, None, speech((0.0, 11.0))) == REFRAIN
    assert cut_loops(REFRAIN, None, speech((0.0, 1.3))) == "We will not go home. We will not go home. Thank you all."


def test_runs_have_their_shortest_unit_whatever_the_punctuation() -> None:
    (run,) = repeated_runs("Go! go, GO go. Stop")
    assert (run.times, run.letters) == (4, 2)
    assert run.starts[-1] == len("Go! go, GO go. ")
    assert repeated_runs("one two one two") == []
    assert repeated_runs("... ... ... ...") == []
    assert [run.times for run in repeated_runs("a b a b a b c c c")] == [3, 3]


@given(st.lists(st.sampled_from(["a", "b", "[laughs]", "C!"]), max_size=30).map(" ".join))
def test_nothing_is_cut_where_there_is_time_for_all_and_what_is_cut_was_said_before(text: str) -> None:
    tokens = words_at(text, evenly(text, 0.0, 29.0))
    assert cut_loops(text, tokens, speech((0.0, 29.0))) == text
    left = cut_loops(text, tokens, speech((0.0, 0.0)))
    assert set(left.split()) == set(text.split())


@pytest.mark.parametrize("text", ["", "   ", "word"])
def test_short_texts_pass(text: str) -> None:
    assert cut_loops(text, None, speech((0.0, 0.1))) == text.rstrip()
