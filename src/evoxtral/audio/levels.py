"""How loud a stretch of sound is: root mean square, its decibels, its course over time, and bringing it to a level.

The one place for levels. Samples are mono; decibels are of full scale (a full-scale sine is at -3.01 dB). Knows nothing
of files, speech or texts.
"""

import numpy as np
from numpy.typing import NDArray

SILENCE_DB = -120.0
# What is heard by models: speech that is quieter than the first is brought to the second, which most recordings have.
QUIET_SPEECH_DB, USUAL_SPEECH_DB = -45.0, -25.0
# Frames this close to the loudest make up the level of speech: its pauses do not count.
_SOUNDING_RANGE_DB = 20.0
_SPEECH_FRAME_SAMPLES = 512
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


def lift_quiet_speech(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same samples where they are loud enough; else louder ones, as loud as most speech but within full scale.

    Whisper's log-mel spectrum keeps the absolute level, and models mishear what is far below the level of their
    training material. The level is that of the frames of 32 ms (at 16 kHz) that are at most 20 dB below the loudest.
    """
    levels = frame_rms(samples, _SPEECH_FRAME_SAMPLES)
    loudest = levels.max(initial=0.0)
    if loudest <= to_gain(SILENCE_DB):
        return samples
    level = rms(levels[levels >= loudest * to_gain(-_SOUNDING_RANGE_DB)])
    if level >= to_gain(QUIET_SPEECH_DB):
        return samples
    gain = min(to_gain(USUAL_SPEECH_DB) / level, 1.0 / float(np.abs(samples).max()))
    return samples * np.float32(gain)


def to_gain(decibels: float) -> float:
    """The factor on samples that changes their level by so many decibels."""
    return float(10.0 ** (decibels / 20.0))
