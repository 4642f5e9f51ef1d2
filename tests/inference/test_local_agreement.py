"""Committed text: hand-worked sequences of hypotheses, and what must hold for any."""

from hypothesis import given
from hypothesis import strategies as st

from evoxtral.inference.local_agreement import LocalAgreement, PartialText
from evoxtral.tags import parse


def test_what_two_hypotheses_share_is_committed() -> None:
    agreement = LocalAgreement()
    assert agreement.update("I went") == PartialText("", "I went")
    assert agreement.update("I went to them") == PartialText("I went", "to them")
    assert agreement.update("I went to the market") == PartialText("I went to", "the market")
    assert agreement.update("I went to the market today.") == PartialText("I went to the market", "today.")


def test_a_tag_waits_for_a_word_after_it() -> None:
    agreement = LocalAgreement()
    agreement.update("Well [laughs]")
    assert agreement.update("Well [laughs]") == PartialText("Well", "[laughs]")
    assert agreement.update("Well [laughs] you") == PartialText("Well", "[laughs] you")
    assert agreement.update("Well [laughs] you know") == PartialText("Well [laughs] you", "know")


def test_a_tag_that_was_a_mistake_is_never_committed() -> None:
    agreement = LocalAgreement()
    agreement.update("Oh [crying]")
    agreement.update("Oh [crying]")
    assert agreement.update("Oh [laughs] no") == PartialText("Oh", "[laughs] no")


def test_punctuation_and_case_may_change_and_the_first_writing_stays() -> None:
    agreement = LocalAgreement()
    agreement.update("We agree.")
    assert agreement.update("We agree, mostly") == PartialText("We agree,", "mostly")


def test_a_hypothesis_that_contradicts_commits_nothing_and_later_ones_go_on() -> None:
    agreement = LocalAgreement()
    agreement.update("one two three")
    agreement.update("one two three")
    assert agreement.update("won two three four").committed == "one two three"
    assert agreement.update("won two three four").committed == "one two three"
    agreement.update("one two three four")
    assert agreement.update("one two three four five") == PartialText("one two three four", "five")


TEXTS = st.lists(st.sampled_from(["yes", "no", "NO", "well,", "[laughs]", "[sad]", "[pause]", "..."]), max_size=8)


@given(st.lists(TEXTS.map(" ".join), max_size=8))
def test_committed_text_only_grows_and_never_ends_in_a_tag(hypotheses: list[str]) -> None:
    agreement, before = LocalAgreement(), ""
    for hypothesis in hypotheses:
        found = agreement.update(hypothesis)
        assert found.committed.startswith(before)
        before = found.committed
        parsed = parse(found.committed)
        assert all(tag.gap < len(parsed.words) for tag in parsed.tags)
