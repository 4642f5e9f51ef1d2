"""Times of words and tags inside one window, from an alignment of its text; and its segments.

Knows texts, tokens and seconds; nothing of how an alignment is made or of other windows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.levels import level_track_db
from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.tags import Category, TaggedText, Word, strip_tags

# A pause between two words that is at least so long parts two segments.
SEGMENT_PAUSE_S = 0.7
# After so many seconds a segment also ends with a sentence.
LONG_SEGMENT_S = 12.0


# Sound reaches this far below the loudest moment within a second, but not below silence.
_SOUND_RANGE_DB = 30.0
_SURROUNDINGS_S = 1.0
_SILENCE_DB = -65.0
_LEVEL_HOP_S = 0.01
_CLOSURE_S = 0.15
# So much sound at the edge of the interval between two words may still be a word's.
_WORD_REST_S = 0.2
# How far the end of a word is moved outwards to where its sound ends.
_MAX_REACH_S = 0.3


@dataclass(frozen=True, slots=True)
class TimedSpan:
    """Where something is heard: seconds from the start of the window; for words, how sure the model is of them."""

    start_s: float
    end_s: float
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class SegmentRange:
    """A segment of a window's text: its characters, words and tags as half-open ranges."""

    start: int
    end: int
    first_word: int
    last_word: int
    first_tag: int
    last_tag: int


def time_words(parsed: TaggedText, tokens: Sequence[AlignedToken], samples: NDArray[np.float32]) -> list[TimedSpan]:
    """Times of the words of a text from those of its tokens; in order, inside the window, none ending before it starts.

    The punctuation around a word takes no part: its share of the alignment is the silence beside the word. Beside
    pauses, where alignments are vague, words begin and end with the sound.

    Args:
        samples: the window, mono at 16 kHz, shape (n,).
    """
    duration_s = len(samples) / SAMPLE_RATE_HZ
    return _fit_to_sound(parsed, _spans_of_words(parsed, tokens, duration_s), _loud_frames(samples), duration_s)


def _spans_of_words(parsed: TaggedText, tokens: Sequence[AlignedToken], duration_s: float) -> list[TimedSpan]:
    spans: list[TimedSpan] = []
    index = 0
    reached_s = 0.0
    for word in parsed.words:
        start, end = _core(word)
        while index < len(tokens) and tokens[index].end <= start:
            index += 1
        last = index
        while last < len(tokens) and tokens[last].start < end:
            last += 1
        of_word = tokens[index:last]
        start_s = max(reached_s, of_word[0].start_s) if of_word else reached_s
        end_s = max(start_s, of_word[-1].end_s) if of_word else start_s
        reached_s = min(end_s, duration_s)
        confidence = sum(token.probability for token in of_word) / len(of_word) if of_word else None
        spans.append(TimedSpan(min(start_s, duration_s), reached_s, confidence))
        # A token may reach into the next word ("I'm" after a dash): it is looked at again.
        index = max(index, last - 1)
    return spans


def _fit_to_sound(
    parsed: TaggedText, spans: list[TimedSpan], loud: NDArray[np.bool_], duration_s: float
) -> list[TimedSpan]:
    """Move the ends of words out of silence, and to the end of the sound that they cut unless a tag is heard there."""
    events = {tag.gap for tag in parsed.tags if tag.category not in (Category.EMOTION, Category.DELIVERY)}
    reach, closure = round(_MAX_REACH_S / _LEVEL_HOP_S), round(_CLOSURE_S / _LEVEL_HOP_S)
    fitted: list[TimedSpan] = []
    for index, span in enumerate(spans):
        earliest_s = fitted[-1].end_s if fitted else 0.0
        latest_s = spans[index + 1].start_s if index + 1 < len(spans) else duration_s
        first, last = round(span.start_s / _LEVEL_HOP_S), round(span.end_s / _LEVEL_HOP_S)
        sound = np.flatnonzero(loud[first:last])
        if len(sound) == 0:
            fitted.append(span)
            continue
        start, end = first + int(sound[0]), first + int(sound[-1]) + 1
        # A shorter silence is part of the word: the closure of a stop consonant.
        if not _is_pause(loud[max(start - closure, 0) : start], closure):
            start = first
        if not _is_pause(loud[end : end + closure], closure):
            end = last
        if start == first and index not in events:
            while start > max(first - reach, 0) and loud[start - 1]:
                start -= 1
        if end == last and index + 1 not in events:
            while end < min(last + reach, len(loud)) and loud[end]:
                end += 1
        start_s = span.start_s if start == first else min(max(start * _LEVEL_HOP_S, earliest_s), span.end_s)
        end_s = span.end_s if end == last else max(min(end * _LEVEL_HOP_S, latest_s), start_s)
        fitted.append(TimedSpan(max(start_s, earliest_s), max(end_s, start_s, earliest_s), span.confidence))
    return fitted


