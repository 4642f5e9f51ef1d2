"""Word times of speech that comes without any, such as a neural voice's or a recording's.

Dynamic time warping of espeak-ng's speech of the same words, whose times are known, onto it. Knows nothing of engines,
tags or delivery.
"""

import functools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.signal import resample_poly

from evoxtral.tts import espeak
from evoxtral.tts.espeak import sounding_span
from evoxtral.tts.plain_speech import PlainSpeech

Samples = NDArray[np.float32]
_HOP_S = 0.01
_RATE_HZ = 16_000


def align(samples: Samples, sample_rate_hz: int, words: Sequence[str], guide_identifier: str) -> PlainSpeech:
    """Word times of speech without any, by dynamic time warping of espeak-ng's speech of the same words onto it.

    Args:
        samples: speech of exactly `words`; silence at its ends is cut off.
        guide_identifier: the espeak voice to compare with; one of the same sex fits best.
    """
    first, last = sounding_span(samples, 0.01 * float(np.max(np.abs(samples), initial=0.0)) + 1e-4)
    samples = samples[first:last]
    events = espeak.synthesize(" ".join(words), guide_identifier)
    guide = espeak.with_word_times(*events[:1], words, events[1])
    if len(samples) == 0 or len(guide.samples) == 0:
        return PlainSpeech(samples, sample_rate_hz, tuple((0.0, 0.0) for _ in words))
    path_guide, path_speech = _warp(_features(guide.samples, guide.sample_rate_hz), _features(samples, sample_rate_hz))
    duration_s = len(samples) / sample_rate_hz

    def mapped(time_s: float) -> float:
        return min(float(np.interp(time_s / _HOP_S, path_guide, path_speech)) * _HOP_S, duration_s)

    spans = [(mapped(start), mapped(end)) for start, end in guide.words]
    if spans:
        spans[0] = (0.0, spans[0][1])
        spans[-1] = (spans[-1][0], duration_s)
    return PlainSpeech(samples, sample_rate_hz, tuple(spans))


def _features(samples: Samples, sample_rate_hz: int) -> NDArray[np.float64]:
    """Mel cepstra and their slopes, mean and variance normalised; one row each `_HOP_S`."""
    if sample_rate_hz != _RATE_HZ:
        divisor = int(np.gcd(sample_rate_hz, _RATE_HZ))
        samples = resample_poly(samples, _RATE_HZ // divisor, sample_rate_hz // divisor)
    hop, width = round(_HOP_S * _RATE_HZ), 400
    padded = np.pad(samples, (width // 2, width // 2 + hop))
    rows = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop][: len(samples) // hop + 1]
    power = np.abs(np.fft.rfft(rows * np.hanning(width), 512)) ** 2
    log_mel = np.log(power @ _mel_filters().T + 1e-7)
    cepstra = dct(log_mel, norm="ortho", axis=1)[:, :13]
    slopes = np.gradient(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    both = np.hstack((cepstra, 1.5 * slopes))
    return np.asarray((both - both.mean(axis=0)) / (both.std(axis=0) + 1e-6))


@functools.cache
def _mel_filters(count: int = 26) -> NDArray[np.float64]:
    mel = np.linspace(0.0, 2595 * np.log10(1 + 7000 / 700), count + 2)
    edges_hz = 700 * (10 ** (mel / 2595) - 1)
    hz = np.linspace(0.0, _RATE_HZ / 2, 257)
    low, middle, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    return np.clip(np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)), 0.0, None)


def _warp(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cheapest monotone path that matches rows of `a` to rows of `b`, as two equally long index lists.

    Dynamic time warping with steps (1,1), (1,0), (0,1) (H. Sakoe, S. Chiba, 1978), computed one antidiagonal at a
    time so that numpy does the work.
    """
    n, m = len(a), len(b)
    cost = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T, 0.0))
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2, n + m + 1):
        i = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        j = diagonal - i
        here = cost[i - 1, j - 1]
        # A small charge on steps off the diagonal keeps the path from wandering through silence.
        total[i, j] = here + np.minimum(total[i - 1, j - 1], np.minimum(total[i - 1, j], total[i, j - 1]) + 0.3 * here)
    path: list[tuple[int, int]] = []
    row, column = n, m
    while row > 0 and column > 0:
        path.append((row - 1, column - 1))
        row, column = min(((row - 1, column - 1), (row - 1, column), (row, column - 1)), key=lambda cell: total[cell])
    path.reverse()
    rows, columns = np.array(path).T
    # One value for each row of `a`, so that times can be interpolated.
    unique, first = np.unique(rows, return_index=True)
    return unique, columns[first]
