"""How a phrase is delivered: turns plain speech into excited, sad, whispered, shouted, stammered... speech.

`deliver` is a chain of effects: on the frames of the vocoder, then on the samples that these become. Each does what one
or two fields of a `Manner` say, draws what is random about it, and keeps the word times right. Knows sound; nothing of
tags, texts, engines or voices.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfilt

from evoxtral.audio import measures
from evoxtral.audio.levels import bring_to, rms, to_gain
from evoxtral.audio.measures import FRAME_S
from evoxtral.tts import vocoder
from evoxtral.tts.manner import NEUTRAL, Manner
from evoxtral.tts.vocoder import Frames

Samples = NDArray[np.float32]
Span = tuple[float, float]
Rng = np.random.Generator
_MAX_EXCURSION_ST = 8.0
_NEPERS_PER_DB = np.log(10.0) / 10.0  # of power


def deliver(
    samples: Samples,
    sample_rate_hz: int,
    words: Sequence[Span],
    manner: Manner,
    rng: Rng,
    *,
    emphasised: Collection[int] = (),
    lengthened: Collection[int] = (),
) -> tuple[Samples, list[Span]]:
    """Speak a phrase in a manner.

    Args:
        samples: plain speech of the phrase, mono.
        words: (start_s, end_s) of each word in `samples`.
        emphasised: indices of the stressed words (longer, louder, higher).
        lengthened: indices of words whose end is drawn out in hesitation.

    Returns:
        The delivered samples and the words' new times.
    """
    if manner == NEUTRAL and not emphasised and not lengthened:
        return samples.astype(np.float32), list(words)
    frames = vocoder.analyse(samples, sample_rate_hz)
    shaped, times_out_s = _shape(frames, words, manner, rng, emphasised, lengthened)
    times_in_s = np.arange(len(frames)) * FRAME_S
    spans = [
        (float(np.interp(start, times_in_s, times_out_s)), float(np.interp(end, times_in_s, times_out_s)))
        for start, end in words
    ]
    said = _Said(vocoder.synthesise(shaped), spans, shaped, rms(samples))
    for effect in _ON_SAMPLES:
        said = effect(said, manner, rng)
    return said.samples, said.spans


# --- on frames ---------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Shape:
    """Frames under way: stretched in time, and changed by one effect after another.

    Attributes:
        source_f0_hz: pitch of the plain speech, one value an input frame.
        position: input frame of each output frame.
        out_times_s: time in the output of each input frame.
        log_power, aperiodicity, f0_hz: as in `Frames`.
        hz: frequencies of the bins.
        stress, accent: how much each frame is stressed, or the nucleus of a syllable, 0..1.
        voiced: whether it had voice.
        gain_db: change of level, one value a frame.
        tilt_db: change of level, one value a bin.
    """

    source_f0_hz: NDArray[np.float64]
    position: NDArray[np.float64]
    out_times_s: NDArray[np.float64]
    words: Sequence[Span]
    log_power: NDArray[np.float64]
    aperiodicity: NDArray[np.float64]
    f0_hz: NDArray[np.float64]
    hz: NDArray[np.float64]
    stress: NDArray[np.float64]
    accent: NDArray[np.float64]
    voiced: NDArray[np.bool_]
    gain_db: NDArray[np.float64]
    tilt_db: NDArray[np.float64]


def _shape(
    frames: Frames,
    words: Sequence[Span],
    manner: Manner,
    rng: Rng,
    emphasised: Collection[int],
    lengthened: Collection[int],
) -> tuple[Frames, NDArray[np.float64]]:
    """Frames of the delivered phrase and, for each input frame, its time in the output."""
    shape = _stretched(frames, words, manner, rng, emphasised, lengthened)
    for effect in _ON_FRAMES:
        effect(shape, manner, rng)
    octaves = np.log2(np.clip(shape.hz, 150.0, 5000.0) / 1000.0)
    # Stressed words are also brighter.
    decibels = shape.gain_db[:, None] + shape.tilt_db + 1.2 * shape.stress[:, None] * octaves
    shaped = Frames(shape.f0_hz, shape.log_power + _NEPERS_PER_DB * decibels, shape.aperiodicity, frames.sample_rate_hz)
    return shaped, shape.out_times_s


def _stretched(
    frames: Frames,
    words: Sequence[Span],
    manner: Manner,
    rng: Rng,
    emphasised: Collection[int],
    lengthened: Collection[int],
) -> _Shape:
    """The frames at their new times: rate, unsteadiness, longer stressed words and drawn-out ends."""
    n = len(frames)
    stress = np.zeros(n)
    for index in emphasised:
        stress += _bump(n, words[index], FRAME_S)
    stress = np.clip(stress, 0.0, 1.0)

    stretch = np.full(n, 1.0 / manner.rate)
    if manner.unsteady > 0:
        stretch *= np.exp(manner.unsteady * wander(n, 0.35, rng))
    stretch *= 1.0 + rng.uniform(0.4, 0.7) * stress
    for index in lengthened:
        start, end = words[index]
        stretch *= 1.0 + rng.uniform(0.5, 1.1) * _bump(n, ((start + end) / 2, end), FRAME_S)
    out_times_s = np.concatenate(([0.0], np.cumsum(stretch)[:-1])) * FRAME_S
    total = max(1, round((out_times_s[-1] + FRAME_S) / FRAME_S))
    position = np.interp(np.arange(total) * FRAME_S, out_times_s, np.arange(n))

    low = np.floor(position).astype(int)
    high = np.minimum(low + 1, n - 1)
    share = (position - low)[:, None]
    log_power = frames.log_power[low] * (1.0 - share) + frames.log_power[high] * share
    nearest = np.minimum(np.round(position).astype(int), n - 1)
    aperiodicity = frames.aperiodicity[nearest]
    stress = np.interp(position, np.arange(n), stress)
    voiced = frames.f0_hz[nearest] > 0

    return _Shape(
        source_f0_hz=frames.f0_hz,
        position=position,
        out_times_s=out_times_s,
        words=words,
        log_power=log_power,
        aperiodicity=aperiodicity,
        f0_hz=np.zeros(total),
        hz=frames.frequencies_hz,
        stress=stress,
        accent=_nuclei(log_power, voiced),
        voiced=voiced,
        gain_db=np.zeros(total),
        tilt_db=np.zeros(len(frames.frequencies_hz)),
    )


def _loudness(shape: _Shape, manner: Manner, rng: Rng) -> None:
    """Syllable nuclei and stressed words stand out."""
    shape.gain_db = 1.6 * manner.accent_st * (shape.accent - 0.3) + 5.0 * shape.stress


def _melody(shape: _Shape, manner: Manner, rng: Rng) -> None:
    """The new pitch, and the level that goes along with its tremor; a whisper has none."""
    if shape.voiced.any() and not manner.whisper:
        shape.f0_hz, wobble_db = _pitch(shape, manner, rng)
        shape.gain_db = shape.gain_db + wobble_db


def _formants(shape: _Shape, manner: Manner, rng: Rng) -> None:
    """Formants moved by a factor."""
    if manner.formant == 1.0:
        return
    last = len(shape.hz) - 1
    warped = np.clip(np.arange(len(shape.hz)) / manner.formant, 0, last)
    below = np.floor(warped).astype(int)
    above = np.minimum(below + 1, last)
    part = warped - below
    shape.log_power = shape.log_power[:, below] * (1 - part) + shape.log_power[:, above] * part


def _glottis(shape: _Shape, manner: Manner, rng: Rng) -> None:
    """Spectral tilt, breath, and the open glottis of a whisper."""
    hz = shape.hz
    shape.tilt_db = manner.tilt_db * np.log2(np.clip(hz, 150.0, 5000.0) / 1000.0)
    if manner.whisper:
        # Weak below the first formant, and vowels no louder than consonants.
        shape.tilt_db = shape.tilt_db + np.interp(
            hz, [0.0, 300.0, 900.0, 1800.0, 4000.0, hz[-1]], [-24.0, -20.0, -7.0, 0.0, 1.5, 0.0]
        )
        shape.gain_db = shape.gain_db - 7.0 * gaussian_filter1d(shape.voiced.astype(float), 2.0)
        shape.aperiodicity = np.ones_like(shape.aperiodicity)
    elif manner.breath > 0:
        weight = manner.breath * np.interp(hz, [0.0, 600.0, 2500.0, hz[-1]], [0.0, 0.1, 1.0, 1.0])
        shape.aperiodicity = shape.aperiodicity + (1.0 - shape.aperiodicity) * weight


_ON_FRAMES = (_loudness, _melody, _formants, _glottis)


def _pitch(shape: _Shape, manner: Manner, rng: Rng) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The new pitch, and the level in dB that goes along with its tremor."""
    total = len(shape.position)
    f0_in_hz, voiced = shape.source_f0_hz, shape.voiced
    at = np.flatnonzero(f0_in_hz > 0)
    semitones = 12.0 * np.log2(f0_in_hz[at])
    middle = float(np.median(semitones))
    contour = np.interp(shape.position, at, semitones - middle)
    # Octave errors of the tracker would turn into yelps once the range is widened.
    contour = np.clip(contour, -9.0, 9.0)
    if manner.smooth_s > 0:
        contour = gaussian_filter1d(contour, manner.smooth_s / FRAME_S)
    # Lively base voices already reach far: a wider range must not become a siren.
    contour = _MAX_EXCURSION_ST * np.tanh(contour * manner.pitch_range / _MAX_EXCURSION_ST) + manner.pitch_st
    contour += manner.fall_st * (0.5 - np.linspace(0.0, 1.0, total))
    if manner.word_fall_st > 0:
        seconds = np.arange(total) * FRAME_S
        in_times_s = np.arange(len(f0_in_hz)) * FRAME_S
        falls = np.zeros(total)
        for start, end in shape.words:
            a, b = np.interp((start, end), in_times_s, shape.out_times_s)
            inside = (seconds >= a) & (seconds < b)
            falls[inside] = 0.5 - np.linspace(0.0, 1.0, int(inside.sum()))
        contour += manner.word_fall_st * gaussian_filter1d(falls, 4.0)
    contour += manner.accent_st * (shape.accent - 0.3) + 3.5 * shape.stress
    if manner.jitter_st > 0:
        contour += manner.jitter_st * wander(total, 0.12, rng)
    wobble_db = np.zeros(total)
    if manner.tremor_st > 0:
        speed_hz = manner.tremor_hz * (1.0 + 0.06 * wander(total, 0.4, rng))
        phase = 2 * np.pi * np.cumsum(speed_hz) * FRAME_S + rng.uniform(0, 2 * np.pi)
        contour += manner.tremor_st * np.sin(phase)
        wobble_db = 1.6 * manner.tremor_st * np.sin(phase + 0.6)
    if manner.creak > 0:
        last = np.flatnonzero(voiced)[-1]
        tail = np.clip((np.arange(total) - (last - 0.3 / FRAME_S)) / (0.3 / FRAME_S), 0.0, 1.0)
        contour -= 5.0 * manner.creak * tail**2
        wobble_db -= 4.0 * manner.creak * tail**2
    if manner.rough > 0:
        contour += 0.45 * manner.rough * rng.normal(0.0, 1.0, total)
    f0_hz = 2.0 ** ((contour + middle) / 12.0)
    return np.where(voiced, np.clip(f0_hz, 45.0, 900.0), 0.0), wobble_db


