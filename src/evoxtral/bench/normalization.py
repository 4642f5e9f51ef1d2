"""English text as Whisper's authors normalise it before they count word errors. Knows nothing of tags."""

from functools import cache

from whisper_normalizer.english import EnglishTextNormalizer


@cache
def _normalizer() -> EnglishTextNormalizer:
    return EnglishTextNormalizer()


def normalise_english(text: str) -> str:
    """Lower case without punctuation and fillers, with one spelling for contractions, numbers and British variants.

    Source: Radford et al. 2022 (Whisper), appendix C.
    """
    return " ".join(str(_normalizer()(text)).split())
