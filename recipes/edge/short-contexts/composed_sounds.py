"""Recorded laughs, sighs, hums and coughs put between recorded speech, as examples for a Whisper that writes tags.

A sound that has a tag teaches "text of A [tag] text of B", the texts being a teacher's of A and of B; a sound that has
none teaches what the teacher writes where the sound is left out. Compositions are drawn anew each time: speech of one
speaker, sound, order, pauses and level. Only clips of the split that is asked for are taken. Knows nothing of models.
"""

import json
import multiprocessing
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]

RATE_HZ = 16_000
# How often each is drawn. Of cough the labels are a detector's guess, which does no harm here: all of them get no tag.
TAGGED = {"laughs": 0.3, "crying": 0.4, "sighs": 0.28, "gasps": 0.16}
UNTAGGED = {"hum": 0.45, "other": 0.25, "cough": 0.1, "sneeze": 0.1, "baby_cry": 0.1}
_TAGGED_SHARE = 0.5
# Draws without a sound: clips of several speakers in a row, whose texts are those of each clip by itself.
_JOINED_SHARE, _MOST_JOINED, _JOINTS_S, _JOINED_S = 0.2, 5, (0.2, 0.8), 26.0
# Speech, sound, speech; sound, speech; speech, sound; the sound alone.
_ORDERS = {"between": 0.64, "before": 0.1, "after": 0.12, "alone": 0.14}
_SPEECH_S = (0.8, 7.0)
_SOUND_S = (0.3, 2.6)
_PAUSE_S, _TEACHERS_PAUSE_S = (0.03, 0.6), (0.2, 0.5)
# Of a sound against the speech around it.
_LEVEL_DB = {"sighs": (-14.0, 2.0), "gasps": (-12.0, 2.0)}
_USUAL_LEVEL_DB = (-10.0, 5.0)
_FADE_S, _AUDIBLE = 0.015, 33
# Compositions that are drawn for each that is used, so that those of a batch are of like length.
_DRAWN_FOR_ONE = 2


@dataclass
class Example:
    """What is heard at once, and what is to be written of it.

    `samples` are int16 at 16 kHz; `reference` is the set's text or "", with tags where they are known; `tokens` the
    teacher's text; `clean` what the teacher hears in place of `samples`, None for the same; `tag` the places in
    `tokens` of a tag that the teacher cannot know; `sound` the class of a composed example.
    """

    samples: Samples
    language: str
    reference: str
    tokens: list[int]
    kind: str = "plain"
    speaker: str = ""
    clean: Samples | None = None
    tag: range = field(default_factory=lambda: range(0))
    sound: str = ""

    @property
    def length_s(self) -> float:
        return len(self.samples) / RATE_HZ


def read_sounds(
    pack: Path, split: str, *, read: Callable[[str], Samples], workers: int, most: int | None = None
) -> dict[str, list[Samples]]:
    """The split's sounds by class."""
    rows = [json.loads(line) for line in (pack / "clips.jsonl").open()]
    least_s, most_s = _SOUND_S
    kept = [
        row
        for row in rows
        if row["split"] == split and row.get("sound") in TAGGED | UNTAGGED and row["duration"] >= least_s
    ]
    random.Random(0).shuffle(kept)
    with multiprocessing.Pool(workers) as pool:
        sounds = pool.map(read, [str(pack / row["id"]) for row in kept[:most]], chunksize=16)
    by_class: dict[str, list[Samples]] = {}
    for row, samples in zip(kept, sounds, strict=False):
        by_class.setdefault(row["sound"], []).append(loudest(samples, most_s))
    return by_class


def loudest(samples: Samples, length_s: float) -> Samples:
    """The loudest stretch of so many seconds; a shorter sound whole."""
    length = round(length_s * RATE_HZ)
    if len(samples) <= length:
        return samples
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    first = int(np.argmax(energy[length:] - energy[:-length]))
    return samples[first : first + length]


def level(samples: Samples) -> float:
    """RMS of what is audible."""
    heard = samples[np.abs(samples) > _AUDIBLE]
    return float(np.sqrt(np.mean(np.square(heard, dtype=np.float64)))) if len(heard) else 1.0


def silence(length_s: float) -> Samples:
    return np.zeros(round(length_s * RATE_HZ), np.int16)


