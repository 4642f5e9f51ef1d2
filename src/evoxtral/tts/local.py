"""The local expressive voice: speaks tagged text with nothing but what pip installed.

Cuts the text into phrases at tags, ellipses and sentence ends, has a base voice speak each plainly, delivers it in
the manner of its tags, and joins phrases, non-verbal sounds and pauses on one timeline. Knows the tag language, the
base voices, `delivery` and `nonverbal`; nothing of files or corpora.
"""

import functools
import logging
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy.signal import fftconvolve

from evoxtral.audio.levels import bring_to
from evoxtral.errors import NothingToSpeakError, VoiceError
from evoxtral.models import HUB_CACHE, ModelStore
from evoxtral.settings import read_settings
from evoxtral.tags import Category, Tag, TaggedText, parse
from evoxtral.tts import base_voices, delivery, nonverbal, sounds
from evoxtral.tts.delivery import Samples, fade
from evoxtral.tts.nonverbal import SPEECH_RMS, BurstSource, RecordedBursts, SynthesisedBursts
from evoxtral.tts.plain_speech import BaseVoice
from evoxtral.tts.sketches import Speaker
from evoxtral.tts.speech_engine import Speech, TimedTag, TimedWord, Voice
from evoxtral.tts.spoken_text import make_speakable
from evoxtral.tts.vocoder import Array

DEFAULT_VOICE = "espeak/carl"  # of espeak-ng's, among those that a recogniser understands best
MAX_CHARACTERS = 50_000  # about an hour of speech
MAX_PHRASE_WORDS = 40
MAX_PHRASE_CHARACTERS = 400
MAX_WORD_CHARACTERS = 100  # longer ones are no words; their rest is not spoken
_CLAUSE_ENDS = ",;:—–-"
_PEAK = 0.97
_ROOM_BLOCK = 2**20  # samples

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Phrase:
    """Words `first` to `last` (exclusive) of a text, spoken in one breath and manner.

    `spoken` are the words as the base voice gets them: punctuation attached, emphasis lowered.
    """

    first: int
    last: int
    spoken: tuple[str, ...]
    emotion: str | None
    delivery: str | None


@dataclass(frozen=True, slots=True)
class Hesitation:
    """An ellipsis."""


@dataclass(frozen=True, slots=True)
class Point:
    """A tag that happens between words: a non-verbal sound or a pause. `index` counts the text's tags."""

    index: int
    tag: Tag


