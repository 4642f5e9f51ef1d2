"""Hand-worked times of words, tags and segments."""

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.inference.timing import TimedSpan, split_segments, time_events, time_words
from evoxtral.tags import parse


def tokens(*parts: tuple[str, float, float]) -> tuple[str, list[AlignedToken]]:
    """A text made of tokens, with their times."""
    text, made = "", []
    for part, start_s, end_s in parts:
        made.append(AlignedToken(len(text), len(text) + len(part), start_s, end_s, 0.5))
        text += part
    return text, made


def silence(duration_s: float) -> NDArray[np.float32]:
    return np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)


def sound(duration_s: float, *stretches: tuple[float, float], level: float = 0.3) -> NDArray[np.float32]:
    """Silence with a hum in the given stretches."""
    samples = silence(duration_s)
    for start_s, end_s in stretches:
        at = np.arange(round(start_s * SAMPLE_RATE_HZ), round(end_s * SAMPLE_RATE_HZ))
        samples[at] = level * np.sin(at * 0.05)
    return samples


def times(spans: list[TimedSpan]) -> list[tuple[float, float]]:
    return [(span.start_s, span.end_s) for span in spans]


def test_punctuation_takes_no_time_from_its_word() -> None:
    text, aligned = tokens(("He", 0.1, 0.3), ("llo", 0.3, 0.5), (",", 0.5, 1.4), (" you", 1.4, 1.6), (".", 1.6, 2.0))
    assert times(time_words(parse(text), aligned, silence(2.0))) == [(0.1, 0.5), (1.4, 1.6)]


def test_a_token_of_two_words_serves_both() -> None:
    text, aligned = tokens(("well—yes", 0.2, 0.8), (" no", 0.8, 1.0))
    assert times(time_words(parse(text), aligned, silence(1.0))) == [(0.2, 0.8), (0.8, 0.8), (0.8, 1.0)]


def test_word_times_rise_and_stay_inside_the_window() -> None:
    text, aligned = tokens(("one", 0.5, 0.4), (" two", 0.3, 2.5), (" three", 2.4, 2.6))
    assert times(time_words(parse(text), aligned, silence(2.0))) == [(0.5, 0.5), (0.5, 2.0), (2.0, 2.0)]


def test_words_beside_pauses_begin_and_end_with_the_sound() -> None:
    text, aligned = tokens(("one", 0.0, 0.7), (" two", 0.7, 1.0), (".", 1.0, 1.5), (" three", 1.5, 2.4))
    heard = sound(3.0, (0.3, 1.2), (1.4, 2.0))
    found = times(time_words(parse(text), aligned, heard))
    # "one" begins late, "two" lasts to the end of its sound, "three" begins where its sound does and ends with it.
    assert found == [pytest.approx(pair, abs=0.011) for pair in ((0.3, 0.7), (0.7, 1.2), (1.4, 2.0))]


def test_a_laugh_beside_a_word_is_no_part_of_it() -> None:
    text, aligned = tokens(("one", 0.3, 0.7), (" [laughs]", 0.7, 1.0), (" two", 1.0, 1.3))
    found = times(time_words(parse(text), aligned, sound(2.0, (0.3, 1.3))))
    assert found == [pytest.approx(pair, abs=0.011) for pair in ((0.3, 0.7), (1.0, 1.3))]


def test_a_whisper_is_no_silence() -> None:
    text, aligned = tokens(("one", 0.2, 0.6), (" two", 3.0, 3.6))
    heard = sound(5.0, (0.2, 0.6)) + sound(5.0, (3.1, 3.5), level=0.003)
    assert times(time_words(parse(text), aligned, heard))[1] == pytest.approx((3.1, 3.5), abs=0.011)


def test_words_past_the_last_token_come_at_the_end_of_what_is_known() -> None:
    text, aligned = tokens(("one", 0.5, 0.7))
    spans = time_words(parse(text + " two three"), aligned, silence(2.0))
    assert times(spans) == [(0.5, 0.7), (0.7, 0.7), (0.7, 0.7)]
    assert [span.confidence for span in spans] == [0.5, None, None]


def test_a_sound_has_the_interval_between_its_words() -> None:
    text, aligned = tokens(
        ("[sighs]", 0.0, 0.4),
        (" one", 0.4, 0.6),
        (" [sad]", 0.6, 0.7),
        (" [laughs]", 0.7, 1.2),
        (" [pause]", 1.2, 1.5),
        (" two", 1.5, 1.9),
        (" [gasps]", 1.9, 2.4),
    )
    parsed = parse(text)
    words = time_words(parsed, aligned, silence(2.5))
    events = time_events(parsed, words, aligned, silence(2.5))
    assert [None if event is None else (event.start_s, event.end_s) for event in events] == [
        (0.0, 0.4),  # sighs, from the start of the window
        None,  # sad colours words
        (0.6, 1.2),  # laughs, up to the first token of the pause
        (1.2, 1.5),
        (1.9, 2.5),  # gasps, to the end of the window
    ]


def test_a_sound_is_as_long_as_it_is_heard_and_a_pause_as_long_as_it_lasts() -> None:
    text, aligned = tokens(("one", 0.0, 0.5), (" [sighs]", 0.5, 2.0), (" two", 2.0, 2.5), (" [pause]", 2.5, 4.0))
    heard = sound(5.0, (0.0, 0.5), (2.0, 2.5), (4.0, 4.4)) + sound(5.0, (1.0, 1.6), level=0.01)
    text += " three"
    aligned.append(AlignedToken(len(text) - 6, len(text), 4.0, 4.4, 0.5))
    parsed = parse(text)
    sigh, pause = time_events(parsed, time_words(parsed, aligned, heard), aligned, heard)
    assert (sigh.start_s, sigh.end_s) == pytest.approx((1.0, 1.6), abs=0.011)
    assert (pause.start_s, pause.end_s) == pytest.approx((2.5, 4.0), abs=0.011)


def test_segments_part_at_pauses_and_tags_stay_where_they_belong() -> None:
    parsed = parse("[calm] One two. [laughs] [excited] Three FOUR! [sighs] Five")
    words = [TimedSpan(start, start + 0.3) for start in (0.0, 0.4, 2.0, 2.4, 4.0)]
    segments = split_segments(parsed, words)
    assert [parsed.source[segment.start : segment.end].strip() for segment in segments] == [
        "[calm] One two. [laughs]",
        "[excited] Three FOUR! [sighs]",
        "Five",
    ]
    assert [(segment.first_word, segment.last_word) for segment in segments] == [(0, 2), (2, 4), (4, 5)]
    assert [(segment.first_tag, segment.last_tag) for segment in segments] == [(0, 2), (2, 4), (4, 4)]


def test_a_long_segment_ends_with_a_sentence() -> None:
    text = " ".join(f"word{index}{'.' if index % 10 == 9 else ''}" for index in range(40))
    words = [TimedSpan(index * 0.5, index * 0.5 + 0.4) for index in range(40)]
    segments = split_segments(parse(text), words)
    assert [(segment.first_word, segment.last_word) for segment in segments] == [(0, 30), (30, 40)]


@pytest.mark.parametrize("text", ["", "  "])
def test_no_text_has_no_segments(text: str) -> None:
    assert split_segments(parse(text), None) == []


def test_without_times_a_window_is_one_segment() -> None:
    parsed = parse("One. [laughs] Two.")
    (segment,) = split_segments(parsed, None)
    assert (segment.start, segment.end) == (0, len(parsed.source))
    assert (segment.last_word, segment.last_tag) == (2, 1)
