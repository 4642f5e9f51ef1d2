"""A transcript: the tagged text of one recording with words, tags, segments and speakers in time.

Knows the JSON form of SPEC section 11 and nothing of how a transcript comes about or of subtitle formats.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

# Times are given to this many digits: a millisecond, finer than any alignment.
TIME_DIGITS = 3
PROBABILITY_DIGITS = 3


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """One word.

    Attributes:
        start_s, end_s: seconds from the start of the recording, or None where no alignment was made.
        confidence: mean probability of the word's tokens, or None where unknown.
        segment: index of its segment; `start_char`, `end_char`: its place in that segment's text, in code points. None
            where the text is written in another dialect of tags.
    """

    word: str
    start_s: float | None = None
    end_s: float | None = None
    emphasis: bool = False
    speaker: str | None = None
    confidence: float | None = None
    segment: int | None = None
    start_char: int | None = None
    end_char: int | None = None


@dataclass(frozen=True, slots=True)
class TranscriptTag:
    """One tag. `gap` is the number of words of the whole transcript that stand before it.

    Attributes:
        confidence: probability of the tag as a whole, given the text before it; None where unknown.
        segment, start_char, end_char: as of a word.
    """

    tag: str
    category: str | None
    group: str | None
    known: bool
    gap: int
    start_s: float | None = None
    end_s: float | None = None
    confidence: float | None = None
    segment: int | None = None
    start_char: int | None = None
    end_char: int | None = None


@dataclass(frozen=True, slots=True)
class TranscriptSegment:
    """A stretch of speech between two pauses, with its tagged text."""

    start_s: float
    end_s: float
    text: str
    plain_text: str
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """The transcript of one recording.

    Attributes:
        path: the input as the user named it ("-" for standard input).
        model, engine: what transcribed it, such as "edge" by "ctranslate2".
        language: ISO 639-1 code of what the words were written as.
        language_probability: how likely that language is spoken, over all speech; None where that was not told
            of all speech.
        duration_s: length of the recording.
        text: tagged text; `plain_text` the same without tags and emphasis.
        channels: how many were heard one by one, as that many speakers; None where all were heard together.
        notes: what the reader should know, a line each: what could not be decoded, which sound track this is, where
            another language is spoken.
    """

    path: str
    model: str
    engine: str
    language: str
    duration_s: float
    text: str
    plain_text: str
    segments: tuple[TranscriptSegment, ...] = ()
    words: tuple[TranscriptWord, ...] = ()
    tags: tuple[TranscriptTag, ...] = ()
    notes: tuple[str, ...] = ()
    language_probability: float | None = None
    channels: int | None = None

    def to_json(self) -> dict[str, Any]:
        """The object that `evoxtral transcribe --format json` and the server give; plain lists and dicts."""
        return asdict(self)

    def moved(self, by_s: float) -> "Transcript":
        """The same with all times later by so many seconds; its length stays."""

        def later(time_s: float | None) -> float | None:
            return None if time_s is None else round(time_s + by_s, TIME_DIGITS)

        return replace(
            self,
            segments=tuple(
                replace(
                    segment,
                    start_s=round(segment.start_s + by_s, TIME_DIGITS),
                    end_s=round(segment.end_s + by_s, TIME_DIGITS),
                )
                for segment in self.segments
            ),
            words=tuple(replace(word, start_s=later(word.start_s), end_s=later(word.end_s)) for word in self.words),
            tags=tuple(replace(tag, start_s=later(tag.start_s), end_s=later(tag.end_s)) for tag in self.tags),
        )


class SegmentPlaces:
    """Where the characters of a text are in its segments.

    Args:
        text: the whole text.
        segments: the texts of its segments, which make it up in order but for white space.
    """

    def __init__(self, text: str, segments: Sequence[str]) -> None:
        self._starts: list[int] = []
        position = 0
        for segment in segments:
            while text[position : position + 1].isspace():
                position += 1
            self._starts.append(position)
            position += len(segment)

    def find(self, start: int, end: int) -> tuple[int, int, int]:
        """The segment that holds the characters `start` to `end`, and their place in its text."""
        segment = max(bisect_right(self._starts, start) - 1, 0)
        offset = self._starts[segment]
        return segment, start - offset, end - offset
