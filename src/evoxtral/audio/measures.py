"""What can be measured in a stretch of sound: pitch, voicing, spectral shape, silences, speaking rate.

Small pure functions on mono samples, used by validation, the bench's round trip and the tests. How loud
it is, `levels` tells. Knows nothing of files, texts or tags.
"""

import itertools
from dataclasses import dataclass

import numpy as np
import pyworld
from numpy.typing import NDArray
from scipy.signal import find_peaks, welch

from evoxtral.audio.levels import SILENCE_DB, level_track_db

Samples = NDArray[np.floating]
FRAME_S = 0.005
F0_FLOOR_HZ = 60.0
F0_CEILING_HZ = 560.0


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in seconds from the start of the sound."""

    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


def raw_f0_track(samples: Samples, sample_rate_hz: int) -> NDArray[np.float64]:
    """The best periodicity in Hz every `FRAME_S`, 0 where there is none, between 60 and 560 Hz.

    DIO refined by StoneMask (M. Morise et al., WORLD, 2016), which also finds some periods in pure noise.
    """
    sound = np.ascontiguousarray(samples, dtype=np.float64)
    f0_hz, times_s = pyworld.dio(
        sound, sample_rate_hz, f0_floor=F0_FLOOR_HZ, f0_ceil=F0_CEILING_HZ, frame_period=FRAME_S * 1000
    )
    return np.asarray(pyworld.stonemask(sound, f0_hz, times_s, sample_rate_hz))


def f0_track(samples: Samples, sample_rate_hz: int, *, min_correlation: float = 0.45) -> NDArray[np.float64]:
    """Fundamental frequency in Hz every `FRAME_S`, 0 where unvoiced.

    A frame counts as voiced if the sound correlates with itself one period later by `min_correlation`.
    """
    if len(samples) < 0.05 * sample_rate_hz:
        return np.zeros(max(1, round(len(samples) / sample_rate_hz / FRAME_S)))
    # Rounding noise of digital silence must not pass for a voice.
    dither = np.random.default_rng(0).normal(0.0, 1e-5, len(samples))
    sound = np.asarray(samples, dtype=np.float64) + dither
    f0_hz = raw_f0_track(sound, sample_rate_hz)
    for index in np.flatnonzero(f0_hz > 0):
        lag = round(sample_rate_hz / f0_hz[index])
        centre = round(index * FRAME_S * sample_rate_hz)
        first = max(0, centre - 3 * lag // 2)
        here, later = sound[first : first + 2 * lag], sound[first + lag : first + 3 * lag]
        here = here[: len(later)]
        scale = np.sqrt(np.dot(here, here) * np.dot(later, later))
        if scale <= 0 or np.dot(here, later) < min_correlation * scale:
            f0_hz[index] = 0.0
    return f0_hz


def median_f0_hz(samples: Samples, sample_rate_hz: int) -> float:
    """Median pitch of the voiced frames; 0 where nothing is voiced."""
    f0_hz = f0_track(samples, sample_rate_hz)
    return float(np.median(f0_hz[f0_hz > 0])) if (f0_hz > 0).any() else 0.0


def f0_spread_st(samples: Samples, sample_rate_hz: int) -> float:
    """Standard deviation of the pitch in semitones over the voiced frames; 0 where nothing is voiced."""
    f0_hz = f0_track(samples, sample_rate_hz)
    return float(np.std(12.0 * np.log2(f0_hz[f0_hz > 0]))) if (f0_hz > 0).any() else 0.0


def voiced_fraction(samples: Samples, sample_rate_hz: int, *, below_peak_db: float = 35.0) -> float:
    """Share of the sounding frames (within `below_peak_db` of the loudest) that are voiced; 0 in silence."""
    f0_hz = f0_track(samples, sample_rate_hz)
    levels = level_track_db(samples, sample_rate_hz, FRAME_S)
    count = min(len(f0_hz), len(levels))
    if count == 0 or levels.max() <= SILENCE_DB:
        return 0.0
    sounding = levels[:count] > levels.max() - below_peak_db
    return float(np.mean(f0_hz[:count][sounding] > 0))


def spectrum(samples: Samples, sample_rate_hz: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Frequencies in Hz and long-term mean power density (Welch, 32 ms windows)."""
    size = min(len(samples), round(0.032 * sample_rate_hz))
    hz, power = welch(np.asarray(samples, dtype=np.float64), sample_rate_hz, nperseg=max(size, 1))
    return np.asarray(hz), np.asarray(power)


