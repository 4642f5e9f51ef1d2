"""Dialogues by an engine that speaks one voice at a time: each turn by its own voice, joined as people take turns.

Knows the engine's protocol; nothing of how an engine speaks, or where dialogues come from.
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeVar

import numpy as np

from evoxtral.audio import resample
from evoxtral.errors import VoiceError
from evoxtral.tags import parse
from evoxtral.tts.speech_engine import Speech, SpeechEngine, SpokenTurn, TimedTag, TimedTurn, TimedWord

# Silence between two turns. In the ICSI meetings the next speaker begins 0.27 s (third quartile) to 1.3 s (nine of
# ten) after the last has ended, where they do not overlap; overlaps are not made.
_GAP_S = (0.1, 0.9)
_LIKELIEST_GAP_S = 0.27

Place = TypeVar("Place", TimedWord, TimedTag)


def speak_dialogue(engine: SpeechEngine, turns: Sequence[SpokenTurn], *, seed: int = 0) -> Speech:
    """Speak turns one after the other.

    The places of words and tags count those of the turns' texts joined by spaces.

    Raises:
        VoiceError: there are no turns, or the engine cannot speak one (see `SpeechEngine.speak`).
    """
    if not turns:
        raise VoiceError("a dialogue without turns cannot be spoken")
    spoken = [
        engine.speak(turn.text, voice=turn.voice, seed=(seed + index) % 2**32) for index, turn in enumerate(turns)
    ]
    return join_turns(turns, spoken, seed=seed)


def join_turns(turns: Sequence[SpokenTurn], spoken: Sequence[Speech], *, seed: int = 0) -> Speech:
    """The speech of each turn, one after the other."""
    rng = random.Random(seed)
    rate_hz = max(speech.sample_rate_hz for speech in spoken)
    parts = []
    words: list[TimedWord] = []
    tags: list[TimedTag] = []
    places: list[TimedTurn] = []
    length = word_count = tag_count = 0
    for index, (turn, speech) in enumerate(zip(turns, spoken, strict=True)):
        if index:
            silence = round(rng.triangular(*_GAP_S, _LIKELIEST_GAP_S) * rate_hz)
            parts.append(np.zeros(silence, np.float32))
            length += silence
        samples = resample(speech.samples, speech.sample_rate_hz, rate_hz)
        start_s = length / rate_hz
        for word in speech.words:
            words.append(_moved(word, word_count, start_s))
        for tag in speech.tags:
            tags.append(_moved(tag, tag_count, start_s))
        parsed = parse(speech.text or turn.text)
        word_count += len(parsed.words)
        tag_count += len(parsed.tags)
        parts.append(samples)
        length += len(samples)
        places.append(TimedTurn(index, start_s, length / rate_hz))
    is_whole = not any(speech.text for speech in spoken)
    return Speech(
        np.concatenate(parts),
        rate_hz,
        spoken[0].engine,
        spoken[0].voice,
        tuple(words),
        tuple(tags),
        "" if is_whole else " ".join(speech.text or turn.text for turn, speech in zip(turns, spoken, strict=True)),
        tuple(dict.fromkeys(note for speech in spoken for note in speech.notes)),
        tuple(places),
    )


def _moved(place: Place, places_before: int, start_s: float) -> Place:
    return replace(
        place, index=place.index + places_before, start_s=place.start_s + start_s, end_s=place.end_s + start_s
    )
