import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.bench.alignment import align, comparable

words = st.lists(st.sampled_from(["a", "b", "c", "d"]), max_size=12)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "to_reference"),
    [
        ("a b c", "a b c", (0, 1, 2)),
        ("a b c", "a x c", (0, 1, 2)),  # substituted
        ("a b c", "a b x c", (0, 1, None, 2)),  # inserted
        ("a b c", "a c", (0, 2)),  # deleted
        ("a b", "", ()),
        ("", "a b", (None, None)),
        ("Wait— NO!", "wait no", (0, 1)),
    ],
)
def test_words_stand_for_words(reference, hypothesis, to_reference):
    assert align(reference.split(), hypothesis.split()).to_reference == to_reference


def test_gaps_of_equal_texts_project_onto_themselves():
    alignment = align(["a", "b", "c"], ["a", "b", "c"])
    assert [alignment.project_gap(gap) for gap in range(4)] == [(0, 0), (1, 1), (2, 2), (3, 3)]


def test_a_gap_beside_deleted_words_may_lie_on_either_side_of_them():
    alignment = align(["a", "b", "c", "d"], ["a", "d"])
    assert [alignment.project_gap(gap) for gap in range(3)] == [(0, 0), (1, 3), (4, 4)]


def test_gaps_around_inserted_words_lie_where_these_were_inserted():
    alignment = align(["a", "b"], ["a", "x", "y", "b"])
    assert [alignment.project_gap(gap) for gap in range(5)] == [(0, 0), (1, 1), (1, 1), (1, 1), (2, 2)]


def test_deleted_words_at_the_ends():
    alignment = align(["a", "b", "c", "d"], ["b", "c"])
    assert [alignment.project_gap(gap) for gap in range(3)] == [(0, 1), (2, 2), (3, 4)]


def test_a_span_stretches_over_the_words_that_its_words_stand_for():
    alignment = align(["a", "b", "c", "d"], ["a", "x", "b", "d"])
    assert alignment.project_span(0, 4) == (0, 4)  # c, which is missing, lies within
    assert alignment.project_span(1, 2) == (0, 0)  # an inserted word stands for nothing
    assert alignment.project_span(1, 3) == (1, 2)


@given(words, words)
def test_projections_stay_in_the_reference_and_in_order(reference, hypothesis):
    alignment = align(reference, hypothesis)
    bounds = [alignment.project_gap(gap) for gap in range(len(hypothesis) + 1)]
    assert all(0 <= first <= last <= len(reference) for first, last in bounds)
    assert bounds == sorted(bounds)
    kept = [index for index in alignment.to_reference if index is not None]
    assert kept == sorted(set(kept))


def test_words_are_compared_by_letters_and_digits():
    assert comparable("“Don't!”") == comparable("DON’T") == "dont"
