"""Bootstrap over scripts: how far a figure may be off because the test set is a sample.

Knows totals and figures; nothing of what they mean.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from evoxtral.bench.counts import Floats, Totals
from evoxtral.bench.metrics.metric import Figure

CONFIDENCE = 0.95
# Resamples whose draws are held in memory at once.
_CHUNK = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its interval.

    Attributes:
        value: the figure; None where it cannot be known (a rate without exposure).
        ci: lower and upper end of the 95 % interval; None where there is nothing to resample.
    """

    value: float | None
    ci: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Difference:
    """How much higher a figure of one system is than another's, both on the same resamples.

    Attributes:
        value, ci: as in `Estimate`.
        p: two-sided bootstrap p-value of no difference.
    """

    value: float | None
    ci: tuple[float, float] | None
    p: float | None


def resampled(matrix: Floats, *, resamples: int, seed: int) -> Floats:
    """Totals of units drawn with replacement: shape (resamples, columns) from a matrix (units, columns).

    The draws depend on the number of units and the seed only, so two systems scored on the same units get the same
    draws. Source: Efron 1979; drawing whole scripts keeps the clips of one script together.
    """
    return np.concatenate([draws @ matrix for draws in _draws(len(matrix), resamples, seed)])


def _draws(units: int, resamples: int, seed: int) -> Iterator[Floats]:
    generator = np.random.default_rng(seed)
    for start in range(0, resamples, _CHUNK):
        yield generator.multinomial(units, np.full(units, 1 / units), size=min(_CHUNK, resamples - start)).astype(float)


def estimate(figure: Figure, totals: Totals, samples: Totals | None) -> Estimate:
    """The figure of the totals, with the percentile interval of its resamples (None: no interval)."""
    value = float(figure(totals))
    if np.isnan(value):
        return Estimate(None)
    return Estimate(value, None if samples is None else _interval(figure(samples)))


def difference(figure: Figure, totals: tuple[Totals, Totals], samples: tuple[Totals, Totals] | None) -> Difference:
    """First minus second of a pair of systems: percentile interval and p-value of the paired resamples.

    The p-value is twice the smaller share of resamples on either side of zero, zeros counting on both sides, with one
    added to both counts so that it is never 0 (Davison & Hinkley 1997, section 4.2).
    """
    value = float(figure(totals[0]) - figure(totals[1]))
    if np.isnan(value):
        return Difference(None, None, None)
    if samples is None:
        return Difference(value, None, None)
    differences = figure(samples[0]) - figure(samples[1])
    differences = differences[~np.isnan(differences)]
    smaller = min((differences <= 0).sum(), (differences >= 0).sum())
    return Difference(value, _interval(differences), min(1.0, 2 * float(smaller + 1) / (len(differences) + 1)))


def _interval(values: Floats) -> tuple[float, float] | None:
    values = values[~np.isnan(values)]
    if not len(values):
        return None
    lower, upper = np.percentile(values, [50 * (1 - CONFIDENCE), 50 * (1 + CONFIDENCE)])
    return float(lower), float(upper)
