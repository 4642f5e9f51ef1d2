"""What becomes of a window whose text ends though speech goes on: the rest is heard by itself.

A decoder may stop after the first of several sentences. The detector knows where speech is, the alignment where the
last word is heard. Knows windows, texts and alignments; nothing of engines.
"""

from collections.abc import Callable, Sequence

from evoxtral.inference.chunking import Window
from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.inference.loops import Align, end_of
from evoxtral.tags import parse

# So much speech behind the last word is more than an alignment errs by, or than a last syllable lasts.
MIN_UNHEARD_S = 2.0
# So often the rest of a window is heard by itself; each time less of it is left.
_MOST_RESTS = 4
# People say 10 to 15 letters in a second of speech. A text with fewer may have ended early.
_SPARSE_LETTERS_PER_S = 9.0
# A rest that says fewer words is no sentence that was missed: a cry, a laugh or an echo of the last word.
_MIN_WORDS = 2


def is_sparse(window: Window, text: str) -> bool:
    """Whether a text is so short for its window that it may have ended early, which an alignment can tell."""
    letters = sum(character.isalnum() for word in parse(text).words for character in word.text)
    return window.speech_s > MIN_UNHEARD_S and 0 < letters < _SPARSE_LETTERS_PER_S * window.speech_s


def with_rests(
    window: Window,
    text: str,
    tokens: Sequence[AlignedToken] | None,
    read: Callable[[Window], str],
    align: Align,
    rests: int = _MOST_RESTS,
) -> list[tuple[Window, str, Sequence[AlignedToken] | None]]:
    """The parts of a window, each with its text and alignment: one, or where the text ends early, several.

    Args:
        tokens: alignment of the text; without one nothing is known of its end.
        read: the text of a further window, "" where nothing is said.
    """
    whole = [(window, text, tokens)]
    end_s = end_of(text, tokens)
    parts = None if end_s is None or rests == 0 else window.split(end_s)
    if parts is None or parts[1].speech_s < MIN_UNHEARD_S:
        return whole
    before, rest = parts
    more = read(rest)
    said = _plain_words(more)
    # An alignment that ends too early has the last words said twice.
    if len(said) < _MIN_WORDS or said == _plain_words(text)[-len(said) :]:
        return whole
    return [
        (before, text, align([before], [text], [0])[0]),
        *with_rests(rest, more, align([rest], [more], [0])[0], read, align, rests - 1),
    ]


def _plain_words(text: str) -> list[str]:
    words = ("".join(filter(str.isalnum, word.text.casefold())) for word in parse(text).words)
    return [word for word in words if word]
