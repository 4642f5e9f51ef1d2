"""Counts of clips, and what they sum to.

What a metric counts in one clip is a flat mapping from names to numbers, so that corpus totals, and those of any
resampling of clips, are one matrix product. Knows nothing of what is counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = dict[str, float]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Totals:
    """Counts summed over clips: once, or for many resamplings side by side.

    Attributes:
        columns: name of each count.
        values: shape (..., k), one entry of the last axis a column.
    """

    columns: Mapping[str, int]
    values: Floats

    def __getitem__(self, name: str) -> Floats:
        """The total of one count, shape (...)."""
        column = self.columns.get(name)
        return np.zeros(self.values.shape[:-1]) if column is None else self.values[..., column]

    def under(self, prefix: str) -> list[str]:
        """What follows `prefix/` in the names that begin so."""
        return [name.removeprefix(f"{prefix}/") for name in self.columns if name.startswith(f"{prefix}/")]

    def stack(self, names: Sequence[str]) -> Floats:
        """Several totals as one array of shape (..., n)."""
        return np.stack([self[name] for name in names], axis=-1) if names else np.zeros((*self.values.shape[:-1], 0))


def count_matrix(clips: Sequence[Counts], units: Sequence[str]) -> tuple[dict[str, int], Floats]:
    """Columns, and counts summed within each unit (such as a script): shape (number of units, number of columns)."""
    columns = {name: index for index, name in enumerate(sorted({name for clip in clips for name in clip}))}
    rows = {unit: index for index, unit in enumerate(dict.fromkeys(units))}
    matrix = np.zeros((len(rows), len(columns)))
    for clip, unit in zip(clips, units, strict=True):
        for name, value in clip.items():
            matrix[rows[unit], columns[name]] += value
    return columns, matrix