def _bump(n: int, span: Span, frame_s: float) -> NDArray[np.float64]:
    """1 inside the span with soft shoulders of 40 ms, 0 elsewhere."""
    seconds = np.arange(n) * frame_s
    inside = ((seconds >= span[0]) & (seconds < span[1])).astype(float)
    return np.asarray(gaussian_filter1d(inside, 0.02 / frame_s))


def wander(n: int, scale_s: float, rng: Rng) -> NDArray[np.float64]:
    """Smooth random curve of unit variance that forgets itself within about `scale_s`."""
    sigma = max(1.0, scale_s / FRAME_S / 2.5)
    pad = int(4 * sigma)
    curve = gaussian_filter1d(rng.normal(0.0, 1.0, n + 2 * pad), sigma)[pad : pad + n]
    # The standard deviation of Gaussian-smoothed white noise.
    return np.asarray(np.clip(curve * np.sqrt(2.0 * sigma * np.sqrt(np.pi)), -2.5, 2.5))


def _nuclei(log_power: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
    """How much each frame stands out as a syllable nucleus, 0..1."""
    level_db = 10.0 * np.log10(np.exp(log_power).mean(axis=1) + 1e-12)
    level_db = np.maximum(level_db, np.max(level_db) - 50.0)
    local = gaussian_filter1d(level_db, 0.03 / FRAME_S) - gaussian_filter1d(level_db, 0.25 / FRAME_S)
    standing_out = np.clip(local / 6.0, 0.0, 1.0) * voiced
    return np.asarray(gaussian_filter1d(standing_out, 0.03 / FRAME_S))


# --- on samples --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Said:
    """Samples under way, the words' times in them, the frames that they were made of and the plain speech's level."""

    samples: Samples
    spans: list[Span]
    frames: Frames
    plain_rms: float

    @property
    def sample_rate_hz(self) -> int:
        return self.frames.sample_rate_hz


def _roughened(said: _Said, manner: Manner, rng: Rng) -> _Said:
    """Every other glottal pulse weakened: amplitude modulation at half the pitch."""
    if manner.rough <= 0 and manner.creak <= 0:
        return said
    samples, frames = said.samples, said.frames
    seconds = np.arange(len(samples)) / frames.sample_rate_hz
    frame_times = np.arange(len(frames)) * FRAME_S
    f0_hz = np.interp(seconds, frame_times, frames.f0_hz)
    phase = np.pi * np.cumsum(f0_hz) / frames.sample_rate_hz  # half of 2 pi f0: the subharmonic
    depth = np.full(len(frames), 0.55 * manner.rough)
    at = np.flatnonzero(frames.f0_hz > 0)
    if manner.creak > 0 and len(at):
        tail = np.clip((np.arange(len(frames)) - (at[-1] - 0.25 / FRAME_S)) / (0.25 / FRAME_S), 0.0, 1.0)
        depth = np.maximum(depth, 0.7 * manner.creak * tail)
    depth = np.interp(seconds, frame_times, gaussian_filter1d(depth * (frames.f0_hz > 0), 2.0))
    return replace(said, samples=(samples * (1.0 - depth * (0.5 + 0.5 * np.cos(phase)))).astype(np.float32))


def _levelled(said: _Said, manner: Manner, rng: Rng) -> _Said:
    """At the level of the plain speech, but for the manner's gain."""
    return replace(said, samples=bring_to(said.samples, said.plain_rms * to_gain(manner.gain_db)))


def _pressed(said: _Said, manner: Manner, rng: Rng) -> _Said:
    """Soft clipping that keeps the RMS: a pressed, compressed voice with more upper harmonics."""
    level = rms(said.samples)
    if manner.drive <= 0 or level <= 0:
        return said
    bent = np.tanh(said.samples * (manner.drive * 0.4 / level)).astype(np.float32)
    # Products of the clipping below the voice would thump.
    sos = butter(2, 0.004, "highpass", output="sos")
    return replace(said, samples=bring_to(np.asarray(sosfilt(sos, bent), dtype=np.float32), level))


def _quiet_place(samples: Samples, sample_rate_hz: int, at_s: float) -> int:
    """The quietest sample position within 20 ms of `at_s`."""
    reach = round(0.02 * sample_rate_hz)
    width = max(8, round(0.004 * sample_rate_hz))
    first = max(0, round(at_s * sample_rate_hz) - reach)
    window = np.abs(samples[first : first + 2 * reach + 1])
    if len(window) <= width:
        return min(first, len(samples))
    smooth = np.convolve(window, np.ones(width) / width, mode="valid")
    return first + int(np.argmin(smooth)) + width // 2


def fade(samples: Samples, sample_rate_hz: int, in_s: float, out_s: float) -> Samples:
    """The same sound with raised-cosine fades at its ends."""
    faded = samples.astype(np.float32, copy=True)
    for seconds, side in ((in_s, slice(None)), (out_s, slice(None, None, -1))):
        count = min(round(seconds * sample_rate_hz), len(faded))
        if count > 0:
            faded[side][:count] *= (0.5 - 0.5 * np.cos(np.pi * (np.arange(count) + 0.5) / count)).astype(np.float32)
    return faded


def _insert(samples: Samples, sample_rate_hz: int, at: int, piece: Samples, *, fade_s: float = 0.006) -> Samples:
    before = fade(samples[:at], sample_rate_hz, 0.0, fade_s)
    after = fade(samples[at:], sample_rate_hz, 0.7 * fade_s, 0.0)
    return np.concatenate((before, piece, after))


def _shift(spans: list[Span], first: int, by_s: float) -> list[Span]:
    return [(a + by_s, b + by_s) if index >= first else (a, b) for index, (a, b) in enumerate(spans)]


def _broken_up(said: _Said, manner: Manner, rng: Rng) -> _Said:
    """Short silences before some words."""
    if manner.micro_pause <= 0:
        return said
    samples, spans, sample_rate_hz = said.samples, said.spans, said.sample_rate_hz
    chosen = [i for i in range(1, len(spans)) if rng.random() < manner.micro_pause and spans[i][0] > spans[i - 1][0]]
    for index in reversed(chosen):
        silence = np.zeros(round(rng.uniform(0.06, 0.2) * sample_rate_hz), np.float32)
        at = _quiet_place(samples, sample_rate_hz, spans[index][0])
        samples = _insert(samples, sample_rate_hz, at, silence, fade_s=0.025)
        spans = _shift(spans, index, len(silence) / sample_rate_hz)
    return replace(said, samples=samples, spans=spans)


def _stammered(said: _Said, manner: Manner, rng: Rng) -> _Said:
    """The onset of some words repeated: the consonant and the first moment of the vowel."""
    if manner.stammer <= 0:
        return said
    samples, spans, sample_rate_hz = said.samples, list(said.spans), said.sample_rate_hz
    usable = [i for i, (a, b) in enumerate(spans) if b - a > 0.12]
    if not usable:
        return said
    # The first word stammers most often, as speakers do; the others anywhere.
    chosen = {usable[0]} if rng.random() < 0.8 else {int(rng.choice(usable))}
    while len(chosen) < min(manner.stammer, len(usable)):
        chosen.add(int(rng.choice(usable)))
    for index in sorted(chosen, reverse=True):
        start_s, end_s = spans[index]
        at = _quiet_place(samples, sample_rate_hz, start_s) if index else round(start_s * sample_rate_hz)
        length = min(_onset_s(samples, sample_rate_hz, at, end_s) + rng.uniform(0.0, 0.03), 0.6 * (end_s - start_s))
        onset = samples[at : at + round(length * sample_rate_hz)]
        pieces: list[Samples] = []
        for _ in range(int(rng.integers(1, 4))):
            level = np.float32(rng.uniform(0.75, 1.0))
            pieces.append(fade(onset, sample_rate_hz, 0.004, 0.012) * level)
            pieces.append(np.zeros(round(rng.uniform(0.04, 0.14) * sample_rate_hz), np.float32))
        repeats = np.concatenate(pieces)
        samples = _insert(samples, sample_rate_hz, at, repeats)
        # The repeats belong to the stammered word.
        by_s = len(repeats) / sample_rate_hz
        spans = _shift(spans, index + 1, by_s)
        spans[index] = (start_s, end_s + by_s)
    return replace(said, samples=samples, spans=spans)


def _onset_s(samples: Samples, sample_rate_hz: int, at: int, end_s: float) -> float:
    """Length of the onset that starts at sample `at`: up to 60 ms into its first vowel."""
    word = samples[at : round(end_s * sample_rate_hz)]
    voiced = np.flatnonzero(measures.f0_track(word, sample_rate_hz) > 0)
    return (float(voiced[0]) * FRAME_S if len(voiced) else 0.06) + 0.06


_ON_SAMPLES = (_roughened, _levelled, _pressed, _broken_up, _stammered)
