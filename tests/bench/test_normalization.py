import pytest

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
