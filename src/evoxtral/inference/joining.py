"""One transcript of all windows: their texts joined, words and tags with times and speakers, segments.

Knows what was heard and who spoke when; nothing of audio or engines.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from evoxtral.inference.diarization import Turn, speaker_of
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.inference.heard_window import HeardWindow
from evoxtral.inference.timing import SegmentRange, TimedSpan, plain_part, split_segments
from evoxtral.inference.transcript import (
    PROBABILITY_DIGITS,
    TIME_DIGITS,
    SegmentPlaces,
    Transcript,
    TranscriptSegment,
    TranscriptTag,
    TranscriptWord,
)
from evoxtral.tags import Category, TaggedText, parse


def join_windows(
    heard: Sequence[HeardWindow],
    turns: Sequence[Turn],
    *,
    name: str,
    engine: TranscriptionEngine,
    language: str,
    duration_s: float,
) -> Transcript:
    """One transcript of all windows, whose texts hold no half tags: joined they parse as they did alone."""
    parsed = parse(" ".join(window.text for window in heard))
    spans = [span for window in heard for span in window.words or [None] * len(window.parsed.words)]
    known = [window.speaker for window in heard for _ in window.parsed.words]
    speakers = [
        speaker or (None if span is None else speaker_of(span.start_s, span.end_s, turns))
        for span, speaker in zip(spans, known, strict=True)
    ]
    segments = tuple(_segments(parsed, heard, speakers))
    places = SegmentPlaces(parsed.source, [segment.text for segment in segments])
    words = [
        TranscriptWord(
            word.text, *_rounded(span), word.emphasis, speaker, _confidence(span), *places.find(word.start, word.end)
        )
        for word, span, speaker in zip(parsed.words, spans, speakers, strict=True)
    ]
    confidences = [confidence for window in heard for confidence in window.tag_confidences]
    tags = [
        TranscriptTag(
            tag.name,
            _category(tag.category),
            tag.group,
            tag.known,
            tag.gap,
            *_rounded(span),
            None if confidence is None else round(confidence, PROBABILITY_DIGITS),
            *places.find(tag.start, tag.end),
        )
        for tag, span, confidence in zip(parsed.tags, _time_tags(parsed, heard, spans), confidences, strict=True)
    ]
    return Transcript(
        path=name,
        model=engine.model,
        engine=engine.name,
        language=language,
        duration_s=round(duration_s, TIME_DIGITS),
        text=parsed.source,
        plain_text=parsed.plain_text,
        segments=segments,
        words=tuple(words),
        tags=tuple(tags),
    )


def split_by_pauses(window: HeardWindow, speaker: str) -> list[HeardWindow]:
    """A window's segments as windows of their own, so that others can speak between them."""
    pieces = []
    for segment in split_segments(window.parsed, window.words):
        text = window.parsed.source[segment.start : segment.end].strip()
        piece = HeardWindow(
            *_extent(window, segment),
            text,
            parse(text),
            None if window.words is None else window.words[segment.first_word : segment.last_word],
            window.events[segment.first_tag : segment.last_tag],
            window.tag_confidences[segment.first_tag : segment.last_tag],
            speaker,
        )
        if (len(piece.parsed.words), len(piece.parsed.tags)) != (
            segment.last_word - segment.first_word,
            len(piece.events),
        ):
            return [replace(window, speaker=speaker)]  # a text that means something else when it is cut stays whole
        pieces.append(piece)
    return pieces


def _time_tags(
    parsed: TaggedText, heard: Sequence[HeardWindow], words: Sequence[TimedSpan | None]
) -> list[TimedSpan | None]:
    """Sounds and pauses where they are heard; what colours words, from the first to the last of its scope."""
    times = [event for window in heard for event in window.events]
    for scope in parsed.scopes:
        of_scope = [span for span in words[scope.first_word : scope.last_word] if span is not None]
        if of_scope:
            times[scope.tag] = TimedSpan(of_scope[0].start_s, of_scope[-1].end_s)
        elif any(span is not None for span in words):
            # A tag that colours nothing stands where the next word begins, or at the end.
            after = words[scope.first_word] if scope.first_word < len(words) else None
            at_s = heard[-1].end_s if after is None else after.start_s
            times[scope.tag] = TimedSpan(at_s, at_s)
    return times


def _segments(
    parsed: TaggedText, heard: Sequence[HeardWindow], speakers: Sequence[str | None]
) -> Iterator[TranscriptSegment]:
    """The windows' texts, cut where somebody pauses or another speaks."""
    offset = first_word = 0
    for window in heard:
        of_window = speakers[first_word : first_word + len(window.parsed.words)]
        for segment in split_segments(window.parsed, window.words, of_window):
            start_s, end_s = _extent(window, segment)
            start, end = offset + segment.start, offset + segment.end
            yield TranscriptSegment(
                start_s=round(start_s, TIME_DIGITS),
                end_s=round(end_s, TIME_DIGITS),
                text=parsed.source[start:end].strip(),
                plain_text=plain_part(parsed, start, end),
                speaker=next(iter(of_window[segment.first_word : segment.last_word]), window.speaker),
            )
        offset += len(window.text) + 1
        first_word += len(window.parsed.words)


def _extent(window: HeardWindow, segment: SegmentRange) -> tuple[float, float]:
    """When a segment of a window begins and ends; without times, when the window does."""
    sounds = [*(window.words or ())[segment.first_word : segment.last_word]]
    sounds += [event for event in window.events[segment.first_tag : segment.last_tag] if event is not None]
    start_s = min((span.start_s for span in sounds), default=window.start_s)
    return start_s, max((span.end_s for span in sounds), default=window.end_s)


def _rounded(span: TimedSpan | None) -> tuple[float | None, float | None]:
    return (None, None) if span is None else (round(span.start_s, TIME_DIGITS), round(span.end_s, TIME_DIGITS))


def _confidence(span: TimedSpan | None) -> float | None:
    return None if span is None or span.confidence is None else round(span.confidence, PROBABILITY_DIGITS)


def _category(category: Category | None) -> str | None:
    return None if category is None else str(category)
