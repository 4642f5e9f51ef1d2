"""Sounds that are not words: laughing, sighing, gasping, clearing the throat, crying.

A `BurstSource` gives one such sound fitting a speaker: `SynthesisedBursts` draws what the table of sounds says
(`sounds`), `RecordedBursts` picks recordings. Knows tag names and sound; nothing of texts.
"""

from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
from scipy.ndimage import gaussian_filter1d

from evoxtral.audio import measures, resample
from evoxtral.audio.levels import bring_to, frame_rms, to_gain
from evoxtral.errors import VoiceError
from evoxtral.tts import sketches, vocoder
from evoxtral.tts.delivery import Samples, fade
from evoxtral.tts.sketches import Sketch, Speaker
from evoxtral.tts.sounds import BURSTS
from evoxtral.tts.vocoder import Array

_AUDIO_SUFFIXES = frozenset((".wav", ".flac", ".ogg", ".opus", ".mp3"))
_CONSIDERED_BURSTS = 6  # recordings drawn for one sound, of which the nearest in pitch is taken
SPEECH_RMS = 0.05  # level of ordinary speech, -26 dBFS; the level of a sound is relative to it
_HUFF_DB = -9.0


def speaker_of(samples: Samples, sample_rate_hz: int) -> Speaker:
    """Measure a speaker in a few seconds of plain speech."""
    frames = vocoder.analyse(samples, sample_rate_hz)
    room = _room_filter(samples)
    voiced = frames.f0_hz > 0
    if not voiced.any():
        return Speaker(sample_rate_hz, 150.0, np.asarray(frames.log_power.mean(axis=0)), room)
    power = np.exp(frames.log_power)
    hz = frames.frequencies_hz

    def band(low_hz: float, high_hz: float) -> Array:
        return np.asarray(power[:, (hz > low_hz) & (hz < high_hz)].mean(axis=1) + 1e-12)

    # An open vowel has its energy around the high first formant: more than below it, and far more than in the hiss.
    openness = np.log(band(600, 1300) / band(150, 480)) + 0.5 * np.log(band(600, 1300) / band(3500, 7000))
    loud = band(100, 4000) > np.quantile(band(100, 4000)[voiced], 0.4)
    openness = gaussian_filter1d(np.where(voiced & loud, openness, openness.min()), 3.0)
    best = int(np.argmax(openness))
    vowel = frames.log_power[max(0, best - 3) : best + 4].mean(axis=0)
    return Speaker(sample_rate_hz, float(np.median(frames.f0_hz[voiced])), np.asarray(vowel), room)


