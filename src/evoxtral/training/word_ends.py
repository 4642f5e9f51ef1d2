"""Where the words and tags of clips end in their sound, for models that write each of them when it was heard.

Times come from the alignment of the text by the packaged model, as transcripts have theirs. Knows texts, alignments
and clips; nothing of tokens or frames.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import RecipeError
from evoxtral.inference.engines.protocol import AlignedToken, Aligner
from evoxtral.inference.timing import time_events, time_words
from evoxtral.tags import Tag, TaggedText, Word, parse
from evoxtral.training.clips import TrainingClip

_BATCH: Final = 4
_FULL_SCALE: Final = np.float32(32768)


def with_ends(
    clips: Sequence[TrainingClip], aligner: Aligner, *, language: str, report: Callable[[str], None] = lambda line: None
) -> list[TrainingClip]:
    """The clips with `ends_s`.

    Args:
        language: ISO 639-1 code of what is spoken.
    """
    found: list[TrainingClip] = []
    for start in range(0, len(clips), _BATCH):
        batch = clips[start : start + _BATCH]
        spoken = [clip for clip in batch if clip.text.strip()]
        windows = [clip.samples.astype(np.float32) / _FULL_SCALE for clip in spoken]
        aligned = aligner.align_windows(windows, [clip.text for clip in spoken], language=language) if spoken else []
        ends = {
            clip.id: ends_of(clip.text, window, tokens)
            for clip, window, tokens in zip(spoken, windows, aligned, strict=True)
        }
        found += [replace(clip, ends_s=ends.get(clip.id, ())) for clip in batch]
    report(f"{len(found)} clips: their words are placed in time")
    return found


def ends_of(text: str, samples: NDArray[np.float32], tokens: Sequence[AlignedToken]) -> tuple[float, ...]:
    """When each word and tag of a text is over, in the order of the text, in seconds; none before the one before.

    A sound or pause is over when it ends. A tag that colours what follows is known with the word after it.
    """
    parsed = parse(text)
    words = time_words(parsed, tokens, samples)
    events = time_events(parsed, words, tokens, samples)
    word_ends = {id(word): span.end_s for word, span in zip(parsed.words, words, strict=True)}
    tag_ends = {id(tag): None if span is None else span.end_s for tag, span in zip(parsed.tags, events, strict=True)}
    ends: list[float] = []
    for unit in reversed(_units(parsed)):
        after_s = ends[-1] if ends else len(samples) / SAMPLE_RATE_HZ
        own_s = word_ends[id(unit)] if isinstance(unit, Word) else tag_ends[id(unit)]
        ends.append(after_s if own_s is None else min(own_s, after_s))
    return tuple(reversed(ends))


def timed_pieces(text: str, ends_s: Sequence[float] | None) -> list[tuple[str, float]]:
    """The text in pieces, a word or tag each with the space before it and the punctuation after it, and their ends.

    Raises:
        RecipeError: there are no ends of them.
    """
    text = text.strip()
    units = _units(parse(text))
    if ends_s is None or len(ends_s) != len(units):
        raise RecipeError(f"{text[:60]!r}: its words have no times", "the packaged model finds them as clips are read")
    starts = [unit.start for unit in units]
    cuts = [0, *(len(text[:start].rstrip()) for start in starts[1:]), len(text)]
    return [(text[cuts[place] : cuts[place + 1]], end_s) for place, end_s in enumerate(ends_s)]


def _units(parsed: TaggedText) -> list[Word | Tag]:
    return sorted([*parsed.words, *parsed.tags], key=lambda unit: unit.start)
