"""A transcript: the tagged text of one recording with words, tags, segments and speakers in time.

Knows the JSON form of SPEC section 11 and nothing of how a transcript comes about or of subtitle formats.
"""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TranscriptWord:
    """One word. Times are seconds from the start of the recording, or None where no alignment was made."""

    word: str
    start_s: float | None = None
    end_s: float | None = None
    emphasis: bool = False
    speaker: str | None = None
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptTag:
    """One tag. `gap` is the number of words of the whole transcript that stand before it."""

    tag: str
    category: str | None
    group: str | None
    known: bool
    gap: int
    start_s: float | None = None
    end_s: float | None = None


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

    def to_json(self) -> dict[str, Any]:
        """The object that `evoxtral transcribe --format json` and the server give; plain lists and dicts."""
        return asdict(self)