def _room_filter(samples: Samples) -> Array:
    """Shape and level of the noise in the quietest moments, from -78 dB of full scale (inaudible) to -50."""
    size = 512
    window = np.hanning(size)
    moments = np.lib.stride_tricks.sliding_window_view(np.pad(samples, (0, max(0, size - len(samples)))), size)
    power = np.abs(np.fft.rfft(moments[:: size // 4] * window)) ** 2 / np.sum(window**2)
    quietest = np.argsort(power.mean(axis=1))[: max(2, len(power) // 50)]
    spectrum = power[quietest].mean(axis=0) + 1e-12
    level = np.clip(spectrum.mean(), 10**-7.8, 10**-5.0)
    response = np.sqrt(spectrum * level / spectrum.mean())
    return np.asarray(np.roll(np.fft.irfft(response, size), size // 2) * window)


class BurstSource(Protocol):
    """Gives non-verbal sounds."""

    def burst(self, tag: str, speaker: Speaker, rng: np.random.Generator) -> Samples | None:
        """A sound for the canonical tag at the speaker's rate and pitch, levelled relative to `SPEECH_RMS`.

        None where the source has none for that tag.
        """
        ...


class SynthesisedBursts:
    """Non-verbal sounds made from noise and voicing; each draw of `rng` gives another."""

    def burst(self, tag: str, speaker: Speaker, rng: np.random.Generator) -> Samples | None:
        sound = BURSTS.get(tag)
        if sound is None:
            return None
        sketch = Sketch(speaker, rng)
        sound.draw(sketch)
        return _levelled(sketch.sound(), sound.level_db, speaker.sample_rate_hz)


class RecordedBursts:
    """Non-verbal sounds from recordings; a file is read, and its pitch measured, when it is first considered.

    Args:
        recordings: a folder with one folder of audio files for each tag (`laughs/`, `clears throat/`, ...), or
            (tag, mono samples, sample rate in Hz) triples.

    Raises:
        VoiceError: nothing usable was given.
    """

    def __init__(self, recordings: Path | Iterable[tuple[str, Samples, int]]) -> None:
        self._by_tag: dict[str, list[_RecordedBurst]] = {}
        if isinstance(recordings, Path):
            for tag in BURSTS:
                files = (
                    path for path in sorted((recordings / tag).glob("*")) if path.suffix.lower() in _AUDIO_SUFFIXES
                )
                self._by_tag[tag] = [_RecordedBurst(path) for path in files]
        else:
            for tag, samples, rate_hz in recordings:
                self._by_tag.setdefault(tag, []).append(_RecordedBurst((samples, rate_hz)))
        if not any(self._by_tag.values()):
            raise VoiceError(
                f"no recordings of non-verbal sounds in {recordings}", "put files into folders named by tag"
            )

    def burst(self, tag: str, speaker: Speaker, rng: np.random.Generator) -> Samples | None:
        known = self._by_tag.get(tag)
        if not known:
            return None
        # Laughs and sobs lie about a fifth above the speaking pitch. Unvoiced sounds (pitch 0) fit everybody.
        wanted = np.log(1.4 * speaker.f0_hz)
        drawn = [known[int(index)] for index in rng.integers(len(known), size=_CONSIDERED_BURSTS)]
        chosen = min(drawn, key=lambda item: abs(np.log(item.pitch_hz) - wanted) if item.pitch_hz > 0 else 0.0)
        samples, rate_hz = chosen.sound
        level_db = BURSTS[tag].level_db if tag in BURSTS else 0.0
        return _levelled(resample(samples, rate_hz, speaker.sample_rate_hz), level_db, speaker.sample_rate_hz)


class _RecordedBurst:
    def __init__(self, source: Path | tuple[Samples, int]) -> None:
        self._source = source

    @cached_property
    def sound(self) -> tuple[Samples, int]:
        """Mono samples and their rate in Hz."""
        if isinstance(self._source, Path):
            import soundfile

            samples, rate_hz = soundfile.read(self._source, dtype="float32", always_2d=True)
            return samples.mean(axis=1), int(rate_hz)
        return self._source

    @cached_property
    def pitch_hz(self) -> float:
        return measures.median_f0_hz(*self.sound)


def _levelled(samples: Samples, level_db: float, sample_rate_hz: int) -> Samples:
    samples = fade(samples, sample_rate_hz, 0.008, 0.03)
    # The level of the loud part: silences between the bursts of a laugh do not count.
    power = np.sort(frame_rms(samples, max(1, sample_rate_hz // 50)) ** 2)
    level = float(np.sqrt(power[len(power) // 2 :].mean())) if len(power) else 0.0
    if level <= 0:
        return samples
    return np.asarray(samples * (SPEECH_RMS * to_gain(level_db) / level), dtype=np.float32)


def huff(speaker: Speaker, rng: np.random.Generator) -> Samples:
    """A short sharp breath out, as before or after an annoyed remark; levelled relative to `SPEECH_RMS`."""
    sketch = Sketch(speaker, rng)
    sketches.huff(sketch)
    return bring_to(fade(sketch.sound(), speaker.sample_rate_hz, 0.006, 0.03), SPEECH_RMS * to_gain(_HUFF_DB))
