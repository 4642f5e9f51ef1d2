"""Figures from summed counts: error rates, precision, recall, F1, medians.

All take numbers or arrays of them, elementwise, so that they work on one total or on thousands of resampled ones.
`nan` stands for what cannot be known. Knows nothing of what was counted.
"""

import numpy as np
from numpy.typing import ArrayLike

from evoxtral.bench.counts import Floats


def error_rate(errors: ArrayLike, reference: ArrayLike) -> Floats:
    """Errors for each word or character of the reference; the bare number of errors where there is none (as jiwer)."""
    quotient: Floats = np.asarray(errors, float) / np.maximum(np.asarray(reference, float), 1.0)
    return quotient


def rate(count: ArrayLike, exposure: ArrayLike, per: float = 1.0) -> Floats:
    """`per * count / exposure`; nan without exposure."""
    count, exposure = np.asarray(count, float), np.asarray(exposure, float)
    return np.where(exposure == 0, np.nan, per * count / np.where(exposure == 0, 1.0, exposure))


def precision(matched: ArrayLike, reference: ArrayLike, hypothesis: ArrayLike) -> Floats:
    """Share of what the hypothesis has that is right; 0 if only the reference has anything, nan if neither has."""
    reference, hypothesis = np.asarray(reference, float), np.asarray(hypothesis, float)
    return np.where((hypothesis == 0) & (reference > 0), 0.0, rate(matched, hypothesis))


def recall(matched: ArrayLike, reference: ArrayLike, hypothesis: ArrayLike) -> Floats:
    """Share of what the reference has that was found; `precision` with the sides exchanged."""
    return precision(matched, hypothesis, reference)


def f1(matched: ArrayLike, reference: ArrayLike, hypothesis: ArrayLike) -> Floats:
    """Harmonic mean of precision and recall, 2 matched / (reference + hypothesis); nan where neither has anything.

    Source: van Rijsbergen 1979 (Dice coefficient).
    """
    return rate(matched, np.asarray(reference, float) + np.asarray(hypothesis, float), per=2)


def macro(each: ArrayLike, reference: ArrayLike) -> Floats:
    """Mean over the last axis (one entry a tag) of a figure of each tag that the reference has; nan if it has none."""
    occurs = np.asarray(reference, float) > 0
    return rate(np.where(occurs, np.asarray(each, float), 0.0).sum(axis=-1), occurs.sum(axis=-1))


def histogram_median(values: ArrayLike, counts: ArrayLike) -> Floats:
    """Median of `values` (shape (k,), increasing) that occur `counts` (shape (..., k)) times; nan if none does."""
    values, counts = np.asarray(values, float), np.asarray(counts, float)
    total = counts.sum(axis=-1)
    if values.size == 0:
        return np.full(total.shape, np.nan)
    cumulated = counts.cumsum(axis=-1)
    lower = values[(cumulated > np.floor((total - 1) / 2)[..., None]).argmax(axis=-1)]
    upper = values[(cumulated > np.floor(total / 2)[..., None]).argmax(axis=-1)]
    median: Floats = np.where(total == 0, np.nan, (lower + upper) / 2)
    return median
