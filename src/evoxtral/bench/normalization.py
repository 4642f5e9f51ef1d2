"""English text as Whisper's authors normalise it before they count word errors. Knows nothing of tags."""

import re
from functools import cache

from whisper_normalizer.english import EnglishTextNormalizer

_ELLIPSIS = re.compile(r"\.{2,}|…")


@cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def normalise_english(text: str) -> str:
    """Lower case without punctuation and fillers, with one spelling for contractions, numbers and British variants.

    Source: Radford et al. 2022 (Whisper), appendix C. Ellipses are taken out before, as it would leave their dots
    standing as words or turn them into decimal points.
    """
    return " ".join(str(_normalizer()(_ELLIPSIS.sub(" ", text))).split())
