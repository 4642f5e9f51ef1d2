"""How alike two recordings of the same words sound: the measures of the round trip.

Recordings are mono at 16 kHz. They are aligned in time by dynamic time warping over mel-cepstra; pitch and energy
contours are compared along that path, pauses and rate by themselves. Pitch and level are taken relative to each
recording, so that another speaker or loudness is no difference. Knows nothing of texts, tags or engines.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.spatial.distance import cdist

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.levels import level_track_db, sounding_span
from evoxtral.audio.measures import FRAME_S as F0_FRAME_S
from evoxtral.audio.measures import f0_track, silences, syllable_times_s
from evoxtral.audio.spectrum import HOP_S as FRAME_S
from evoxtral.audio.spectrum import mel_power
from evoxtral.audio.warping import warping_path

Floats = NDArray[np.float64]
Samples = NDArray[np.float32]

_MEL_BANDS = 80
_CEPSTRA = 24
# What lies further below a recording's loudest band or frame is as good as silent.
_RANGE_DB = 60.0
# A pause is at least so long, and so far below the recording's loudest frame.
_PAUSE_S = 0.15
_PAUSE_BELOW_PEAK_DB = 40.0
# Fewer frames than this tell nothing of a contour.
_MIN_FRAMES = 20


@dataclass(frozen=True)
class Sound:
    """A recording with what is compared of it; tracks have one value each `FRAME_S`.

    Attributes:
        cepstra: mel-cepstra 1 to 24 of the log magnitude spectrum, shape (frames, 24).
        f0_hz: pitch, 0 where unvoiced, shape (frames,).
        level_db: level relative to the loudest frame, not below -60, shape (frames,).
        syllables: number of syllable nuclei.
        pauses: start and end of each pause between the first and the last sound, in seconds.
        duration_s: from the first to the last sound.
    """

    cepstra: Floats
    f0_hz: Floats
    level_db: Floats
    syllables: int
    pauses: tuple[tuple[float, float], ...]
    duration_s: float


def analyse(samples: Samples) -> Sound:
    """Measure a recording; silence at its ends is left out."""
    samples = _trim(samples)
    cepstra = mel_cepstra(samples)
    count = len(cepstra)
    f0_hz = f0_track(samples, SAMPLE_RATE_HZ)
    nearest = np.minimum((np.arange(count) * FRAME_S / F0_FRAME_S).round().astype(int), len(f0_hz) - 1)
    level_db = np.resize(level_track_db(samples, SAMPLE_RATE_HZ, FRAME_S), count)
    peak_db = level_db.max(initial=-120.0)
    pauses = silences(samples, SAMPLE_RATE_HZ, threshold_db=peak_db - _PAUSE_BELOW_PEAK_DB, min_duration_s=_PAUSE_S)
    return Sound(
        cepstra=cepstra,
        f0_hz=f0_hz[nearest],
        level_db=np.maximum(level_db - peak_db, -_RANGE_DB),
        syllables=len(syllable_times_s(samples, SAMPLE_RATE_HZ)),
        pauses=tuple((pause.start_s, pause.end_s) for pause in pauses),
        duration_s=len(samples) / SAMPLE_RATE_HZ,
    )


def compare_sounds(original: Sound, other: Sound) -> dict[str, float]:
    """All measures by name; nan where one cannot be taken (no frame voiced in both, ...)."""
    distances = cdist(original.cepstra, other.cepstra)
    first, second = warping_path(distances)
    f0 = original.f0_hz[first], other.f0_hz[second]
    level = original.level_db[first], other.level_db[second]
    voiced = (f0[0] > 0) & (f0[1] > 0)
    pitch = tuple(12 * np.log2(track[voiced] / np.median(track[voiced])) for track in f0) if voiced.any() else ((), ())
    return {
        "mcd_db": mel_cepstral_distortion(distances, first, second),
        "f0_correlation": correlation(*pitch),
        "f0_rmse_st": root_mean_square_difference(*pitch),
        "voicing_error": float(np.mean((f0[0] > 0) != (f0[1] > 0))),
        "energy_correlation": correlation(*level),
        "energy_rmse_db": root_mean_square_difference(*level),
        "rate_error": rate_error(original, other),
        "pause_error_s": pause_error_s(original, other),
    }


def mel_cepstra(samples: Samples) -> Floats:
    """Mel-cepstra 1 to 24, shape (frames, 24): c_m of ln|H| = c_0 / 2 + sum of c_m cos(m w) on the mel scale."""
    power = mel_power(samples, SAMPLE_RATE_HZ, _MEL_BANDS, centred=False)
    floor = max(float(power.max(initial=0.0)) * 10 ** (-_RANGE_DB / 10), 1e-20)
    log_magnitude = np.log(np.maximum(power, floor)) / 2
    cepstra: Floats = dct(log_magnitude, type=2, axis=1)[:, 1 : _CEPSTRA + 1] / _MEL_BANDS
    return cepstra


def mel_cepstral_distortion(distances: Floats, first: NDArray[np.intp], second: NDArray[np.intp]) -> float:
    """Mean distance in dB along a path: 10 / ln 10 * sqrt(2 * sum of (c_m - c'_m)^2), energy (c_0) left out.

    Args:
        distances: Euclidean distances of the mel-cepstra, shape (frames, frames).
        first, second: the path.

    Source: Kubichek 1993, with the time warping that is usual since.
    """
    return float(10 / np.log(10) * np.sqrt(2) * distances[first, second].mean())


def correlation(first: Floats, second: Floats) -> float:
    """Pearson's correlation; nan for fewer than 20 frames or a constant track."""
    if len(first) < _MIN_FRAMES or np.std(first) < 1e-9 or np.std(second) < 1e-9:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def root_mean_square_difference(first: Floats, second: Floats) -> float:
    """Root of the mean squared difference of two tracks; nan for fewer than 20 frames."""
    if len(first) < _MIN_FRAMES:
        return float("nan")
    return float(np.sqrt(np.mean(np.square(first - second))))


def rate_error(original: Sound, other: Sound) -> float:
    """|ln| of the ratio of the speaking rates (syllable nuclei a second, pauses left out); nan without syllables.

    0.1 is about 10 % too fast or too slow.
    """
    rates = [
        sound.syllables / max(sound.duration_s - sum(end - start for start, end in sound.pauses), FRAME_S)
        for sound in (original, other)
    ]
    return float(abs(np.log(rates[1] / rates[0]))) if min(rates) > 0 else float("nan")


def pause_error_s(original: Sound, other: Sound) -> float:
    """Mean difference of the time spent in pauses so far, over the course of what is spoken, in seconds.

    Of each recording the pause profile P(u) is the pause time that has passed when the share u of its speech (its
    duration without pauses) has been spoken; the error is the integral of |P - P'| over u. Pauses that are missing,
    too short, too long or in the wrong place all add to it, in proportion.
    """
    shares = np.linspace(0, 1, 1001)
    profiles = [_pause_profile(sound, shares) for sound in (original, other)]
    return float(np.mean(np.abs(profiles[0] - profiles[1])))


def _pause_profile(sound: Sound, shares: Floats) -> Floats:
    passed_s = 0.0
    profile = np.zeros(len(shares))
    speech_s = max(sound.duration_s - sum(end - start for start, end in sound.pauses), FRAME_S)
    for start, end in sound.pauses:
        profile[shares >= (start - passed_s) / speech_s] += end - start
        passed_s += end - start
    return profile


def _trim(samples: Samples) -> Samples:
    """Without the silence at both ends; all of it where nothing stands out."""
    first, last = sounding_span(samples, SAMPLE_RATE_HZ, frame_s=FRAME_S, below_peak_db=_PAUSE_BELOW_PEAK_DB)
    return samples[first:last]