def _is_pause(loud: NDArray[np.bool_], frames: int) -> bool:
    """Whether so many frames (fewer at the edge of a window) are all silent."""
    return len(loud) < frames or not loud.any()


def _loud_frames(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which frames hold sound, judged by the loudest moment around them: whispers are not silence."""
    levels_db = level_track_db(samples, SAMPLE_RATE_HZ, _LEVEL_HOP_S)
    half = round(_SURROUNDINGS_S / _LEVEL_HOP_S)
    padded = np.pad(levels_db, half, constant_values=-100.0)
    loudest_db = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1).max(axis=1)
    return _sounds(levels_db, loudest_db)


def _sounds(levels_db: NDArray[np.float64], loudest_db: NDArray[np.float64] | float) -> NDArray[np.bool_]:
    loud = levels_db > np.maximum(loudest_db - _SOUND_RANGE_DB, _SILENCE_DB)
    # By majority of three, so that a click is no sound and a stop consonant no pause.
    return np.convolve(loud, np.ones(3), mode="same") >= 2


def time_events(
    parsed: TaggedText, words: Sequence[TimedSpan], tokens: Sequence[AlignedToken], samples: NDArray[np.float32]
) -> list[TimedSpan | None]:
    """Times of the tags that stand for a sound or a pause; None for other tags.

    A tag has the interval between its words, and of that a sound has the part that is not silent. Several tags in one
    gap share its interval: each begins where the alignment has its first token.
    """
    times: list[TimedSpan | None] = [None] * len(parsed.tags)
    levels_db = level_track_db(samples, SAMPLE_RATE_HZ, _LEVEL_HOP_S)
    for gap in {tag.gap for tag in parsed.tags}:
        inside = [
            index
            for index, tag in enumerate(parsed.tags)
            if tag.gap == gap and tag.category not in (Category.EMOTION, Category.DELIVERY)
        ]
        if not inside:
            continue
        begin_s = words[gap - 1].end_s if gap > 0 else 0.0
        end_s = words[gap].start_s if gap < len(words) else len(samples) / SAMPLE_RATE_HZ
        end_s = max(begin_s, end_s)
        bounds = [begin_s]
        for index in inside[1:]:
            heard = [token.start_s for token in tokens if token.end > parsed.tags[index].start]
            bounds.append(min(max(heard[0] if heard else end_s, bounds[-1]), end_s))
        for index, start_s, stop_s in zip(inside, bounds, [*bounds[1:], end_s], strict=True):
            is_pause = parsed.tags[index].category is Category.PAUSE
            times[index] = TimedSpan(start_s, stop_s) if is_pause else _sounding_part(start_s, stop_s, levels_db)
    return times


def tag_confidences(parsed: TaggedText, tokens: Sequence[AlignedToken]) -> list[float | None]:
    """The probability of each tag as a whole: the product of those of its tokens; None for a tag without any."""
    found: list[float | None] = []
    index = 0
    for tag in parsed.tags:
        while index < len(tokens) and tokens[index].end <= tag.start:
            index += 1
        last = index
        while last < len(tokens) and tokens[last].start < tag.end:
            last += 1
        of_tag = tokens[index:last]
        found.append(math.prod(token.probability for token in of_tag) if of_tag else None)
        # A token may reach into the next tag: it is looked at again.
        index = max(index, last - 1)
    return found


def _sounding_part(start_s: float, end_s: float, levels_db: NDArray[np.float64]) -> TimedSpan:
    """From the first to the last sound of an interval, without the tail and the onset of the words around it."""
    first, last = round(start_s / _LEVEL_HOP_S), round(end_s / _LEVEL_HOP_S)
    part = levels_db[first:last]
    if len(part) == 0:
        return TimedSpan(start_s, end_s)
    heard = np.concatenate([[0], _sounds(part, float(part.max())), [0]])
    starts, ends = np.flatnonzero(np.diff(heard) > 0), np.flatnonzero(np.diff(heard) < 0)
    rest = round(_WORD_REST_S / _LEVEL_HOP_S)
    if len(starts) > 1 and starts[0] == 0 and ends[0] <= rest:
        starts, ends = starts[1:], ends[1:]
    if len(starts) > 1 and ends[-1] == len(part) and ends[-1] - starts[-1] <= rest:
        starts, ends = starts[:-1], ends[:-1]
    if len(starts) == 0:
        return TimedSpan(start_s, end_s)
    begin_s, stop_s = (first + int(starts[0])) * _LEVEL_HOP_S, (first + int(ends[-1])) * _LEVEL_HOP_S
    return TimedSpan(max(begin_s, start_s), min(stop_s, end_s))


def split_segments(
    parsed: TaggedText, words: Sequence[TimedSpan] | None, speakers: Sequence[str | None] = ()
) -> list[SegmentRange]:
    """Cut a window's text where its speaker pauses or another speaks; without times, into one segment.

    A tag in a pause stays with the words before it, unless it colours those after it.

    Args:
        speakers: one a word, or none if they are not known.
    """
    if not parsed.source.strip():
        return []
    cuts: list[tuple[int, int, int]] = []  # (character, word, tag) that a segment begins with
    begun_s = words[0].start_s if words else 0.0
    for word in range(1, len(parsed.words) if words else 0):
        assert words is not None
        pause_s = words[word].start_s - words[word - 1].end_s
        is_long = words[word - 1].end_s - begun_s > LONG_SEGMENT_S and parsed.sentence_ends[word - 1] == word
        goes_on = not speakers or speakers[word - 1] == speakers[word]
        if goes_on and pause_s < SEGMENT_PAUSE_S and not is_long:
            continue
        tag = next(
            (
                index
                for index, tag in enumerate(parsed.tags)
                if tag.gap > word or (tag.gap == word and tag.category in (Category.EMOTION, Category.DELIVERY))
            ),
            len(parsed.tags),
        )
        at_tag = tag < len(parsed.tags) and parsed.tags[tag].gap == word
        cuts.append((parsed.tags[tag].start if at_tag else parsed.words[word].start, word, tag))
        begun_s = words[word].start_s
    starts = [(0, 0, 0), *cuts]
    ends = [*cuts, (len(parsed.source), len(parsed.words), len(parsed.tags))]
    return [
        SegmentRange(start[0], end[0], start[1], end[1], start[2], end[2])
        for start, end in zip(starts, ends, strict=True)
    ]


def plain_part(parsed: TaggedText, start: int, end: int) -> str:
    """The plain text of a part of a text, where what is stressed is judged by the whole of it."""
    pieces: list[str] = []
    position = start
    for word in parsed.words:
        if word.emphasis and start <= word.start < end:
            pieces += (parsed.source[position : word.start], word.plain)
            position = word.end
    return strip_tags("".join([*pieces, parsed.source[position:end]])).strip()


def _core(word: Word) -> tuple[int, int]:
    """The characters of a word without the punctuation around it."""
    heard = [index for index, character in enumerate(word.text) if character.isalnum()]
    return word.start + heard[0], word.start + heard[-1] + 1
