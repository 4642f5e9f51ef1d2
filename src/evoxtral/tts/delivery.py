"""How a phrase is delivered: turns plain speech into excited, sad, whispered, shouted, stammered... speech.

A `Manner` says in physical terms what is done (rate, pitch, tilt, breath, roughness, ...); `manner_for` draws one
for an emotion and a delivery tag, with strengths that vary a little from draw to draw; `deliver` applies it to the
samples and keeps the word times right. Knows tag names and sound; nothing of texts, engines or voices.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfilt

from evoxtral.audio import measures
from evoxtral.audio.levels import bring_to, frame_rms, rms, to_gain
from evoxtral.audio.measures import FRAME_S
from evoxtral.errors import VoiceError
from evoxtral.tts import vocoder
from evoxtral.tts.vocoder import Frames

Samples = NDArray[np.float32]
Span = tuple[float, float]
Rng = np.random.Generator
_MAX_EXCURSION_ST = 8.0
_NEPERS_PER_DB = np.log(10.0) / 10.0  # of power


@dataclass(frozen=True, slots=True)
class Manner:
    """What is done to plain speech; the defaults do nothing.

    Attributes:
        rate: speaking rate relative to the plain speech.
        pitch_st: shift of the pitch in semitones.
        pitch_range: factor on the deviation of the pitch (in semitones) from its median.
        fall_st: fall of the pitch from the start of the phrase to its end.
        word_fall_st: fall of the pitch within each word.
        smooth_s: time constant over which the contour is smoothed.
        gain_db: change of level.
        tilt_db: change of spectral tilt per octave, around 1 kHz.
        breath: share of voicing replaced by breath noise above 2 kHz, 0..1.
        tremor_st, tremor_hz: depth and rate of a pitch wobble (the level wobbles along).
        jitter_st: slow random wandering of the pitch.
        rough: strength of irregular, subharmonic voicing, 0..1.
        drive: strength of soft clipping, 0..1.
        accent_st: how much syllable nuclei stand out in pitch (and, in proportion, in level).
        unsteady: random variation of the rate, as a share of it.
        micro_pause: probability of a short break before a word.
        creak: how far the voice sinks into creak at the end of the phrase, 0..1.
        formant: factor on the formant frequencies.
        whisper: no voicing at all.
        stammer: number of words whose onset is repeated.
    """

    rate: float = 1.0
    pitch_st: float = 0.0
    pitch_range: float = 1.0
    fall_st: float = 0.0
    word_fall_st: float = 0.0
    smooth_s: float = 0.0
    gain_db: float = 0.0
    tilt_db: float = 0.0
    breath: float = 0.0
    tremor_st: float = 0.0
    tremor_hz: float = 6.0
    jitter_st: float = 0.0
    rough: float = 0.0
    drive: float = 0.0
    accent_st: float = 0.0
    unsteady: float = 0.0
    micro_pause: float = 0.0
    creak: float = 0.0
    formant: float = 1.0
    whisper: bool = False
    stammer: int = 0


NEUTRAL = Manner()

# Fields of `Manner`, each with its value or the range from which it is drawn.
_Ranges = Mapping[str, float | tuple[float, float]]
_PLAIN: _Ranges = {"rate": (0.96, 1.04), "pitch_st": (-0.4, 0.4), "pitch_range": (0.92, 1.08)}
_EMOTIONS: Mapping[str, _Ranges] = {
    "excited": {
        "rate": (1.12, 1.28),
        "pitch_st": (3.0, 5.5),
        "pitch_range": (1.5, 2.0),
        "gain_db": (2.0, 4.5),
        "tilt_db": (0.8, 1.8),
        "accent_st": (1.0, 2.5),
    },
    "sad": {
        "rate": (0.68, 0.80),
        "pitch_st": (-3.0, -1.5),
        "pitch_range": (0.4, 0.6),
        "fall_st": (1.5, 3.0),
        "word_fall_st": (0.8, 1.8),
        "smooth_s": 0.04,
        "gain_db": (-7.0, -4.0),
        "tilt_db": (-3.5, -2.0),
        "breath": (0.2, 0.45),
        "tremor_st": (0.0, 0.2),
        "tremor_hz": (4.5, 5.5),
        "creak": (0.2, 0.7),
    },
    "angry": {
        "rate": (1.0, 1.12),
        "pitch_st": (0.5, 2.5),
        "pitch_range": (1.15, 1.5),
        "gain_db": (5.0, 8.0),
        "tilt_db": (2.4, 3.6),
        "rough": (0.25, 0.55),
        "drive": (0.5, 0.9),
        "accent_st": (2.0, 3.5),
        "formant": (1.0, 1.03),
    },
    "nervous": {
        "rate": (1.08, 1.2),
        "pitch_st": (1.5, 3.0),
        "pitch_range": (0.8, 1.0),
        "gain_db": (-3.0, -0.5),
        "tilt_db": (-0.6, 0.4),
        "breath": (0.15, 0.35),
        "tremor_st": (0.9, 1.4),
        "tremor_hz": (6.0, 8.0),
        "jitter_st": (0.4, 0.9),
        "unsteady": (0.15, 0.3),
        "micro_pause": (0.15, 0.35),
    },
    "calm": {
        "rate": (0.8, 0.9),
        "pitch_st": (-2.0, -0.8),
        "pitch_range": (0.45, 0.65),
        "smooth_s": 0.08,
        "gain_db": (-4.0, -2.0),
        "tilt_db": (-1.5, -0.7),
        "breath": (0.02, 0.1),
    },
    "frustrated": {
        "rate": (0.92, 1.04),
        "pitch_st": (-1.0, 0.5),
        "pitch_range": (0.9, 1.2),
        "fall_st": (3.5, 5.5),
        "gain_db": (1.5, 4.0),
        "tilt_db": (1.0, 2.0),
        "rough": (0.45, 0.75),
        "accent_st": (1.8, 3.0),
        "creak": (0.5, 1.0),
    },
    "tearful": {  # the words after [crying]; not a tag of its own
        "rate": (0.78, 0.9),
        "pitch_st": (0.5, 2.5),
        "pitch_range": (0.7, 1.0),
        "fall_st": (0.5, 1.5),
        "gain_db": (-4.0, -1.5),
        "tilt_db": (-2.0, -0.8),
        "breath": (0.3, 0.5),
        "tremor_st": (0.9, 1.5),
        "tremor_hz": (4.5, 6.0),
        "jitter_st": (0.8, 1.4),
        "unsteady": (0.15, 0.3),
        "micro_pause": (0.1, 0.25),
    },
}


def _emotion_manner(emotion: str | None, rng: Rng) -> Manner:
    if emotion is None:
        # No two takes are alike; and half of the plain ones go through the vocoder too, so that its traces do not
        # tell a model trained on this speech where tags are.
        ranges = _PLAIN if rng.random() >= 0.5 else {}
    elif emotion in _EMOTIONS:
        ranges = _EMOTIONS[emotion]
    else:
        raise VoiceError(f"there is no way of speaking called {emotion!r}")
    drawn: dict[str, Any] = {name: _draw(value, rng) for name, value in ranges.items()}
    return replace(NEUTRAL, **drawn)


def _draw(value: float | tuple[float, float], rng: Rng) -> float:
    return float(rng.uniform(*value)) if isinstance(value, tuple) else value


def _with_delivery(manner: Manner, delivery: str | None, rng: Rng) -> Manner:
    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    match delivery:
        case None:
            return manner
        case "whispers":
            # Loudness, tilt and pitch of the emotion have no voice to act on; its timing stays.
            return replace(
                manner,
                whisper=True,
                rate=manner.rate * between(0.86, 0.97),
                gain_db=between(-12.0, -8.0) + 0.4 * manner.gain_db,
                tilt_db=0.4 * manner.tilt_db,
                formant=between(1.03, 1.09),
                rough=0.0,
                drive=0.0,
                creak=0.0,
            )
        case "shouts":
            return replace(
                manner,
                rate=manner.rate * between(0.88, 0.96),
                pitch_st=max(manner.pitch_st, 0.0) + between(5.5, 8.5),
                pitch_range=manner.pitch_range * between(1.0, 1.25),
                gain_db=between(8.0, 11.0),
                tilt_db=between(3.0, 4.2),
                breath=0.0,
                drive=between(0.6, 1.0),
                rough=max(manner.rough, between(0.0, 0.2)),
                accent_st=manner.accent_st + between(0.5, 1.5),
                formant=between(1.03, 1.07),
            )
        case "stammers":
            return replace(
                manner,
                stammer=int(rng.integers(1, 4)),
                unsteady=max(manner.unsteady, between(0.05, 0.12)),
                jitter_st=max(manner.jitter_st, between(0.1, 0.3)),
            )
    raise VoiceError(f"there is no way of speaking called {delivery!r}")


def manner_for(emotion: str | None, delivery: str | None, rng: Rng) -> Manner:
    """Draw how a phrase in the scope of these canonical tags is spoken.

    Raises:
        VoiceError: a name is not one of the emotion or delivery tags.
    """
    return _with_delivery(_emotion_manner(emotion, rng), delivery, rng)


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
    spoken = vocoder.synthesise(shaped)
    if manner.rough > 0 or manner.creak > 0:
        spoken = _roughen(spoken, shaped, manner)
    spoken = bring_to(spoken, rms(samples) * to_gain(manner.gain_db))
    if manner.drive > 0:
        spoken = _drive(spoken, manner.drive)
    times_in_s = np.arange(len(frames)) * FRAME_S
    spans = [
        (float(np.interp(start, times_in_s, times_out_s)), float(np.interp(end, times_in_s, times_out_s)))
        for start, end in words
    ]
    if manner.micro_pause > 0:
        spoken, spans = _break_up(spoken, sample_rate_hz, spans, manner.micro_pause, rng)
    if manner.stammer > 0:
        spoken, spans = _stammer(spoken, sample_rate_hz, spans, manner.stammer, rng)
    return spoken, spans


def restyle(samples: Samples, sample_rate_hz: int, tags: Sequence[str], seed: int) -> Samples:
    """Deliver a recording of plain speech with emotion and delivery tags, such as `["sad", "whispers"]`.

    Word places, which stammers and micro-pauses need, are guessed from its pauses.

    Raises:
        VoiceError: a tag is not the canonical name of an emotion or delivery.
    """
    rng = np.random.default_rng(seed)
    deliveries = [tag for tag in tags if tag in ("whispers", "shouts", "stammers")]
    emotions = [tag for tag in tags if tag not in deliveries]
    manner = manner_for(emotions[-1] if emotions else None, deliveries[-1] if deliveries else None, rng)
    return deliver(samples, sample_rate_hz, sounding_runs(samples, sample_rate_hz), manner, rng)[0]


def sounding_runs(samples: Samples, sample_rate_hz: int, *, min_gap_s: float = 0.06) -> list[Span]:
    """Stretches of sound between silences of at least `min_gap_s`: a stand-in where word times are unknown."""
    hop = round(0.01 * sample_rate_hz)
    level = frame_rms(samples, hop)
    if len(level) == 0:
        return []
    sounding = np.flatnonzero(level > max(0.05 * float(np.max(level)), 1e-4))
    if len(sounding) == 0:
        return []
    breaks = np.flatnonzero(np.diff(sounding) * hop > min_gap_s * sample_rate_hz)
    firsts = sounding[np.concatenate(([0], breaks + 1))]
    lasts = sounding[np.concatenate((breaks, [len(sounding) - 1]))] + 1
    return [
        (float(a * hop / sample_rate_hz), float(b * hop / sample_rate_hz)) for a, b in zip(firsts, lasts, strict=True)
    ]


# --- on frames ---------------------------------------------------------------------------------------------------


def _shape(
    frames: Frames,
    words: Sequence[Span],
    manner: Manner,
    rng: Rng,
    emphasised: Collection[int],
    lengthened: Collection[int],
) -> tuple[Frames, NDArray[np.float64]]:
    """Frames of the delivered phrase and, for each input frame, its time in the output."""
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

    accent = _nuclei(log_power, voiced)
    gain_db = 1.6 * manner.accent_st * (accent - 0.3) + 5.0 * stress
    if voiced.any() and not manner.whisper:
        f0_hz, wobble = _pitch(frames.f0_hz, position, out_times_s, voiced, words, manner, rng, accent, stress)
        gain_db = gain_db + wobble
    else:
        f0_hz = np.zeros(total)

    hz = frames.frequencies_hz
    octaves = np.log2(np.clip(hz, 150.0, 5000.0) / 1000.0)
    tilt = manner.tilt_db * octaves
    if manner.formant != 1.0:
        warped = np.clip(np.arange(len(hz)) / manner.formant, 0, len(hz) - 1)
        below = np.floor(warped).astype(int)
        above = np.minimum(below + 1, len(hz) - 1)
        part = warped - below
        log_power = log_power[:, below] * (1 - part) + log_power[:, above] * part
    if manner.whisper:
        # An open glottis: weak below the first formant, and vowels no louder than consonants.
        tilt = tilt + np.interp(hz, [0.0, 300.0, 900.0, 1800.0, 4000.0, hz[-1]], [-24.0, -20.0, -7.0, 0.0, 1.5, 0.0])
        gain_db = gain_db - 7.0 * gaussian_filter1d(voiced.astype(float), 2.0)
        aperiodicity = np.ones_like(aperiodicity)
    elif manner.breath > 0:
        weight = manner.breath * np.interp(hz, [0.0, 600.0, 2500.0, hz[-1]], [0.0, 0.1, 1.0, 1.0])
        aperiodicity = aperiodicity + (1.0 - aperiodicity) * weight
    # Stressed words are also brighter.
    log_power = log_power + _NEPERS_PER_DB * (gain_db[:, None] + tilt + 1.2 * stress[:, None] * octaves)
    return Frames(f0_hz, log_power, aperiodicity, frames.sample_rate_hz), out_times_s


def _pitch(
    f0_in_hz: NDArray[np.float64],
    position: NDArray[np.float64],
    out_times_s: NDArray[np.float64],
    voiced: NDArray[np.bool_],
    words: Sequence[Span],
    manner: Manner,
    rng: Rng,
    accent: NDArray[np.float64],
    stress: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The new pitch, and the level in dB that goes along with its tremor."""
    total = len(position)
    at = np.flatnonzero(f0_in_hz > 0)
    semitones = 12.0 * np.log2(f0_in_hz[at])
    middle = float(np.median(semitones))
    contour = np.interp(position, at, semitones - middle)
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
        for start, end in words:
            a, b = np.interp((start, end), in_times_s, out_times_s)
            inside = (seconds >= a) & (seconds < b)
            falls[inside] = 0.5 - np.linspace(0.0, 1.0, int(inside.sum()))
        contour += manner.word_fall_st * gaussian_filter1d(falls, 4.0)
    contour += manner.accent_st * (accent - 0.3) + 3.5 * stress
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