class Composer:
    """Draws compositions.

    Args:
        speech: clips with the teacher's tokens; those are used whose text `fits`.
        sounds: as `read_sounds` gives them.
        tag_tokens: of each class of `TAGGED`, its tag with the space before it.
    """

    def __init__(
        self,
        speech: Sequence[Example],
        sounds: Mapping[str, Sequence[Samples]],
        tag_tokens: Mapping[str, list[int]],
        *,
        fits: Callable[[Example], bool],
    ) -> None:
        least_s, most_s = _SPEECH_S
        self._by_speaker: dict[str, list[Example]] = {}
        for example in speech:
            if least_s <= example.length_s <= most_s and fits(example):
                self._by_speaker.setdefault(example.speaker, []).append(example)
        self._speakers = sorted(self._by_speaker)
        # A speaker of many clips more often, but not by as much.
        self._weights = [len(self._by_speaker[speaker]) ** 0.6 for speaker in self._speakers]
        self._sounds, self._tag_tokens = sounds, tag_tokens
        self.speech_count = sum(map(len, self._by_speaker.values()))

    @property
    def is_usable(self) -> bool:
        return bool(self._by_speaker) and bool(self._sounds)

    def batch(self, count: int, rng: random.Random) -> list[Example]:
        """So many compositions of like length."""
        drawn = [self.draw(rng) for _ in range(_DRAWN_FOR_ONE * count)]
        drawn.sort(key=lambda example: len(example.samples))
        first = rng.randint(0, len(drawn) - count)
        return drawn[first : first + count]

    def draw(self, rng: random.Random, sound: str | None = None) -> Example:
        """A composition with a sound of a class; where None is given, of one that is drawn, or speech in a row."""
        if sound is None and rng.random() < _JOINED_SHARE:
            return self._join(rng)
        sound = sound or self._draw_sound(rng)
        speaker = rng.choices(self._speakers, self._weights)[0]
        before, after = (rng.choice(self._by_speaker[speaker]) for _ in range(2))
        order = rng.choices(list(_ORDERS), list(_ORDERS.values()))[0]
        parts = {"between": (before, after), "before": (None, after), "after": (before, None), "alone": (None, None)}
        return self._compose(rng, sound, *parts[order])

    def _join(self, rng: random.Random) -> Example:
        """What follows in another voice is read as if it stood alone."""
        parts: list[Samples] = []
        tokens: list[int] = []
        for _ in range(rng.randint(2, _MOST_JOINED)):
            clip = rng.choice(self._by_speaker[rng.choices(self._speakers, self._weights)[0]])
            joint = [silence(rng.uniform(*_JOINTS_S))] if parts else []
            if sum(map(len, [*parts, *joint, clip.samples])) > _JOINED_S * RATE_HZ:
                break
            parts += [*joint, clip.samples]
            tokens += clip.tokens
        # The teacher, who hears the clips together too, knows these texts less well than by themselves.
        return Example(np.concatenate(parts), "en", "", tokens, kind="composed", tag=range(len(tokens)))

    def _draw_sound(self, rng: random.Random) -> str:
        offered = TAGGED if rng.random() < _TAGGED_SHARE else UNTAGGED
        known = [name for name in offered if self._sounds.get(name)] or list(self._sounds)
        return rng.choices(known, [(TAGGED | UNTAGGED)[name] for name in known])[0]

    def _compose(self, rng: random.Random, sound: str, before: Example | None, after: Example | None) -> Example:
        around = [example.samples for example in (before, after) if example is not None]
        heard = rng.choice(self._sounds[sound]).astype(np.float64)
        against_db = rng.uniform(*_LEVEL_DB.get(sound, _USUAL_LEVEL_DB))
        loudness = level(np.concatenate(around)) if around else 3000.0
        heard *= loudness * 10 ** (against_db / 20) / level(heard.astype(np.int16))
        heard *= min(1.0, 31_000 / max(float(np.abs(heard).max()), 1.0))
        fade = np.linspace(0, 1, min(round(_FADE_S * RATE_HZ), len(heard) // 2))
        heard[: len(fade)] *= fade
        heard[len(heard) - len(fade) :] *= fade[::-1]
        parts: list[Samples] = [heard.astype(np.int16)]
        clean: list[Samples] = []
        tokens: list[int] = []
        tag = self._tag_tokens[sound] if sound in TAGGED else []
        place = range(0)
        if before is not None:
            parts = [before.samples, silence(rng.uniform(*_PAUSE_S)), *parts]
            clean.append(before.samples)
            tokens += before.tokens
        else:
            parts = [silence(rng.uniform(0, 0.4)), *parts]
        if tag:
            place = range(len(tokens), len(tokens) + len(tag))
            tokens += tag
        if after is not None:
            parts += [silence(rng.uniform(*_PAUSE_S)), after.samples]
            clean += [silence(rng.uniform(*_TEACHERS_PAUSE_S))] if clean else []
            clean.append(after.samples)
            tokens += after.tokens
        speaker = before or after
        return Example(
            np.concatenate(parts),
            "en",
            "",
            tokens,
            kind="composed",
            speaker=speaker.speaker if speaker else "",
            clean=np.concatenate(clean) if clean else silence(1.0),
            tag=place,
            sound=sound,
        )
