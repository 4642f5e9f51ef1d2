import pytest

from bench_texts import clip
from evoxtral.bench.confusion import confusion


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("[sad] a b", "[sad] a b", {("sad", "sad"): 1}),
        ("[sad] a b", "a b [sad]", {("sad", "sad"): 1}),  # in the wrong place, but heard
        ("[sad] a b", "[calm] a b", {("sad", "calm"): 1}),
        ("[sad] a b c d e", "a b c d e [calm]", {("sad", None): 1, (None, "calm"): 1}),  # too far apart
        ("[sad] a b", "a b", {("sad", None): 1}),
        ("a b", "a [laughs] b", {(None, "laughs"): 1}),
        # the pause is the nearer one to be taken for the sigh
        ("a [sighs] b c", "[calm] a [pause] b c", {("sighs", "pause"): 1, (None, "calm"): 1}),
        # both pairs are near enough, and neither is given up for the other
        ("[sad] a b c [sighs]", "a [calm] b c [pause]", {("sad", "calm"): 1, ("sighs", "pause"): 1}),
        ("", "", {}),
    ],
)
def test_by_hand(reference, hypothesis, expected):
    assert confusion([clip(reference, hypothesis)]) == expected
