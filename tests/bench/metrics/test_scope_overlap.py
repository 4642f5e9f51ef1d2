import pytest
from hypothesis import given

from bench_texts import clip, tagged_texts
from evoxtral.bench.metrics.scope_overlap import scope_overlap
from evoxtral.tags import Category


def overlap(reference: str, hypothesis: str, category: Category = Category.EMOTION) -> tuple[int, int]:
    texts = clip(reference, hypothesis)
    return scope_overlap(texts.reference, texts.hypothesis, texts.alignment, category)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "shared", "either"),
    [
        ("[sad] a b c d", "[sad] a b c d", 4, 4),
        ("[sad] a b c d", "a [sad] b c d", 3, 4),
        ("[sad] a b c d", "[angry] a b c d", 0, 8),
        ("[sad] a b c d", "a b c d", 0, 4),
        ("[sad] a b c d", "[sad] a c d", 4, 4),  # a word missing inside
        ("[sad] a b c d", "[sad] a b x c d", 4, 4),  # a word inserted inside
        ("[sad] It rained. [sad] We left", "[sad] It rained. We left", 2, 4),
        ("[sad] a [angry] b c", "[sad] a b c", 1, 5),  # sad: 1 of 3; angry: 0 of 2
        ("[laughs] a b", "[laughs] a b", 0, 0),  # no scope
    ],
)
def test_by_hand(reference, hypothesis, shared, either):
    assert overlap(reference, hypothesis) == (shared, either)


def test_delivery_apart_from_emotion():
    texts = "[sad] a [whispers] b c", "[sad] a b [whispers] c"
    assert overlap(*texts, Category.DELIVERY) == (1, 2)
    assert overlap(*texts, Category.EMOTION) == (3, 3)


@given(tagged_texts(), tagged_texts())
def test_no_more_is_shared_than_there_is(reference, hypothesis):
    shared, either = overlap(reference, hypothesis)
    assert 0 <= shared <= either
    shared, either = overlap(reference, reference)
    assert shared == either
