"""How each tag sounds: the one table.

An emotion is ranges of a manner, a delivery changes a manner, a non-verbal sound is a sketch at a level, a pause is a
range of seconds. A new tag of the taxonomy becomes audible by an entry here; one without an entry is spoken as if it
were not there. Knows tag names; nothing of texts, engines or voices.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from evoxtral.tts import sketches
from evoxtral.tts.manner import NEUTRAL, Manner
from evoxtral.tts.sketches import Sketch

Rng = np.random.Generator
Between = Callable[[float, float], float]
# Fields of `Manner`, each with its value or the range from which it is drawn.
Ranges = Mapping[str, float | tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Emotion:
    """A manner of speaking, drawn from ranges."""

    ranges: Ranges


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a delivery makes of the manner of an emotion; `between` draws a number."""

    change: Callable[[Manner, Between, Rng], Manner]


@dataclass(frozen=True, slots=True)
class Burst:
    """A sound that is no word, and its level relative to ordinary speech."""

    draw: Callable[[Sketch], None]
    level_db: float


@dataclass(frozen=True, slots=True)
class Pause:
    """Nothing, for so many seconds; by words within the tag's text ("long pause") others."""

    seconds: tuple[float, float]
    by_word: Mapping[str, tuple[float, float]]


def _whispers(manner: Manner, between: Between, rng: Rng) -> Manner:
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


def _shouts(manner: Manner, between: Between, rng: Rng) -> Manner:
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


def _stammers(manner: Manner, between: Between, rng: Rng) -> Manner:
    return replace(
        manner,
        stammer=int(rng.integers(1, 4)),
        unsteady=max(manner.unsteady, between(0.05, 0.12)),
        jitter_st=max(manner.jitter_st, between(0.1, 0.3)),
    )


_PLAIN: Ranges = {"rate": (0.96, 1.04), "pitch_st": (-0.4, 0.4), "pitch_range": (0.92, 1.08)}
TEARFUL = "tearful"
SOUNDS: Mapping[str, Emotion | Delivery | Burst | Pause] = {
    "excited": Emotion(
        {
            "rate": (1.12, 1.28),
            "pitch_st": (3.0, 5.5),
            "pitch_range": (1.5, 2.0),
            "gain_db": (2.0, 4.5),
            "tilt_db": (0.8, 1.8),
            "accent_st": (1.0, 2.5),
        }
    ),
    "sad": Emotion(
        {
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
        }
    ),
    "angry": Emotion(
        {
            "rate": (1.0, 1.12),
            "pitch_st": (0.5, 2.5),
            "pitch_range": (1.15, 1.5),
            "gain_db": (5.0, 8.0),
            "tilt_db": (2.4, 3.6),
            "rough": (0.25, 0.55),
            "drive": (0.5, 0.9),
            "accent_st": (2.0, 3.5),
            "formant": (1.0, 1.03),
        }
    ),
    "nervous": Emotion(
        {
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
        }
    ),
    "calm": Emotion(
        {
            "rate": (0.8, 0.9),
            "pitch_st": (-2.0, -0.8),
            "pitch_range": (0.45, 0.65),
            "smooth_s": 0.08,
            "gain_db": (-4.0, -2.0),
            "tilt_db": (-1.5, -0.7),
            "breath": (0.02, 0.1),
        }
    ),
    "frustrated": Emotion(
        {
            "rate": (0.92, 1.04),
            "pitch_st": (-1.0, 0.5),
            "pitch_range": (0.9, 1.2),
            "fall_st": (3.5, 5.5),
            "gain_db": (1.5, 4.0),
            "tilt_db": (1.0, 2.0),
            "rough": (0.45, 0.75),
            "accent_st": (1.8, 3.0),
            "creak": (0.5, 1.0),
        }
    ),
    # The words after [crying]; not a tag of its own.
    "tearful": Emotion(
        {
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
        }
    ),
    "whispers": Delivery(_whispers),
    "shouts": Delivery(_shouts),
    "stammers": Delivery(_stammers),
    "laughs": Burst(sketches.laugh, 0.0),
    "sighs": Burst(sketches.sigh, -8.0),
    "gasps": Burst(sketches.gasp, -5.0),
    "clears throat": Burst(sketches.clear_throat, -3.0),
    "crying": Burst(sketches.cry, -1.0),
    "pause": Pause((0.6, 1.1), {"short": (0.4, 0.6), "brief": (0.4, 0.6), "long": (1.2, 1.8)}),
}
KNOWN = frozenset(SOUNDS) - {TEARFUL}
"""Tags that have a sound."""

BURSTS: Mapping[str, Burst] = {name: sound for name, sound in SOUNDS.items() if isinstance(sound, Burst)}


def manner_for(emotion: str | None, delivery: str | None, rng: Rng) -> Manner:
    """Draw how a phrase in the scope of these canonical tags is spoken; a tag without a sound changes nothing."""

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    mood = SOUNDS.get(emotion) if emotion is not None else None
    # No two plain takes are alike; and half of them go through the vocoder too, so that its traces do not tell a model
    # trained on this speech where tags are.
    ranges = mood.ranges if isinstance(mood, Emotion) else _PLAIN if rng.random() >= 0.5 else {}
    drawn: dict[str, Any] = {
        name: between(*value) if isinstance(value, tuple) else value for name, value in ranges.items()
    }
    manner = replace(NEUTRAL, **drawn)
    way = SOUNDS.get(delivery) if delivery is not None else None
    return way.change(manner, between, rng) if isinstance(way, Delivery) else manner


def pause_s(name: str, text: str, rng: Rng) -> float:
    """How long a pause is.

    Args:
        name: the canonical tag.
        text: the tag as it was written.
    """
    sound = SOUNDS.get(name)
    if not isinstance(sound, Pause):
        return 0.0
    words = text.lower()
    return float(rng.uniform(*next((span for word, span in sound.by_word.items() if word in words), sound.seconds)))
