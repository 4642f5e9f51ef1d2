import pytest
from hypothesis import given

from bench_texts import tagged_texts
from evoxtral.bench.metrics.tag_types import type_matches
from evoxtral.bench.scoring import score
from evoxtral.tags import parse


@pytest.mark.parametrize(
    ("reference", "hypothesis", "matched", "accuracy"),
    [
        ("[angry] a", "[frustrated] a", 1, 1),  # one group
        ("[sad] a", "[laughs] a", 0, 0),
        ("[sad] a [crying] b", "[sad] a", 1, 2 / 3),  # one is missing
        ("[sighs] a", "[gasps] a [sighs] [pause]", 1, 1 / 2),  # two too many
        ("[sings] a", "[sings] a", 1, 1),
        ("[anger] a", "[breath] a", 0, 0),  # tags of other groups
        ("a", "[sad] a", 0, 0),
        ("a", "a", 0, None),
    ],
)
def test_by_hand(reference, hypothesis, matched, accuracy):
    assert type_matches(parse(reference), parse(hypothesis)) == matched
    assert score({"x": reference}, {"x": hypothesis}).figures["tags.type_accuracy"].value == accuracy


@given(tagged_texts(), tagged_texts(), tagged_texts(), tagged_texts())
def test_it_is_never_below_tag_f1_nor_this_below_the_tags_in_place(first, second, third, fourth):
    figures = score({"a": first, "b": second}, {"a": third, "b": fourth}, resamples=2).figures
    values = [figures[name].value for name in ("position.f1_at_0", "position.f1_at_3", "tags.f1", "tags.type_accuracy")]
    assert values == [None] * 4 or values == sorted(values)
