"""The warping path against the textbook recurrence, cell by cell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from evoxtral.audio.warping import warping_path


def least_cost(cost: NDArray[np.float64], charge: float) -> float:
    """Cost of the best path, charges included."""
    total = np.full(cost.shape, np.inf)
    for i in range(cost.shape[0]):
        for j in range(cost.shape[1]):
            before = [] if i or j else [0.0]
            before += [total[i - 1, j - 1]] if i and j else []
            before += [total[i - 1, j] + charge * cost[i, j]] if i else []
            before += [total[i, j - 1] + charge * cost[i, j]] if j else []
            total[i, j] = cost[i, j] + min(before)
    return float(total[-1, -1])


@pytest.mark.parametrize("charge", [0.0, 0.3])
@given(cost=arrays(float, st.tuples(st.integers(1, 8), st.integers(1, 8)), elements=st.floats(0, 10)))
@settings(deadline=None)
def test_the_path_is_the_cheapest_and_monotone(cost: NDArray[np.float64], charge: float) -> None:
    first, second = warping_path(cost, step_charge=charge)
    steps = np.stack([np.diff(first), np.diff(second)])
    assert set(np.unique(steps)) <= {0, 1}
    assert (steps.sum(axis=0) > 0).all()
    assert (first[0], second[0], first[-1], second[-1]) == (0, 0, cost.shape[0] - 1, cost.shape[1] - 1)
    cells = cost[first, second]
    alone = steps.sum(axis=0) == 1
    assert cells.sum() + charge * cells[1:][alone].sum() == pytest.approx(least_cost(cost, charge))


def test_a_path_by_hand() -> None:
    # The second frame of the first lasts twice as long in the other.
    cost = np.abs(np.array([1.0, 2.0, 3.0])[:, None] - np.array([1.0, 2.0, 2.0, 3.0]))
    first, second = warping_path(cost)
    assert first.tolist() == [0, 1, 1, 2]
    assert second.tolist() == [0, 1, 2, 3]
