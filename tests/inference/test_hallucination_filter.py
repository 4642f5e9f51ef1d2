"""Invented texts and half tags do not pass; what people say does."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.hallucination_filter import heard_text, is_doubtful, is_too_fast
from evoxtral.tags import parse


def sure(text: str) -> Hypothesis:
    return Hypothesis(text, mean_log_probability=-0.2, no_speech_probability=0.01)


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("[excited] It WORKS! [laughs]", "[excited] It WORKS! [laughs]"),
        ("  two   spaces\nand a line ", "two spaces and a line"),
        ("I [lau", "I lau"),
        ("ghs] did", "ghs did"),
        ("[[laughs]] twice", "[laughs] twice"),
        ("[] [1] x", "1 x"),
        ("", ""),
        ("no no no no", "no no no no"),
    ],
)
def test_brackets_of_no_tag_are_dropped_and_the_rest_stays(text: str, heard: str) -> None:
    assert heard_text(sure(text), speech_s=10).replace("  ", " ") == heard


@given(st.lists(st.text(max_size=30), max_size=4))
def test_no_tag_can_arise_where_texts_meet(texts: list[str]) -> None:
    heard = [text for text in (heard_text(sure(text), speech_s=1000) for text in texts) if text]
    joined = parse(" ".join(heard))
    assert [tag.text for tag in joined.tags] == [tag.text for text in heard for tag in parse(text).tags]
    assert [word.text for word in joined.words] == [word.text for text in heard for word in parse(text).words]


def test_real_repetition_is_no_reason_to_doubt() -> None:
    text = "We will not go home. " * 6 + "Thank you all for coming tonight."
    assert not is_doubtful(sure(text))
    assert heard_text(sure(text), speech_s=10) == text


def test_text_without_enough_speech_is_invented() -> None:
    text = "Thank you for watching and do not forget to subscribe to my channel."
    assert not is_too_fast(text, speech_s=4.0)
    assert is_too_fast(text, speech_s=0.3)
    assert not is_too_fast("Yes.", speech_s=0.2)
    assert heard_text(sure("Yes."), speech_s=0.2) == "Yes."
    assert heard_text(sure("Yes."), speech_s=0.0) == ""


def test_an_unsure_text_in_likely_silence_is_dropped() -> None:
    assert heard_text(Hypothesis("You", -1.4, 0.9), speech_s=3) == ""
    assert heard_text(Hypothesis("You", -0.3, 0.9), speech_s=3) == "You"
    assert heard_text(Hypothesis("You", -1.4, 0.1), speech_s=3) == "You"
    assert heard_text(Hypothesis("You"), speech_s=3) == "You"
    assert is_doubtful(Hypothesis("You", -1.4, 0.1))


def test_tags_without_words_must_be_sure() -> None:
    assert heard_text(Hypothesis("[laughs] [sighs]", -0.02, 0.4), speech_s=0.5) == "[laughs] [sighs]"
    assert heard_text(Hypothesis("[crying]", -0.3, 0.4), speech_s=0.5) == ""
    assert heard_text(Hypothesis("[crying]"), speech_s=0.5) == ""
    assert heard_text(Hypothesis("[crying] Why?", -0.3, 0.4), speech_s=0.5) == "[crying] Why?"
