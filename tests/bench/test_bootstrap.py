import numpy as np
import pytest

from evoxtral.bench.bootstrap import difference, estimate, resampled
from evoxtral.bench.counts import Totals


def totals(values) -> Totals:
    return Totals({"x": 0}, np.asarray(values, float)[..., None])


def x(counts: Totals):
    return counts["x"]


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        # Twice the smaller of (resamples at or below zero, at or above zero), one added to it and to all.
        ([1, 2, 3, -1], 2 * (1 + 1) / (4 + 1)),
        ([1] * 9, 2 * (0 + 1) / (9 + 1)),  # never 0
        ([-1] * 9, 2 * (0 + 1) / (9 + 1)),
        ([0, 1, 1, 1, 1, 1, 1, 1, 1], 2 * (1 + 1) / (9 + 1)),  # a zero is on both sides
        ([0] * 9, 1),  # and no p-value above 1
        ([1, 1, 1, float("nan")], 2 * (0 + 1) / (3 + 1)),  # an unknown one is none
    ],
)
def test_the_p_value_by_hand(differences, p):
    found = difference(x, (totals(3.0), totals(1.0)), (totals(differences), totals([0] * len(differences))))
    assert found.value == 2
    assert found.p == pytest.approx(p)


def test_an_interval_by_hand():
    found = estimate(x, totals(7.0), totals(range(101)))
    assert (found.value, found.ci) == (7, pytest.approx((2.5, 97.5)))
    assert estimate(x, totals(7.0), None).ci is None
    assert estimate(x, totals(float("nan")), totals(range(101))).value is None


def test_each_resample_draws_as_many_units_as_there_are():
    drawn = resampled(np.ones((7, 1)), resamples=250, seed=3)
    assert drawn.shape == (250, 1)
    assert (drawn == 7).all()
