"""A transcript whose segments somebody wrote anew: the words and tags that stayed keep what is known of them.

Knows transcripts and sequence alignment; nothing of who edits or where transcripts are kept. Nothing is invented: what
is new has no times, unless it replaces words one for one.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rapidfuzz.distance import Levenshtein

from evoxtral.errors import EvoxtralError
from evoxtral.inference.timing import plain_part
from evoxtral.inference.transcript import (
    SegmentPlaces,
    Transcript,
    TranscriptSegment,
    TranscriptTag,
    TranscriptWord,
)
from evoxtral.tags import Tag, TaggedText, Word, parse


class EditError(EvoxtralError):
    """Segments that make no transcript."""


@dataclass(frozen=True, slots=True)
class EditedSegment:
    """A segment as its editor wants it; `text` is tagged text."""

    start_s: float
    end_s: float
    text: str
    speaker: str | None = None


def with_segments(transcript: Transcript, edited: Sequence[EditedSegment]) -> Transcript:
    """The transcript with these segments in the place of its own.

    Words and tags are aligned with the old ones over the whole recording. A word that stayed (whatever its case and
    punctuation) keeps its times and confidence. Where as many words stand as were there, each has the span of the one
    that it replaces; other new words have none. Tags for sounds and pauses that stayed keep theirs; tags that colour
    words last from the first to the last timed word of their scope. Segments without text are left out.

    Raises:
        EditError: a bracket that opens in one segment makes a tag with one that closes in another, or a segment ends
            before it starts.
    """
    for number, wanted in enumerate(edited, start=1):
        if not 0 <= wanted.start_s <= wanted.end_s < float("inf"):
            raise EditError(
                f"segment {number}: lasts from {wanted.start_s:g} to {wanted.end_s:g} s",
                "a segment starts at 0 or later, and ends when it starts or later",
            )
    kept = [replace(segment, text=segment.text.strip()) for segment in edited if segment.text.strip()]
    parsed = parse(" ".join(segment.text for segment in kept))
    places = SegmentPlaces(parsed.source, [segment.text for segment in kept])
    for tag in parsed.tags:
        segment, _, end_char = places.find(tag.start, tag.end)
        if end_char > len(kept[segment].text):
            raise EditError(f"{tag.text!r}: opens in one segment and closes in the next", "keep a tag in one segment")

    old, new = list(_in_order(transcript)), _items_of(parsed)
    words: list[TranscriptWord] = []
    tags: list[TranscriptTag] = []
    for item, source in zip(new, _sources(old, new), strict=True):
        segment, start_char, end_char = places.find(item.start, item.end)
        if isinstance(item, Word):
            before = source if isinstance(source, TranscriptWord) else None
            stayed = before is not None and _word_key(before.word) == _word_key(item.text)
            words.append(
                TranscriptWord(
                    item.text,
                    before.start_s if before else None,
                    before.end_s if before else None,
                    item.emphasis,
                    kept[segment].speaker,
                    before.confidence if before and stayed else None,
                    segment,
                    start_char,
                    end_char,
                )
            )
        else:
            known = source if isinstance(source, TranscriptTag) else None
            tags.append(
                TranscriptTag(
                    item.name,
                    None if item.category is None else str(item.category),
                    item.group,
                    item.known,
                    item.gap,
                    known.start_s if known else None,
                    known.end_s if known else None,
                    known.confidence if known else None,
                    segment,
                    start_char,
                    end_char,
                )
            )
    offset = 0
    segments = []
    for wanted in kept:
        end = offset + len(wanted.text)
        plain = plain_part(parsed, offset, end)
        segments.append(TranscriptSegment(wanted.start_s, wanted.end_s, wanted.text, plain, wanted.speaker))
        offset = end + 1
    return replace(
        transcript,
        text=parsed.source,
        plain_text=parsed.plain_text,
        segments=tuple(segments),
        words=tuple(words),
        tags=tuple(_with_scopes(parsed, words, tags)),
    )


def with_speaker_names(transcript: Transcript, names: Mapping[str, str]) -> Transcript:
    """The transcript with its speakers under other names."""

    def name(speaker: str | None) -> str | None:
        return None if speaker is None else names.get(speaker, speaker)

    return replace(
        transcript,
        segments=tuple(replace(segment, speaker=name(segment.speaker)) for segment in transcript.segments),
        words=tuple(replace(word, speaker=name(word.speaker)) for word in transcript.words),
    )


def _in_order(transcript: Transcript) -> Iterator[TranscriptWord | TranscriptTag]:
    """Words and tags in the order of the text."""
    tags = sorted(transcript.tags, key=lambda tag: tag.gap)
    at = 0
    for number, word in enumerate(transcript.words):
        while at < len(tags) and tags[at].gap <= number:
            yield tags[at]
            at += 1
        yield word
    yield from tags[at:]


def _items_of(parsed: TaggedText) -> list[Word | Tag]:
    return sorted([*parsed.words, *parsed.tags], key=lambda item: item.start)


def _word_key(text: str) -> str:
    """What makes a word the same: its letters and digits."""
    return "".join(filter(str.isalnum, text.casefold()))


def _key(item: TranscriptWord | TranscriptTag | Word | Tag) -> tuple[str, str]:
    if isinstance(item, (TranscriptTag, Tag)):
        return "tag", item.tag if isinstance(item, TranscriptTag) else item.name
    return "word", _word_key(item.word if isinstance(item, TranscriptWord) else item.text)


def _sources(
    old: Sequence[TranscriptWord | TranscriptTag], new: Sequence[Word | Tag]
) -> list[TranscriptWord | TranscriptTag | None]:
    """For each new item the old one that it was, or that it replaces; None for what is new."""
    found: list[TranscriptWord | TranscriptTag | None] = [None] * len(new)
    old_at = new_at = 0  # the end of what was equal last

    def replace_between(old_end: int, new_end: int) -> None:
        """Words between two stretches that stayed replace each other where they are as many."""
        before = [item for item in old[old_at:old_end] if isinstance(item, TranscriptWord)]
        after = [index for index in range(new_at, new_end) if isinstance(new[index], Word)]
        if len(before) == len(after):
            for index, item in zip(after, before, strict=True):
                found[index] = item

    for step in Levenshtein.opcodes([_key(item) for item in old], [_key(item) for item in new]):
        if step.tag != "equal":
            continue
        replace_between(step.src_start, step.dest_start)
        found[step.dest_start : step.dest_end] = old[step.src_start : step.src_end]
        old_at, new_at = step.src_end, step.dest_end
    replace_between(len(old), len(new))
    return found


def _with_scopes(
    parsed: TaggedText, words: Sequence[TranscriptWord], tags: Sequence[TranscriptTag]
) -> Iterator[TranscriptTag]:
    """The tags; those that colour words with the times of their words."""
    scopes = {scope.tag: scope for scope in parsed.scopes}
    for index, tag in enumerate(tags):
        scope = scopes.get(index)
        if scope is None:
            yield tag
            continue
        of_scope = words[scope.first_word : scope.last_word]
        timed = [word for word in of_scope if word.start_s is not None]
        if timed:
            yield replace(tag, start_s=timed[0].start_s, end_s=timed[-1].end_s)
        elif of_scope:
            yield replace(tag, start_s=None, end_s=None)
        else:
            yield tag
