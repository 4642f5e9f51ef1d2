"""Word times of speech that comes without any, such as a neural voice's or a recording's.

Dynamic time warping of espeak-ng's speech of the same words, whose times are known, onto it. Knows nothing of engines,
tags or delivery.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.spatial.distance import cdist

from evoxtral.audio.resampling import SAMPLE_RATE_HZ, resample
from evoxtral.audio.spectrum import HOP_S as _HOP_S
from evoxtral.audio.spectrum import mel_power
from evoxtral.audio.warping import warping_path
from evoxtral.tts import espeak
from evoxtral.tts.espeak import sounding_span
from evoxtral.tts.plain_speech import PlainSpeech

Samples = NDArray[np.float32]
_MEL_BANDS = 26
# Power of a band below which it is as good as silent: filters of equal area on samples up to 1.
_LEAST_POWER = 1e-9
_STEP_CHARGE = 0.3


def align(samples: Samples, sample_rate_hz: int, words: Sequence[str], guide_identifier: str) -> PlainSpeech:
    """Word times of speech without any, by dynamic time warping of espeak-ng's speech of the same words onto it.

    Args:
        samples: speech of exactly `words`; silence at its ends is cut off.
        guide_identifier: the espeak voice to compare with; one of the same sex fits best.
    """
    begin, end = sounding_span(samples, 0.01 * float(np.max(np.abs(samples), initial=0.0)) + 1e-4)
    samples = samples[begin:end]
    events = espeak.synthesize(" ".join(words), guide_identifier)
    guide = espeak.with_word_times(*events[:1], words, events[1])
    if len(samples) == 0 or len(guide.samples) == 0:
        return PlainSpeech(samples, sample_rate_hz, tuple((0.0, 0.0) for _ in words))
    cost = cdist(_features(guide.samples, guide.sample_rate_hz), _features(samples, sample_rate_hz))
    rows, columns = warping_path(cost, step_charge=_STEP_CHARGE)
    # One moment of the speech for each of the guide, so that times can be interpolated.
    path_guide, first = np.unique(rows, return_index=True)
    path_speech = columns[first]
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
    heard = resample(samples, sample_rate_hz, SAMPLE_RATE_HZ)
    log_mel = np.log(mel_power(heard, SAMPLE_RATE_HZ, _MEL_BANDS, centred=True) + _LEAST_POWER)
    cepstra = dct(log_mel, norm="ortho", axis=1)[:, :13]
    slopes = np.gradient(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    both = np.hstack((cepstra, 1.5 * slopes))
    return np.asarray((both - both.mean(axis=0)) / (both.std(axis=0) + 1e-6))
