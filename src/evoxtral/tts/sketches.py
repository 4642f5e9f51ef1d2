"""Sounds that are not words, drawn with breath noise and voicing in a speaker's own pitch and vowel.

A sketch is a row of parts, each a few frames of the vocoder. Knows sound and speakers; nothing of tags or levels.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from evoxtral.audio.measures import FRAME_S
from evoxtral.tts import vocoder
from evoxtral.tts.delivery import Samples, wander
from evoxtral.tts.vocoder import Array, Frames

_NEPERS_PER_DB = np.log(10.0) / 10.0  # of power


@dataclass(frozen=True, slots=True)
class Speaker:
    """What a sound has to fit.

    Attributes:
        sample_rate_hz: rate of the speaker's speech, and of the sounds made for it.
        f0_hz: median pitch.
        vowel: natural logarithm of the power spectral envelope of the speaker's open vowel, shape (bins,).
        room: filter that makes the speaker's background noise from white noise of unit variance, shape (taps,).
    """

    sample_rate_hz: int
    f0_hz: float
    vowel: Array
    room: Array


class Sketch:
    """Frames of a sound under construction: bursts of voice and breath are added one after the other."""

    def __init__(self, speaker: Speaker, rng: np.random.Generator) -> None:
        self.speaker = speaker
        self.rng = rng
        self.f0_hz = speaker.f0_hz
        self._hz = np.linspace(0.0, speaker.sample_rate_hz / 2, len(speaker.vowel))
        self._octaves = np.log2(np.clip(self._hz, 120.0, 6000.0) / 1000.0)
        # Breath: the vowel's formants, without the glottis' slope, over a broad bed of turbulence.
        formants = speaker.vowel + _NEPERS_PER_DB * 3.0 * self._octaves
        bed_db = np.interp(
            self._hz, [0.0, 300.0, 1000.0, 4000.0, 8000.0, 12000.0], [-34.0, -22.0, -16.0, -18.0, -26.0, -38.0]
        )
        self._aspiration = np.logaddexp(formants, formants.max() + _NEPERS_PER_DB * bed_db)
        self._parts: list[Frames] = []

    def between(self, low: float, high: float) -> float:
        return float(self.rng.uniform(low, high))

    def silence(self, seconds: float) -> None:
        self.voice(np.zeros(self._count(seconds)), np.full(self._count(seconds), -90.0), breath=1.0)

    def breath(
        self, gain_db: Array, *, tilt_db: tuple[float, float] = (0.0, 0.0), formant: tuple[float, float] = (1.0, 1.0)
    ) -> None:
        """Noise through the vocal tract; tilt (dB an octave) and formant factor glide from first to second value."""
        self.voice(np.zeros(len(gain_db)), gain_db, breath=1.0, tilt_db=tilt_db, formant=formant, noise=True)

    def curve(self, seconds: float, *points: float) -> Array:
        """Values through equally spaced points, one a frame."""
        count = self._count(seconds)
        return np.interp(np.linspace(0.0, 1.0, count), np.linspace(0.0, 1.0, len(points)), points)

    def sound(self) -> Samples:
        frames = Frames(
            np.concatenate([part.f0_hz for part in self._parts]),
            np.concatenate([part.log_power for part in self._parts]),
            np.concatenate([part.aperiodicity for part in self._parts]),
            self.speaker.sample_rate_hz,
        )
        # The mouth moves smoothly from one part into the next.
        frames.log_power = gaussian_filter1d(frames.log_power, 1.5, axis=0)
        return vocoder.synthesise(frames)

    def _count(self, seconds: float) -> int:
        return max(2, round(seconds / FRAME_S))

    def voice(
        self,
        f0_hz: Array,
        gain_db: Array,
        *,
        breath: float,
        tilt_db: tuple[float, float] = (0.0, 0.0),
        formant: tuple[float, float] = (1.0, 1.0),
        nasal: bool = False,
        noise: bool = False,
    ) -> None:
        """A part of the sound, one value a frame: voice where `f0_hz` is above 0, of which `breath` (0..1) is noise.

        `noise` stands for the turbulence of a breath instead of the vowel; tilt and formant factor as in `breath`.
        """
        count = len(f0_hz)
        base = self._aspiration if noise else self.speaker.vowel
        if nasal:
            notches = np.interp(self._hz, [0, 250, 450, 900, 1500, 3500, 8000], [6, 4, -10, -16, -20, -32, -45])
            base = np.full_like(base, float(np.median(base))) + _NEPERS_PER_DB * notches
        warp = np.linspace(*formant, count)[:, None] * (1.0 + 0.01 * wander(count, 0.15, self.rng))[:, None]
        bins = np.arange(len(base))
        log_power = np.interp(np.clip(bins / warp, 0, len(base) - 1), bins, base)
        decibels = gain_db[:, None] + np.linspace(*tilt_db, count)[:, None] * self._octaves
        aperiodicity = np.clip(
            np.interp(self._hz, [0.0, 800.0, 3000.0, 12000.0], [0.4 * breath, 0.7 * breath, breath, 1.0]) + 0.01,
            0.01,
            1,
        )
        if breath >= 1.0:
            aperiodicity = np.ones_like(self._hz)
        self._parts.append(
            Frames(
                np.asarray(f0_hz, dtype=np.float64),
                log_power + _NEPERS_PER_DB * decibels,
                np.tile(aperiodicity, (count, 1)),
                self.speaker.sample_rate_hz,
            )
        )


def laugh(s: Sketch) -> None:
    """Rhythmic bursts ("ha ha ha"), 4 to 5.5 a second, falling in pitch and level."""
    shape = s.rng.choice(["open", "chuckle", "giggle"], p=[0.5, 0.25, 0.25])
    bursts, rate_hz, height, formant, gain = {
        "open": (int(s.rng.integers(4, 8)), s.between(4.0, 5.2), s.between(1.3, 1.8), s.between(0.97, 1.08), 0.0),
        "chuckle": (int(s.rng.integers(3, 6)), s.between(3.8, 4.8), s.between(0.95, 1.2), s.between(0.88, 0.97), -3.0),
        "giggle": (int(s.rng.integers(5, 10)), s.between(4.8, 5.6), s.between(1.6, 2.1), s.between(1.08, 1.2), 0.0),
    }[shape]
    if s.rng.random() < 0.5:  # a puff of air sets it off
        s.breath(s.curve(s.between(0.06, 0.14), -18.0, -6.0, -14.0), tilt_db=(1.0, 0.0))
    decline_st = s.between(2.0, 6.0)
    for index in range(bursts):
        period_s = s.between(0.93, 1.07) / rate_hz * (1.0 + 0.04 * index)
        voiced_s = period_s * s.between(0.5, 0.62)
        level_db = gain - 1.5 * index + s.between(-1.5, 1.5) - (3.0 if index == 0 else 0.0)
        breath_s = period_s - voiced_s
        s.breath(s.curve(breath_s, level_db - 30.0, level_db - 19.0, level_db - 14.0), tilt_db=(0.5, 0.5))
        st = -decline_st * index / bursts + s.between(-0.7, 0.7)
        top_hz = s.f0_hz * height * 2 ** (st / 12)
        f0_hz = s.curve(voiced_s, top_hz * 0.96, top_hz * 1.05, top_hz * 0.86)
        s.voice(
            f0_hz * (1 + 0.01 * s.rng.normal(size=len(f0_hz))),
            s.curve(voiced_s, level_db - 12.0, level_db, level_db - 2.0, level_db - 18.0),
            breath=s.between(0.2, 0.45),
            formant=(formant, formant * 0.96),
            tilt_db=(0.3, -0.8),
        )
    if shape != "chuckle" and s.rng.random() < 0.4:  # catching breath
        s.silence(0.05)
        s.breath(s.curve(s.between(0.2, 0.35), -28.0, -14.0, -24.0), tilt_db=(1.0, 1.5), formant=(1.0, 1.08))


def sigh(s: Sketch) -> None:
    """A long breath out that darkens and dies away, sometimes with the breath in before it."""
    if s.rng.random() < 0.5:
        inhale_s = s.between(0.25, 0.45)
        s.breath(s.curve(inhale_s, -30.0, -12.0, -20.0), tilt_db=(0.5, 1.5), formant=(1.0, 1.1))
        s.silence(s.between(0.04, 0.12))
    exhale_s = s.between(0.65, 1.4)
    gain_db = s.curve(exhale_s, -26.0, -2.0, -1.0, -5.0, -9.0, -14.0, -19.0, -26.0, -34.0)
    gain_db = gain_db + 1.0 * wander(len(gain_db), 0.12, s.rng)
    start = s.between(1.02, 1.12)
    s.breath(
        gain_db, tilt_db=(s.between(0.0, 1.0), s.between(-5.0, -3.5)), formant=(start, start * s.between(0.78, 0.88))
    )


def gasp(s: Sketch) -> None:
    """A short breath drawn in, rising in level and brightness, stopped abruptly."""
    seconds = s.between(0.2, 0.42)
    low = s.between(-24.0, -16.0)
    gain_db = np.concatenate((s.curve(seconds, low, low * 0.5, -2.0, 0.0), s.curve(0.03, 0.0, -40.0)))
    s.breath(gain_db, tilt_db=(-0.5, s.between(2.0, 3.5)), formant=(s.between(0.9, 1.0), s.between(1.12, 1.25)))
    s.silence(s.between(0.04, 0.12))


def clear_throat(s: Sketch) -> None:
    """One to three low, rough scrapes, sometimes ending in a closed "hm"."""
    pulses = int(s.rng.integers(1, 4))
    for index in range(pulses):
        seconds = s.between(0.14, 0.26) * (1.3 if pulses == 1 else 1.0)
        level_db = s.between(-2.0, 0.0) - 2.0 * index
        s.breath(s.curve(0.03, level_db - 22.0, level_db - 6.0), tilt_db=(-1.0, -1.5), formant=(0.9, 0.9))
        count = len(s.curve(seconds, 0.0, 0.0))
        f0_hz = np.clip(s.between(52.0, 80.0) * (1 + 0.3 * s.rng.normal(size=count)), 45.0, 130.0)
        scrape_db = 8.0 * np.sin(2 * np.pi * s.between(22.0, 38.0) * np.arange(count) * FRAME_S)
        gain_db = (
            s.curve(seconds, level_db - 8.0, level_db, level_db - 1.0, level_db - 4.0, level_db - 20.0) + scrape_db
        )
        s.voice(f0_hz, gain_db, breath=0.9, tilt_db=(-0.5, -2.5), formant=(s.between(0.86, 0.98), s.between(0.8, 0.9)))
        s.silence(s.between(0.04, 0.1))
    if s.rng.random() < 0.4:
        pitch_hz = s.f0_hz * s.between(0.85, 1.0)
        seconds = s.between(0.14, 0.25)
        s.voice(
            s.curve(seconds, pitch_hz * 1.05, pitch_hz * 0.9),
            s.curve(seconds, -16.0, -6.0, -8.0, -22.0),
            breath=0.3,
            nasal=True,
        )


def cry(s: Sketch) -> None:
    """Irregular sobs, high and trembling, with sniffs and staccato breaths in between."""
    sobs = int(s.rng.integers(2, 5))
    height = s.between(1.25, 1.75)
    for index in range(sobs):
        seconds = s.between(0.18, 0.6)
        level_db = s.between(-4.0, 0.0) - 1.0 * index
        count = len(s.curve(seconds, 0.0, 0.0))
        times_s = np.arange(count) * FRAME_S
        tremor_hz = s.between(6.0, 9.0)
        tremor = np.sin(2 * np.pi * tremor_hz * times_s + s.between(0, 6.0))
        fall_st = np.linspace(s.between(0.5, 2.0), -s.between(2.0, 5.0), count)
        contour_st = fall_st + s.between(1.0, 1.7) * tremor + 0.5 * wander(count, 0.08, s.rng)
        f0_hz = s.f0_hz * height * s.between(0.9, 1.1) * 2 ** (contour_st / 12)
        onset_s = s.between(0.05, 0.09)
        s.breath(s.curve(onset_s, level_db - 24.0, level_db - 11.0), tilt_db=(0.5, 0.0))
        gain_db = (
            s.curve(seconds, level_db - 9.0, level_db, level_db - 1.5, level_db - 5.0, level_db - 18.0) + 2.0 * tremor
        )
        s.voice(
            f0_hz,
            gain_db,
            breath=s.between(0.35, 0.6),
            formant=(s.between(0.98, 1.1), s.between(0.9, 1.0)),
            tilt_db=(-0.3, -1.5),
        )
        if index + 1 < sobs or s.rng.random() < 0.5:
            s.silence(s.between(0.03, 0.12))
            for _ in range(int(s.rng.integers(1, 4))):  # a breath in, in little jerks
                s.breath(s.curve(s.between(0.07, 0.14), -32.0, -13.0, -26.0), tilt_db=(1.5, 2.0), formant=(1.05, 1.15))
            s.silence(s.between(0.04, 0.15))


def huff(s: Sketch) -> None:
    """A short sharp breath out, as before or after an annoyed remark."""
    seconds = s.between(0.14, 0.26)
    s.breath(s.curve(seconds, -12.0, 0.0, -6.0, -16.0, -30.0), tilt_db=(-0.5, -3.0), formant=(0.95, 0.85))
