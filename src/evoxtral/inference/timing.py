"""Times of words and tags inside one window, from an alignment of its text; and its segments.

Knows texts, tokens and seconds; nothing of how an alignment is made or of other windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from evoxtral.inference.engine import AlignedToken
from evoxtral.tags import Category, TaggedText, Word, strip_tags

# A pause between two words that is at least so long parts two segments.
SEGMENT_PAUSE_S = 0.7
# After so many seconds a segment also ends with a sentence.
LONG_SEGMENT_S = 12.0


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


def time_words(parsed: TaggedText, tokens: Sequence[AlignedToken], duration_s: float) -> list[TimedSpan]:
    """Times of the words of a text from those of its tokens; in order, inside the window, none ending before it starts.

    The punctuation around a word takes no part: its share of the alignment is the silence beside the word.
    """
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


def time_events(
    parsed: TaggedText, words: Sequence[TimedSpan], tokens: Sequence[AlignedToken], duration_s: float
) -> list[TimedSpan | None]:
    """Times of the tags that stand for a sound or a pause: the interval between their words; None for other tags.

    Several tags in one gap share its interval: each begins where the alignment has its first token.
    """
    times: list[TimedSpan | None] = [None] * len(parsed.tags)
    for gap in {tag.gap for tag in parsed.tags}:
        inside = [
            index
            for index, tag in enumerate(parsed.tags)
            if tag.gap == gap and tag.category not in (Category.EMOTION, Category.DELIVERY)
        ]
        if not inside:
            continue
        begin_s = words[gap - 1].end_s if gap > 0 else 0.0
        end_s = words[gap].start_s if gap < len(words) else duration_s
        end_s = max(begin_s, end_s)
        bounds = [begin_s]
        for index in inside[1:]:
            heard = [token.start_s for token in tokens if token.end > parsed.tags[index].start]
            bounds.append(min(max(heard[0] if heard else end_s, bounds[-1]), end_s))
        for index, start_s, stop_s in zip(inside, bounds, [*bounds[1:], end_s], strict=True):
            times[index] = TimedSpan(start_s, stop_s)
    return times


def split_segments(parsed: TaggedText, words: Sequence[TimedSpan] | None) -> list[SegmentRange]:
    """Cut a window's text where its speaker pauses; without times, into one segment.

    A tag in a pause stays with the words before it, unless it colours those after it.
    """
    if not parsed.source.strip():
        return []
    cuts: list[tuple[int, int, int]] = []  # (character, word, tag) that a segment begins with
    begun_s = words[0].start_s if words else 0.0
    for word in range(1, len(parsed.words) if words else 0):
        assert words is not None
        pause_s = words[word].start_s - words[word - 1].end_s
        is_long = words[word - 1].end_s - begun_s > LONG_SEGMENT_S and parsed.sentence_ends[word - 1] == word
        if pause_s < SEGMENT_PAUSE_S and not is_long:
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
