import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.bench import formulas


def test_by_hand():
    assert formulas.precision(3, 6, 4) == 0.75
    assert formulas.recall(3, 6, 4) == 0.5
    assert formulas.f1(3, 6, 4) == 0.6
    assert formulas.rate(3, 60, per=100) == 5


def test_nothing_found_and_nothing_to_find():
    assert formulas.precision(0, 5, 0) == formulas.recall(0, 0, 5) == formulas.f1(0, 5, 0) == formulas.f1(0, 0, 5) == 0
    assert formulas.precision(0, 0, 5) == 0
    assert np.isnan(
        [formulas.precision(0, 0, 0), formulas.recall(0, 0, 0), formulas.f1(0, 0, 0), formulas.rate(1, 0)]
    ).all()


@given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
def test_f1_is_the_harmonic_mean(matched, missed, superfluous):
    reference, hypothesis = matched + missed, matched + superfluous
    if matched:
        precision, recall = matched / hypothesis, matched / reference
        assert formulas.f1(matched, reference, hypothesis) == pytest.approx(2 / (1 / precision + 1 / recall))


def test_macro_averages_over_the_tags_of_the_reference():
    assert formulas.macro([1, 0.5, 0], [2, 2, 0]) == 0.75  # the third occurs in hypotheses only
    assert formulas.macro([[1, 0], [0, 0.5]], [[1, 1], [0, 1]]) == pytest.approx([0.5, 0.5])
    assert np.isnan(formulas.macro([0.0, 0.0], [0, 0]))


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
def test_histogram_median_is_the_median(values):
    bins = sorted(set(values))
    counts = [values.count(value) for value in bins]
    assert formulas.histogram_median(bins, counts) == np.median(values)


def test_histogram_median_of_nothing():
    assert np.isnan(formulas.histogram_median([], []))
    assert np.isnan(formulas.histogram_median([1, 2], [[0, 0]])).all()
