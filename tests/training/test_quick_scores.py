import pytest

from evoxtral.training.quick_scores import quick_scores


def test_scores_of_a_hand_worked_case() -> None:
    scores = quick_scores(
        ["[sad] Oh no. [sighs]", "Plain words here now", ""],
        ["[sad] Oh yes. [laughs]", "plain WORDS [pause] here", "[pause]"],
    )
    # 6 reference words; "no" replaced and "now" lost. Tags: sad matches; sighs missed; laughs and two pauses invented.
    assert scores["wer"] == pytest.approx(2 / 6)
    assert scores["tag_precision"] == pytest.approx(1 / 4)
    assert scores["tag_recall"] == pytest.approx(1 / 2)
    assert scores["tag_f1"] == pytest.approx(1 / 3)
    assert scores["false_tags_per_100_words"] == pytest.approx(100 * 2 / 4)


def test_aliases_are_the_same_tag() -> None:
    assert quick_scores(["[laughs] a"], ["[giggles] a"])["tag_f1"] == 1


def test_texts_without_tags_or_words_do_not_divide_by_zero() -> None:
    assert quick_scores([""], [""])["wer"] == 0