def spectral_centroid_hz(samples: Samples, sample_rate_hz: int) -> float:
    """Power-weighted mean frequency; 0 for silence."""
    hz, power = spectrum(samples, sample_rate_hz)
    total = float(power.sum())
    return float((hz * power).sum() / total) if total > 0 else 0.0


def spectral_tilt_db_per_octave(samples: Samples, sample_rate_hz: int) -> float:
    """Slope of the long-term spectrum from 200 Hz to 5 kHz: a line fitted to third-octave levels; 0 for silence."""
    hz, power = spectrum(samples, sample_rate_hz)
    edges_hz = 200.0 * 2.0 ** (np.arange(15) / 3.0)
    octaves, levels_db = [], []
    for low, high in itertools.pairwise(edges_hz):
        band = power[(hz >= low) & (hz < high)]
        if len(band) and band.mean() > 0:
            octaves.append(np.log2(np.sqrt(low * high)))
            levels_db.append(10.0 * np.log10(band.mean()))
    return float(np.polyfit(octaves, levels_db, 1)[0]) if len(octaves) > 1 else 0.0


def silences(
    samples: Samples, sample_rate_hz: int, *, threshold_db: float = -50.0, min_duration_s: float = 0.1
) -> list[Span]:
    """Stretches of at least `min_duration_s` whose 10 ms frames all stay below `threshold_db` of full scale."""
    frame_s = 0.01
    quiet = np.concatenate(([False], level_track_db(samples, sample_rate_hz, frame_s) < threshold_db, [False]))
    edges = np.flatnonzero(np.diff(quiet.astype(int)))
    spans = [Span(float(a) * frame_s, float(b) * frame_s) for a, b in edges.reshape(-1, 2)]
    return [span for span in spans if span.duration_s >= min_duration_s - 1e-9]


def syllable_times_s(samples: Samples, sample_rate_hz: int) -> NDArray[np.float64]:
    """Times of the syllable nuclei: peaks of the smoothed level that stand out by 3 dB, within 25 dB of the loudest.

    After N. H. de Jong, T. Wempe, "Praat script to detect syllable nuclei and measure speech rate automatically", 2009.
    """
    frame_s = 0.01
    levels = level_track_db(samples, sample_rate_hz, frame_s)
    if len(levels) == 0 or levels.max() <= SILENCE_DB:
        return np.zeros(0)
    smooth = np.convolve(np.pad(levels, 3, mode="edge"), np.hanning(9)[1:-1] / np.hanning(9).sum(), mode="valid")
    peaks, _ = find_peaks(np.pad(smooth, 1, constant_values=SILENCE_DB), height=levels.max() - 25.0, prominence=3.0)
    return np.asarray((peaks - 1 + 0.5) * frame_s)


def syllables_per_s(samples: Samples, sample_rate_hz: int) -> float:
    """Speaking rate: syllable nuclei per second of the whole sound; 0 for none."""
    duration_s = len(samples) / sample_rate_hz
    return len(syllable_times_s(samples, sample_rate_hz)) / duration_s if duration_s > 0 else 0.0


def modulation_depth(track: NDArray[np.floating], frame_s: float, low_hz: float, high_hz: float) -> float:
    """RMS of the part of a track that moves at between two rates, in the track's own unit.

    Args:
        track: a pitch or a level, one value each `frame_s`, without gaps.
    """
    moving = np.fft.rfft(np.asarray(track, dtype=np.float64) - np.mean(track))
    hz = np.fft.rfftfreq(len(track), frame_s)
    moving[(hz < low_hz) | (hz > high_hz)] = 0.0
    return float(np.sqrt(np.mean(np.fft.irfft(moving, len(track)) ** 2)))
