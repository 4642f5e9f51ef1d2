"""Dynamic time warping: which moments of two recordings of the same words belong together. Knows only costs."""

import numpy as np
from numpy.typing import NDArray


def warping_path(cost: NDArray[np.floating], *, step_charge: float = 0.0) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The cheapest monotone path from the first to the last pair of frames: row and column of each step.

    Steps go one on in either or both; each visited cell costs once (H. Sakoe, S. Chiba, 1978). The costs are summed up
    along antidiagonals, all cells of one at a time, so that numpy does the work.

    Args:
        cost: of each pair, shape (rows, columns), at least one of each.
        step_charge: share of a cell's cost that a step on in one of them alone costs more; it keeps the path from
            wandering through silence.
    """
    rows, columns = cost.shape
    total = np.full((rows + 1, columns + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2, rows + columns + 1):
        row = np.arange(max(1, diagonal - columns), min(rows, diagonal - 1) + 1)
        column = diagonal - row
        here = cost[row - 1, column - 1]
        alone = np.minimum(total[row - 1, column], total[row, column - 1]) + step_charge * here
        total[row, column] = here + np.minimum(total[row - 1, column - 1], alone)
    row_index, column_index = rows, columns
    path = []
    while row_index and column_index:
        path.append((row_index - 1, column_index - 1))
        charge = step_charge * float(cost[row_index - 1, column_index - 1])
        steps = (
            (total[row_index - 1, column_index - 1], row_index - 1, column_index - 1),
            (total[row_index - 1, column_index] + charge, row_index - 1, column_index),
            (total[row_index, column_index - 1] + charge, row_index, column_index - 1),
        )
        _, row_index, column_index = min(steps, key=lambda step: step[0])
    first, second = np.array(path[::-1]).T
    return first, second