def _roughen(samples: Samples, frames: Frames, manner: Manner) -> Samples:
    """Weaken every other glottal pulse: amplitude modulation at half the pitch."""
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
    return (samples * (1.0 - depth * (0.5 + 0.5 * np.cos(phase)))).astype(np.float32)


def _drive(samples: Samples, drive: float) -> Samples:
    """Soft clipping that keeps the RMS: a pressed, compressed voice with more upper harmonics."""
    level = rms(samples)
    if level <= 0:
        return samples
    bent = np.tanh(samples * (drive * 0.4 / level)).astype(np.float32)
    # Products of the clipping below the voice would thump.
    sos = butter(2, 0.004, "highpass", output="sos")
    return bring_to(np.asarray(sosfilt(sos, bent), dtype=np.float32), level)


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


def _break_up(
    samples: Samples, sample_rate_hz: int, spans: list[Span], probability: float, rng: Rng
) -> tuple[Samples, list[Span]]:
    """Insert short silences before some words."""
    chosen = [i for i in range(1, len(spans)) if rng.random() < probability and spans[i][0] > spans[i - 1][0]]
    for index in reversed(chosen):
        silence = np.zeros(round(rng.uniform(0.06, 0.2) * sample_rate_hz), np.float32)
        at = _quiet_place(samples, sample_rate_hz, spans[index][0])
        samples = _insert(samples, sample_rate_hz, at, silence, fade_s=0.025)
        spans = _shift(spans, index, len(silence) / sample_rate_hz)
    return samples, spans


def _stammer(
    samples: Samples, sample_rate_hz: int, spans: list[Span], count: int, rng: Rng
) -> tuple[Samples, list[Span]]:
    """Repeat the onset of some words: the consonant and the first moment of the vowel."""
    usable = [i for i, (a, b) in enumerate(spans) if b - a > 0.12]
    if not usable:
        return samples, spans
    # The first word stammers most often, as speakers do; the others anywhere.
    chosen = {usable[0]} if rng.random() < 0.8 else {int(rng.choice(usable))}
    while len(chosen) < min(count, len(usable)):
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
    return samples, spans


def _onset_s(samples: Samples, sample_rate_hz: int, at: int, end_s: float) -> float:
    """Length of the onset that starts at sample `at`: up to 60 ms into its first vowel."""
    word = samples[at : round(end_s * sample_rate_hz)]
    voiced = np.flatnonzero(measures.f0_track(word, sample_rate_hz) > 0)
    return (float(voiced[0]) * FRAME_S if len(voiced) else 0.06) + 0.06