def plan(text: str | TaggedText) -> list[Phrase | Point | Hesitation]:
    """What is spoken, in order."""
    parsed = parse(text) if isinstance(text, str) else text
    count = len(parsed.words)
    emotions: list[str | None] = [None] * count
    deliveries: list[str | None] = [None] * count
    for scope in parsed.scopes:
        tag = parsed.tags[scope.tag]
        target = emotions if tag.category is Category.EMOTION else deliveries
        target[scope.first_word : scope.last_word] = [tag.name] * (scope.last_word - scope.first_word)
    events: dict[int, list[Point | Hesitation]] = {}
    for gap in parsed.ellipses:
        events.setdefault(gap, []).append(Hesitation())
    for index, tag in enumerate(parsed.tags):
        if tag.category in (Category.NON_VERBAL, Category.PAUSE):
            events.setdefault(tag.gap, []).append(Point(index, tag))
    # After crying, the rest of the sentence is spoken in tears, unless it has an emotion of its own.
    cried_at = {tag.gap for tag in parsed.tags if tag.name == "crying"}
    tears_end = 0
    for word in range(count):
        tears_end = parsed.sentence_ends[word] if word in cried_at else tears_end
        if word < tears_end and emotions[word] is None:
            emotions[word] = sounds.TEARFUL

    items: list[Phrase | Point | Hesitation] = []
    spoken = _spoken_words(parsed)
    first = characters = 0
    for gap in range(count + 1):
        cut = (
            gap == count
            or gap in events
            or gap - first >= MAX_PHRASE_WORDS
            or characters >= MAX_PHRASE_CHARACTERS
            or (gap - first >= MAX_PHRASE_WORDS // 2 and spoken[gap - 1][-1] in _CLAUSE_ENDS)
            or (gap > 0 and parsed.sentence_ends[gap - 1] == gap)
            or (gap > first and (emotions[gap], deliveries[gap]) != (emotions[first], deliveries[first]))
        )
        if cut and gap > first:
            items.append(Phrase(first, gap, tuple(spoken[first:gap]), emotions[first], deliveries[first]))
            first, characters = gap, 0
        items.extend(events.get(gap, ()))
        characters += len(spoken[gap]) if gap < count else 0
    return items


def _spoken_words(parsed: TaggedText) -> list[str]:
    """Each word as the base voice gets it: emphasis lowered, together with punctuation that stands after it."""
    spoken = []
    tag_starts = [tag.start for tag in parsed.tags]
    position = 0
    for index, word in enumerate(parsed.words):
        following = parsed.words[index + 1].start if index + 1 < len(parsed.words) else len(parsed.source)
        while position < len(tag_starts) and tag_starts[position] < word.end:
            position += 1
        if position < len(tag_starts):
            following = min(following, tag_starts[position])
        plain = word.plain
        if len(plain) > MAX_WORD_CHARACTERS:
            _log.warning("of a word of %d characters only the first %d are spoken", len(plain), MAX_WORD_CHARACTERS)
            plain = plain[:MAX_WORD_CHARACTERS]
        after = " ".join(parsed.source[word.end : following].split())[:MAX_WORD_CHARACTERS]
        spaced = parsed.source[word.end : word.end + 1].isspace()
        if any(mark in after for mark in ".,;:!?…—–-"):
            spoken.append(f"{plain} {after}" if spaced else plain + after)
        else:
            spoken.append(plain)
    return spoken


@dataclass(slots=True)
class _Timeline:
    """The speech under construction."""

    sample_rate_hz: int
    parts: list[Samples] = field(default_factory=list)
    length: int = 0

    @property
    def now_s(self) -> float:
        return self.length / self.sample_rate_hz

    def silence(self, seconds: float) -> None:
        self.sound(np.zeros(round(seconds * self.sample_rate_hz), np.float32))

    def sound(self, samples: Samples) -> None:
        self.parts.append(samples)
        self.length += len(samples)


class LocalEngine:
    """Speaks tagged text on this machine: espeak-ng always, Kokoro and Piper voices where they are installed.

    Args:
        bursts: where non-verbal sounds come from: a source, or a folder of recordings (`nonverbal.RecordedBursts`);
            what it lacks is synthesised.
        bursts_share: how often a sound is taken from `bursts` where it has one; the others are synthesised.
        cache_dir: where Kokoro's raw phrases are kept (default: the variable EVOXTRAL_SPEECH_CACHE, or nowhere).
        store: where neural voices' weights are found.
    """

    name = "local"

    def __init__(
        self,
        *,
        bursts: BurstSource | str | Path | None = None,
        bursts_share: float = 1.0,
        cache_dir: str | Path | None = None,
        store: ModelStore = HUB_CACHE,
    ) -> None:
        self._bursts = RecordedBursts(Path(bursts)) if isinstance(bursts, (str, Path)) else bursts
        self._bursts_share = bursts_share
        self._synthesised = SynthesisedBursts()
        self._cache_folder = Path(cache_dir) if cache_dir is not None else read_settings().speech_cache
        self._store = store
        self._speaker = functools.lru_cache(maxsize=64)(self._measure_speaker)

    def voices(self) -> Sequence[Voice]:
        """Those of espeak-ng, and the neural and recorded ones that are installed."""
        return base_voices.voices(self._store)

    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        """Speak tagged text; the same text, voice and seed give the same samples.

        What no voice can say (unknown tags, emoji, other scripts, markup) is left out and noted in the answer.

        Raises:
            VoiceError: the voice is unknown or not installed, or the text is too long or has nothing to speak.
        """
        if len(text) > MAX_CHARACTERS:
            raise VoiceError(
                f"the text has {len(text)} characters; the local voice speaks at most {MAX_CHARACTERS} at once",
                "cut it into parts",
            )
        voice = voice or DEFAULT_VOICE
        base = base_voices.load(voice, self._store, self._cache_folder)
        speakable = make_speakable(text)
        parsed = parse(speakable.text)
        unknown = dict.fromkeys(tag.text for tag in parsed.tags if not tag.known)
        silent = dict.fromkeys(tag.text for tag in parsed.tags if tag.known and tag.name not in sounds.SOUNDS)
        notes = (
            *speakable.notes,
            *(f"left out: the unknown tag {tag}" for tag in unknown),
            *(f"left out: the tag {tag}, which has no sound here" for tag in silent),
        )
        items = plan(parsed)
        if not any(isinstance(item, (Phrase, Point)) for item in items):
            raise NothingToSpeakError(
                "; ".join(["there is nothing to speak: the text has no words and no sounds", *notes])
            )
        speaker = self._speaker(voice)
        take = [seed & 0xFFFF_FFFF_FFFF_FFFF, zlib.crc32(f"{voice}|{text}".encode("utf-8", "replace"))]
        timeline = _Timeline(speaker.sample_rate_hz)
        words: list[TimedWord] = []
        points: dict[int, tuple[float, float]] = {}
        timeline.silence(0.12)
        for number, item in enumerate(items):
            rng = np.random.default_rng([*take, number])
            previous = items[number - 1] if number else None
            following = items[number + 1] if number + 1 < len(items) else None
            if isinstance(item, Phrase):
                self._phrase(item, parsed, base, speaker, timeline, words, rng, following)
            elif isinstance(item, Hesitation):
                if not _is_pause(following) and not _is_pause(previous):
                    timeline.silence(rng.uniform(0.3, 0.65) if following is not None else 0.1)
            elif _is_pause(item):
                start_s = timeline.now_s
                timeline.silence(sounds.pause_s(item.tag.name, item.tag.text, rng))
                points[item.index] = (start_s, timeline.now_s)
            else:
                points[item.index] = self._non_verbal(item, speaker, timeline, rng)
        timeline.silence(0.2)
        samples = self._finish(timeline, speaker, np.random.default_rng([*take, len(items)]))
        return Speech(
            samples=samples,
            sample_rate_hz=speaker.sample_rate_hz,
            engine=base.engine,
            voice=voice,
            words=tuple(words),
            tags=_timed_tags(parsed, words, points, timeline.now_s),
            text=speakable.text,
            notes=notes,
        )

    def _measure_speaker(self, voice: str) -> Speaker:
        plain = base_voices.load(voice, self._store, self._cache_folder).sample()
        return nonverbal.speaker_of(bring_to(plain.samples, SPEECH_RMS), plain.sample_rate_hz)

    def _phrase(
        self,
        phrase: Phrase,
        parsed: TaggedText,
        base: BaseVoice,
        speaker: Speaker,
        timeline: _Timeline,
        words: list[TimedWord],
        rng: np.random.Generator,
        following: Phrase | Point | Hesitation | None,
    ) -> None:
        plain = base.speak_words(phrase.spoken)
        manner = sounds.manner_for(phrase.emotion, phrase.delivery, rng)
        exhale = phrase.emotion == "frustrated" and phrase.delivery != "whispers" and rng.random() < 0.6
        if exhale and rng.random() < 0.5:
            timeline.sound(nonverbal.huff(speaker, rng))
            timeline.silence(rng.uniform(0.04, 0.1))
            exhale = False
        samples, spans = delivery.deliver(
            bring_to(plain.samples, SPEECH_RMS),
            plain.sample_rate_hz,
            plain.words,
            manner,
            rng,
            emphasised=[i for i in range(phrase.last - phrase.first) if parsed.words[phrase.first + i].emphasis],
            lengthened=[phrase.last - phrase.first - 1] if isinstance(following, Hesitation) else [],
        )
        start_s = timeline.now_s
        timeline.sound(fade(samples, timeline.sample_rate_hz, 0.004, 0.012))
        for offset, (begin, end) in enumerate(spans):
            index = phrase.first + offset
            words.append(TimedWord(index, parsed.words[index].text, start_s + begin, start_s + end))
        if exhale:
            timeline.silence(rng.uniform(0.03, 0.08))
            timeline.sound(nonverbal.huff(speaker, rng))
        if following is not None and not isinstance(following, Hesitation) and not _is_pause(following):
            slow = 1.0 / manner.rate
            if phrase.last in parsed.sentence_ends[phrase.last - 1 : phrase.last]:
                timeline.silence(rng.uniform(0.26, 0.42) * slow)
            elif phrase.spoken[-1][-1] in _CLAUSE_ENDS:
                timeline.silence(rng.uniform(0.12, 0.2) * slow)
            else:
                timeline.silence(rng.uniform(0.03, 0.07) * slow)

    def _non_verbal(
        self, item: Point, speaker: Speaker, timeline: _Timeline, rng: np.random.Generator
    ) -> tuple[float, float]:
        recorded = self._bursts is not None and rng.random() < self._bursts_share
        sound = self._bursts.burst(item.tag.name, speaker, rng) if self._bursts is not None and recorded else None
        if sound is None:
            sound = self._synthesised.burst(item.tag.name, speaker, rng)
        if sound is None:  # a tag that nobody has given a sound yet: a moment where it stands
            return timeline.now_s, timeline.now_s
        timeline.silence(rng.uniform(0.05, 0.15))
        start_s = timeline.now_s
        timeline.sound(sound)
        end_s = timeline.now_s
        timeline.silence(rng.uniform(0.08, 0.2))
        return start_s, end_s

    @staticmethod
    def _finish(timeline: _Timeline, speaker: Speaker, rng: np.random.Generator) -> Samples:
        """The whole sound: room tone laid under it, so that no pause is digital silence, and kept from clipping."""
        samples = np.concatenate(timeline.parts)
        _add_room_tone(samples, speaker.room, rng)
        peak = float(max(samples.max(), -samples.min()))
        return np.asarray(samples * (_PEAK / peak) if peak > _PEAK else samples, dtype=np.float32)


def _add_room_tone(samples: Samples, room: Array, rng: np.random.Generator) -> None:
    """Lay white noise through the (centred) filter `room` under the samples; in blocks: an hour would take gigabytes.

    Convolved by overlap-save (A. V. Oppenheim, R. W. Schafer, "Discrete-Time Signal Processing", section 8.7.3).
    """
    delay = (len(room) - 1) // 2
    past = np.zeros(len(room) - 1)
    for start in range(-delay, len(samples), _ROOM_BLOCK):
        # The filter's answer at `start` ends with the noise at `start + delay`; behind the last sample there is none.
        count = min(_ROOM_BLOCK, len(samples) - start)
        fresh = rng.normal(0.0, 1.0, max(0, min(count, len(samples) - start - delay)))
        noise = np.concatenate((past, fresh, np.zeros(count - len(fresh))))
        heard = fftconvolve(noise, room, "valid")
        first = max(start, 0)
        samples[first : start + count] += heard[first - start :].astype(np.float32)
        past = noise[len(noise) - len(past) :]


def _is_pause(item: Phrase | Point | Hesitation | None) -> bool:
    return isinstance(item, Point) and item.tag.category is Category.PAUSE


def _timed_tags(
    parsed: TaggedText, words: Sequence[TimedWord], points: dict[int, tuple[float, float]], end_s: float
) -> tuple[TimedTag, ...]:
    """Times of all known tags in order: a point's own stretch, a scope's words."""
    spans = dict(points)
    for scope in parsed.scopes:
        if scope.first_word < scope.last_word:
            spans[scope.tag] = (words[scope.first_word].start_s, words[scope.last_word - 1].end_s)
        else:  # it colours nothing: a moment where it stands
            at = words[scope.first_word - 1].end_s if scope.first_word > 0 else 0.0
            spans[scope.tag] = (at, at)
    return tuple(TimedTag(index, parsed.tags[index].name, *spans[index]) for index in sorted(spans))
