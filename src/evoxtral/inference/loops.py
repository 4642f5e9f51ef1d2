"""What becomes of a window whose text holds a loop: the loop is cut, and the speech that it covered is heard again.

A model that has lost the thread writes the same words until it is stopped; what was said meanwhile is in no text. The
rest of the window then is a window of its own, which begins without the words that led astray. Knows windows, texts and
alignments; nothing of engines.
"""

from collections.abc import Callable, Sequence
from typing import Protocol

from evoxtral.inference.chunking import Window
from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.inference.hallucination_filter import is_too_fast
from evoxtral.inference.repetition import cut_loops, repeated_runs

# So often a window is heard again from behind a loop; each time less of it is left.
_MOST_SEARCHES = 4
# Less speech behind a loop is not worth it: an alignment may be wrong by as much.
_MIN_REST_S = 1.0
# No word takes longer. The last one before a loop seems to, where nothing follows it in the text that is aligned.
_LONGEST_WORD_S = 1.2


class Align(Protocol):
    def __call__(
        self, batch: Sequence[Window], texts: Sequence[str], chosen: Sequence[int]
    ) -> list[list[AlignedToken] | None]:
        """The tokens of the chosen texts in their windows; None each where nothing can align."""
        ...


def without_loops(
    batch: Sequence[Window], texts: Sequence[str], read: Callable[[Window], str], align: Align
) -> tuple[list[Window], list[str]]:
    """Windows and texts without repetitions that are not heard, and without text that is too fast to have been said.

    Args:
        read: the text of a further window, "" where nothing is said.

    Returns:
        the windows in order, some of them in several parts, and the text of each.
    """
    doubtful = [index for index, text in enumerate(texts) if repeated_runs(text)]
    aligned = dict(zip(doubtful, align(batch, texts, doubtful), strict=True))
    parts: list[tuple[Window, str]] = []
    for index, (window, text) in enumerate(zip(batch, texts, strict=True)):
        if index in aligned:
            parts += _mended(window, text, aligned[index], read, align, _MOST_SEARCHES)
        else:
            parts.append((window, text))
    checked = ["" if is_too_fast(text, window.speech_s) else text for window, text in parts]
    return [window for window, _ in parts], checked


def _mended(
    window: Window,
    text: str,
    tokens: list[AlignedToken] | None,
    read: Callable[[Window], str],
    align: Align,
    searches: int,
) -> list[tuple[Window, str]]:
    """The parts of a window whose text has runs: up to the first loop, and what is heard behind it."""
    cut = cut_loops(text, tokens, window.speech)
    if cut == text.rstrip() or tokens is None or searches == 0:
        return [(window, cut)]
    # The first run that was cut, said once.
    run = next(run for run in repeated_runs(text) if not cut.startswith(text[: run.starts[-1]].rstrip()))
    kept = text[: run.starts[1]].rstrip()
    end_s = end_of(kept, align([window], [kept], [0])[0])
    both = None if end_s is None else window.split(end_s)
    if both is None or both[1].speech_s < _MIN_REST_S:
        return [(window, cut)]
    before, rest = both
    heard = read(rest)
    if not heard:
        return [(window, cut)]
    if not repeated_runs(heard):
        return [(before, kept), (rest, heard)]
    return [(before, kept), *_mended(rest, heard, align([rest], [heard], [0])[0], read, align, searches - 1)]


def end_of(text: str, tokens: Sequence[AlignedToken] | None) -> float | None:
    """Where the last word of an aligned text ends, in seconds; None where that is not known."""
    if not tokens or tokens[-1].end < len(text):
        return None
    start = text.rfind(" ") + 1
    begins_s = next(token.start_s for token in tokens if token.end > start)
    return min(tokens[-1].end_s, begins_s + _LONGEST_WORD_S)
