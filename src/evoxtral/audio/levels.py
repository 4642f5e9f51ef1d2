"""How loud a stretch of sound is: root mean square, its decibels, its course over time, and bringing it to a level.

The one place for levels. Samples are mono; decibels are of full scale (a full-scale sine is at -3.01 dB). Knows nothing
of files, speech or texts.
"""

import numpy as np
from numpy.typing import NDArray

SILENCE_DB = -120.0
_LEAST_POWER = 1e-30

Samples = NDArray[np.floating]


def rms(samples: Samples) -> float:
    """Root mean square, 0 for silence or no samples."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def rms_db(samples: Samples) -> float:
    """Root mean square in dB of full scale, not below -120."""
    level = rms(samples)
    return max(20.0 * float(np.log10(level)), SILENCE_DB) if level > 0 else SILENCE_DB


def frame_rms(samples: Samples, hop: int) -> NDArray[np.float64]:
    """Root mean square of each frame of `hop` samples, shape (frames,); an incomplete last frame is left out."""
    count = len(samples) // hop
    frames = samples[: count * hop].reshape(count, hop)
    return np.asarray(np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1)))


def level_track_db(samples: Samples, sample_rate_hz: int, frame_s: float = 0.01) -> NDArray[np.float64]:
    """RMS in dB of each frame of `frame_s`, not below -120, shape (frames,); an incomplete last one is left out."""
    power = frame_rms(samples, max(1, round(frame_s * sample_rate_hz))) ** 2
    return np.asarray(np.maximum(10.0 * np.log10(np.maximum(power, _LEAST_POWER)), SILENCE_DB))


def sounding_span(
    samples: Samples, sample_rate_hz: int, *, frame_s: float = 0.01, below_peak_db: float = 40.0
) -> tuple[int, int]:
    """Index of the first sample that sounds and of the one after the last; the whole where nothing stands out.

    A frame of `frame_s` sounds if it is not more than `below_peak_db` quieter than the loudest.
    """
    level_db = level_track_db(samples, sample_rate_hz, frame_s)
    loud = np.flatnonzero(level_db > level_db.max(initial=SILENCE_DB) - below_peak_db)
    if not len(loud):
        return 0, len(samples)
    hop = max(1, round(frame_s * sample_rate_hz))
    return int(loud[0]) * hop, int(loud[-1] + 1) * hop


def bring_to(samples: NDArray[np.float32], level: float) -> NDArray[np.float32]:
    """The same sound with that root mean square; silence stays what it is."""
    present = rms(samples)
    return samples if present <= 0 else np.asarray(samples * (level / present), np.float32)


def to_gain(decibels: float) -> float:
    """The factor on samples that changes their level by so many decibels."""
    return float(10.0 ** (decibels / 20.0))
