"""Short-time power spectra on the mel scale. The one numpy front end: speaker encoder, perceptual measures, word times.

The models' own log-mel features, which a GPU computes, are `evoxtral.models.log_mel`. Knows nothing of what is heard.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

WINDOW_S = 0.025
HOP_S = 0.01


def mel_power(samples: NDArray[np.floating], sample_rate_hz: int, bands: int, *, centred: bool) -> NDArray[np.float64]:
    """Power in mel bands every 10 ms, in windows of 25 ms (periodic Hann), shape (frames, bands).

    Args:
        samples: mono.
        centred: whether frame n is centred on n hops, for which the sound is padded by half a window at both ends;
            else it begins there, and only whole frames are given (at least one).
    """
    window, hop = round(WINDOW_S * sample_rate_hz), round(HOP_S * sample_rate_hz)
    padded = np.pad(samples, window // 2) if centred else np.pad(samples, (0, max(0, window - len(samples))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    power = np.abs(np.fft.rfft(frames * np.hanning(window + 1)[:-1], axis=1)) ** 2
    return np.asarray(power @ mel_filters(sample_rate_hz, window, bands).T)


@cache
def mel_filters(sample_rate_hz: int, fft_size: int, bands: int) -> NDArray[np.float64]:
    """Triangles of equal area on Slaney's mel scale, from 0 Hz to half the rate, shape (bands, fft_size // 2 + 1)."""
    from faster_whisper.feature_extractor import FeatureExtractor

    return np.asarray(FeatureExtractor.get_mel_filters(sample_rate_hz, fft_size, n_mels=bands), dtype=np.float64)
