"""What may stand where sound is missing: no window goes on behind a hole, no half word at its edge, no tag near it.

Knows holes of a recording and what was heard around them; nothing of why sound is missing.
"""

from collections.abc import Iterator, Sequence

from evoxtral.audio import Hole
from evoxtral.inference.chunking import MIN_SPEECH_S, Window
from evoxtral.inference.heard_window import HeardWindow
from evoxtral.inference.timing import TimedSpan
from evoxtral.inference.vad import FRAME_S

# No tag stands so close to where sound is missing: a voice that breaks off there sounds moved.
_HOLE_MARGIN_S = 1.0
# A shorter hole is no end of a window: the words around it tell what is missing.
_MIN_HOLE_S = 0.5

# A word that reaches so near to a hole may be half of one. Half a word is written as another word, but with doubt: of
# the last words of 55 clips cut in the middle of a word, those below the first probability were 11 wrong ones and 6
# that were only begun, and no whole one. The first word of a window is always less sure: below the second probability
# were 7 wrong ones, 3 that were begun and 2 whole ones. Words beside a dropped one go with it if they are as unsure
# as that, or if all that stands between the hole and the next pause is too short to be understood.
_EDGE_S = 0.1
_MIN_LAST_CONFIDENCE = 0.5
_MIN_FIRST_CONFIDENCE = 0.2
_FRAGMENT_S = 0.5
_PAUSE_S = 0.2


def split_at_holes(window: Window, holes: Sequence[Hole]) -> Iterator[Window]:
    """The parts of a window before, between and behind holes, as far as there is speech in them."""
    edges_s = sorted(
        edge_s
        for hole in holes
        if hole.end_s - hole.start_s >= _MIN_HOLE_S
        # `Window.split` goes to the end of a frame: the sound behind a hole stays whole.
        for edge_s in (hole.start_s, hole.end_s - FRAME_S)
        if window.start_s < edge_s < window.end_s
    )
    is_whole = True
    for edge_s in edges_s:
        parts = window.split(window.offset_of(edge_s))
        if parts is None:
            continue
        before, window = parts
        is_whole = False
        if before.speech_s >= MIN_SPEECH_S:
            yield before
    if is_whole or window.speech_s >= MIN_SPEECH_S:
        yield window


def are_near(holes: Sequence[Hole], window: Window) -> bool:
    """Whether sound is missing in a window or beside it."""
    start_s, end_s = window.start_s - _HOLE_MARGIN_S, window.end_s + _HOLE_MARGIN_S
    return any(hole.start_s < end_s and hole.end_s > start_s for hole in holes)


def text_at_holes(holes: Sequence[Hole], heard: HeardWindow) -> str:
    """The text of a window without tags that begin or are heard near a hole (without times: any), and half words."""
    parsed = heard.parsed
    times = list(heard.events)
    for scope in parsed.scopes:
        if heard.words and scope.first_word < len(heard.words):
            start_s = heard.words[scope.first_word].start_s
            times[scope.tag] = TimedSpan(start_s, start_s)
    dropped: list[tuple[int, int]] = [
        (tag.start, tag.end)
        for tag, span in zip(parsed.tags, times, strict=True)
        if span is None
        or any(
            hole.start_s - _HOLE_MARGIN_S < span.end_s and hole.end_s + _HOLE_MARGIN_S > span.start_s for hole in holes
        )
    ]
    dropped += [(parsed.words[index].start, parsed.words[index].end) for index in _half_words(holes, heard)]
    kept = parsed.source
    for start, end in sorted(dropped, reverse=True):
        kept = kept[:start] + kept[end:]
    return " ".join(kept.split())


def _half_words(holes: Sequence[Hole], heard: HeardWindow) -> set[int]:
    """The words of a window that ends or begins with a hole of which only a part can have been heard."""
    words = list(enumerate(heard.words or ()))
    long = [hole for hole in holes if hole.end_s - hole.start_s >= _MIN_HOLE_S]
    found: set[int] = set()
    if any(abs(hole.start_s - heard.end_s) <= FRAME_S for hole in long):
        found |= _unsure_from(words[::-1], heard.end_s, _MIN_LAST_CONFIDENCE)
    if any(abs(hole.end_s - heard.start_s) <= FRAME_S for hole in long):
        found |= _unsure_from(words, heard.start_s, _MIN_FIRST_CONFIDENCE)
    return found


def _unsure_from(words: Sequence[tuple[int, TimedSpan]], edge_s: float, least: float) -> set[int]:
    """The first of the words, counted from an edge, if it reaches to the edge and is unsure, and what goes with it."""

    def is_unsure(span: TimedSpan, least: float) -> bool:
        return span.confidence is not None and span.confidence < least

    if not words or _distance_s(words[0][1], edge_s)[0] > _EDGE_S or not is_unsure(words[0][1], least):
        return set()
    found = {words[0][0]}
    for index, span in words[1:]:
        if not is_unsure(span, _MIN_FIRST_CONFIDENCE):
            break
        found.add(index)
    fragment = [words[0]]
    for word in words[1:]:
        if _distance_s(word[1], edge_s)[0] - _distance_s(fragment[-1][1], edge_s)[1] >= _PAUSE_S:
            break
        fragment.append(word)
    if _distance_s(fragment[-1][1], edge_s)[1] <= _FRAGMENT_S:
        found |= {index for index, _ in fragment}
    return found


def _distance_s(span: TimedSpan, edge_s: float) -> tuple[float, float]:
    """How far the nearer and the farther end of a word are from an edge."""
    nearer_s, farther_s = sorted((abs(span.start_s - edge_s), abs(span.end_s - edge_s)))
    return nearer_s, farther_s
