"""What may stand where sound is missing: no tags near a hole.

Knows holes of a recording and what was heard around them; nothing of why sound is missing.
"""

from collections.abc import Sequence

from evoxtral.audio import Hole
from evoxtral.inference.chunking import Window
from evoxtral.inference.heard_window import HeardWindow
from evoxtral.inference.timing import TimedSpan

# No tag stands so close to where sound is missing: a voice that breaks off there sounds moved.
_HOLE_MARGIN_S = 1.0


def are_near(holes: Sequence[Hole], window: Window) -> bool:
    """Whether sound is missing in a window or beside it."""
    start_s, end_s = window.start_s - _HOLE_MARGIN_S, window.end_s + _HOLE_MARGIN_S
    return any(hole.start_s < end_s and hole.end_s > start_s for hole in holes)


def without_tags_at(holes: Sequence[Hole], heard: HeardWindow) -> str:
    """The text of a window without the tags that begin or are heard where sound is missing; without times, any tags."""
    parsed = heard.parsed
    times = list(heard.events)
    for scope in parsed.scopes:
        if heard.words and scope.first_word < len(heard.words):
            start_s = heard.words[scope.first_word].start_s
            times[scope.tag] = TimedSpan(start_s, start_s)
    dropped = {
        tag
        for tag, span in zip(parsed.tags, times, strict=True)
        if span is None
        or any(
            hole.start_s - _HOLE_MARGIN_S < span.end_s and hole.end_s + _HOLE_MARGIN_S > span.start_s for hole in holes
        )
    }
    kept = "".join("" if item in dropped else item.text for item in parsed.items)
    return " ".join(kept.split())
