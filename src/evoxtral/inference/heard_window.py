"""What was said in one window: its text with the times of its words and tags in the recording.

Knows a window, its text and its alignment; nothing of engines or of other windows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from evoxtral.inference.chunking import Window
from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.inference.timing import TimedSpan, tag_confidences, time_events, time_words
from evoxtral.tags import TaggedText, parse


@dataclass(frozen=True)
class HeardWindow:
    """What was said in one window; times are seconds from the start of the recording, None without alignment.

    Attributes:
        start_s, end_s: the window's.
        text: tagged text, not empty.
        parsed: the same, parsed.
        words: one a word of `parsed`.
        events: one a tag of `parsed`: where a sound or pause is heard; None for tags that colour words.
        tag_confidences: one a tag of `parsed`: its probability; None without alignment.
        speaker: who is known to speak all of it; None where that is to be found out.
    """

    start_s: float
    end_s: float
    text: str
    parsed: TaggedText
    words: tuple[TimedSpan, ...] | None
    events: tuple[TimedSpan | None, ...]
    tag_confidences: tuple[float | None, ...]
    speaker: str | None = None

    def without_times(self) -> "HeardWindow":
        nothing = (None,) * len(self.events)
        return replace(self, words=None, events=nothing, tag_confidences=nothing)


def place_words(window: Window, text: str, tokens: Sequence[AlignedToken] | None) -> HeardWindow:
    """The text of a window with its times in the recording, from its alignment; without one, with none."""
    parsed = parse(text)
    words: list[TimedSpan] | None = None
    events: list[TimedSpan | None] = [None] * len(parsed.tags)
    confidences: list[float | None] = [None] * len(parsed.tags)
    if tokens is not None:
        local = time_words(parsed, tokens, window.samples)
        times = time_events(parsed, local, tokens, window.samples)
        words = [_place(window, span) for span in local]
        events = [None if span is None else _place(window, span) for span in times]
        confidences = tag_confidences(parsed, tokens)
    return HeardWindow(
        window.start_s,
        window.end_s,
        text,
        parsed,
        None if words is None else tuple(words),
        tuple(events),
        tuple(confidences),
    )


def _place(window: Window, span: TimedSpan) -> TimedSpan:
    """Move a time from the window to the recording."""
    start_s = window.time_in_recording(span.start_s)
    return TimedSpan(start_s, max(start_s, window.time_in_recording(span.end_s, is_end=True)), span.confidence)
