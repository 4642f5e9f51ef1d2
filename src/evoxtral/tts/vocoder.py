"""Speech as frames of pitch, spectral envelope and aperiodicity, and back: a small layer over the WORLD vocoder.

WORLD: M. Morise, F. Yokomori, K. Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for real-time
applications", IEICE Trans. 2016. Knows nothing of tags, words or engines.
"""

from dataclasses import dataclass

import numpy as np
import pyworld
from numpy.typing import NDArray

from evoxtral.audio.measures import FRAME_S, raw_f0_track

_FLOOR_POWER = 1e-16

Array = NDArray[np.float64]


@dataclass(slots=True)
class Frames:
    """One row a `FRAME_S`.

    Attributes:
        f0_hz: shape (n,), 0 where unvoiced.
        log_power: natural logarithm of the power spectral envelope, shape (n, bins).
        aperiodicity: share of noise in the excitation, 0..1, shape (n, bins).
        sample_rate_hz: of the sound.
    """

    f0_hz: Array
    log_power: Array
    aperiodicity: Array
    sample_rate_hz: int

    @property
    def frequencies_hz(self) -> Array:
        return np.linspace(0.0, self.sample_rate_hz / 2, self.log_power.shape[1])

    def __len__(self) -> int:
        return len(self.f0_hz)


def fft_size(sample_rate_hz: int) -> int:
    """Analysis size that resolves `F0_FLOOR_HZ`-ish voices at this rate; bins = size / 2 + 1."""
    return int(pyworld.get_cheaptrick_fft_size(sample_rate_hz, 71.0))


def analyse(samples: NDArray[np.floating], sample_rate_hz: int) -> Frames:
    """Frames of mono `samples`; about 15 times faster than real time on one core."""
    # A whisper of noise keeps the analysis away from digital silence, whose spectrum has no shape.
    dither = np.random.default_rng(0).normal(0.0, 1e-5, len(samples))
    sound = np.ascontiguousarray(samples, dtype=np.float64) + dither
    f0_hz = raw_f0_track(sound, sample_rate_hz)
    times_s = np.arange(len(f0_hz)) * FRAME_S
    size = fft_size(sample_rate_hz)
    power = pyworld.cheaptrick(sound, f0_hz, times_s, sample_rate_hz, fft_size=size)
    # Aperiodicity moves slowly and is the dearest part of the analysis: every other frame is enough.
    sparse = pyworld.d4c(
        sound, np.ascontiguousarray(f0_hz[::2]), np.ascontiguousarray(times_s[::2]), sample_rate_hz, fft_size=size
    )
    aperiodicity = np.repeat(sparse, 2, axis=0)[: len(f0_hz)]
    # An unvoiced neighbour says 1 everywhere; a voiced frame takes a voiced neighbour's values instead.
    borrowed = (np.arange(len(f0_hz)) % 2 == 1) & (f0_hz > 0) & (np.roll(f0_hz, 1) == 0)
    for index in np.flatnonzero(borrowed):
        following = index + 1
        if following < len(f0_hz) and f0_hz[following] > 0:
            aperiodicity[index] = sparse[following // 2]
    return Frames(f0_hz, np.log(power + _FLOOR_POWER), aperiodicity, sample_rate_hz)


def synthesise(frames: Frames) -> NDArray[np.float32]:
    """Sound of the frames, mono float32, `len(frames) * FRAME_S` long."""
    sound = pyworld.synthesize(
        np.ascontiguousarray(frames.f0_hz),
        np.ascontiguousarray(np.exp(np.clip(frames.log_power, -40.0, 20.0))),
        np.ascontiguousarray(np.clip(frames.aperiodicity, 0.0, 1.0)),
        frames.sample_rate_hz,
        FRAME_S * 1000,
    )
    count = round(len(frames) * FRAME_S * frames.sample_rate_hz)
    out = np.zeros(count, np.float32)
    out[: min(count, len(sound))] = sound[:count]
    return out
