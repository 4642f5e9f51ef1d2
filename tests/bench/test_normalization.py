import random

import pytest
from whisper_normalizer.english import EnglishTextNormalizer

from evoxtral.bench.normalization import normalise_english


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Uh, I can't, Mr. Smith!", "i can not mister smith"),
        ("twenty-three colours", "23 colors"),
        ("Well — it's OVER...", "well it is over"),
        ("No...1990… what", "no 1990 what"),
        ("  ", ""),
    ],
)
def test_variants_of_writing_are_one(one, other):
    assert normalise_english(one) == normalise_english(other)


@pytest.mark.parametrize("text", ["[" * 60_000, "<" * 60_000, "(" * 60_000, " " * 60_000 + "'", "(] [) " * 20_000])
def test_marks_that_nothing_closes_take_no_time_and_leave_nothing(text):
    assert normalise_english(text) == ""  # the normaliser alone needs minutes


def test_long_texts_are_normalised_as_short_ones_are():
    draw = random.Random(0)
    pieces = [
        "(aside)",
        "[noise]",
        "<b>",
        "Twenty-three",
        "it's",
        "(open",
        "colour",
        "$5",
        "and",
        "1,000",
        "won't",
        "[open",
    ]
    text = " ".join(draw.choice(pieces) for _ in range(3000))
    assert len(text) > 10_000
    assert normalise_english(text).split() == EnglishTextNormalizer()(text).split()


def test_numbers_that_no_integer_holds_stay_as_they_are():
    digits = "1" * 5000
    assert normalise_english(f"Twenty-three of {digits}!").split()[:2] == ["23", "of"]
    assert digits in normalise_english(f"Twenty-three of {digits}!")
