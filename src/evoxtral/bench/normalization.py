"""English text as Whisper's authors normalise it before they count word errors. Knows nothing of tags."""

import re
from functools import cache

from whisper_normalizer.english import EnglishTextNormalizer

_ELLIPSIS = re.compile(r"\.{2,}|…")
# Each opening mark that is never closed costs the normaliser a look at the whole rest of the text.
_UNCLOSED_MATTERS_CHARACTERS = 10_000


@cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def normalise_english(text: str) -> str:
    """Lower case without punctuation and fillers, with one spelling for contractions, numbers and British variants.

    Source: Radford et al. 2022 (Whisper), appendix C. Ellipses are taken out before, as it would leave their dots
    standing as words or turn them into decimal points. Any text is normalised: what the normaliser fails at (numbers
    of thousands of digits) only gets lower case.
    """
    prepared = _ELLIPSIS.sub(" ", text)
    if len(prepared) > _UNCLOSED_MATTERS_CHARACTERS:
        prepared = _without_unclosed(_without_unclosed(prepared, "[<", "]>"), "(", ")")
    # Runs of white space cost it the square of their length.
    return " ".join(_normalised(" ".join(prepared.split())).split())


def _normalised(text: str) -> str:
    try:
        return str(_normalizer()(text))
    except (AssertionError, ValueError):
        words = text.split()
        if len(words) < 2:
            return text.lower()
        half = len(words) // 2
        return f"{_normalised(' '.join(words[:half]))} {_normalised(' '.join(words[half:]))}"


def _without_unclosed(text: str, opening: str, closing: str) -> str:
    """The text without the opening marks after which nothing closes; the normaliser makes spaces of them too."""
    last = max(text.rfind(mark) for mark in closing)
    return text[: last + 1] + text[last + 1 :].translate({ord(mark): " " for mark in opening})
