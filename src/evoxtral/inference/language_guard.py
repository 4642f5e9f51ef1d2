"""Is a window in the language that it was transcribed in? A model made for one language writes that, whatever it hears.

Asks a language detector (the engine's own, or another's) and the engine's confidence. Knows probabilities and names of
languages; no audio.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evoxtral.inference.chunking import Window
from evoxtral.inference.engines.protocol import Hypothesis, LanguageDetector
from evoxtral.inference.transcript import PROBABILITY_DIGITS

# A window whose language has less than this probability is not in it, unless the text is as sure as only understood
# speech is. Of 48 windows of English by four kinds of speakers none had less than 0.50, of 24 windows of twelve other
# languages none more than 0.31 (the packaged model; benchmarks/results/foreign_speech.json).
MIN_PROBABILITY = 0.35
MIN_MEAN_LOG_PROBABILITY = -0.1
# The packaged model knows English best. Speech that was to be in another language must also sound like one language
# more than like all others together.
_MIN_OTHER_PROBABILITY = 0.5
# A window with less speech tells no language.
MIN_SPEECH_S = 1.0

_NAMES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "he": "Hebrew",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nl": "Dutch",
    "no": "Norwegian",
    "pl": "Polish",
    "pt": "Portuguese",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
}


@dataclass(frozen=True, slots=True)
class LanguageDoubt:
    """A stretch of the recording, in seconds, whose text was left out because it is in another language.

    Attributes:
        likeliest: ISO 639-1 code of what it sounds most like.
    """

    start_s: float
    end_s: float
    likeliest: str


class LanguageGuard:
    """Takes note of the language of each window, and leaves out what was made of another one."""

    def __init__(self, language: str) -> None:
        self.doubts: list[LanguageDoubt] = []
        self._language = language
        self._heard_s = self._likely_s = 0.0
        self._is_whole = True

    @property
    def probability(self) -> float | None:
        """How likely the language is, over all speech; None if of some of it nothing was told."""
        return round(self._likely_s / self._heard_s, PROBABILITY_DIGITS) if self._heard_s and self._is_whole else None

    def leave_out_foreign(
        self,
        texts: Sequence[str],
        hypotheses: Sequence[Hypothesis],
        batch: Sequence[Window],
        detector: LanguageDetector,
        *,
        also_sure: bool,
    ) -> list[str]:
        """The texts, empty where another language is spoken.

        Args:
            also_sure: also ask about windows that would stay whatever the answer is, for `probability`; to hear a
                window for that alone takes longer than some engines take for its text.
        """
        left = list(texts)
        spoken = [index for index, text in enumerate(texts) if text]
        asked = [index for index in spoken if also_sure or not is_sure(hypotheses[index])]
        self._is_whole = self._is_whole and len(asked) == len(spoken)
        if not asked:
            return left
        found = detector.detect_languages([batch[index].samples for index in asked])
        for index, probabilities in zip(asked, found, strict=True):
            window = batch[index]
            if not probabilities or self._language not in probabilities:
                self._is_whole = False
                continue
            self._heard_s += window.speech_s
            self._likely_s += window.speech_s * probabilities[self._language]
            if is_foreign(hypotheses[index], probabilities, self._language, window.speech_s):
                likeliest = max(probabilities, key=lambda language: probabilities[language])
                self.doubts.append(LanguageDoubt(window.start_s, window.end_s, likeliest))
                left[index] = ""
        return left


def is_foreign(
    hypothesis: Hypothesis, probabilities: Mapping[str, float] | None, language: str, speech_s: float
) -> bool:
    """Whether a text is in all likelihood an invention about speech in another language.

    Args:
        probabilities: of each language that the engine tells apart, or None if it tells none.
    """
    if not probabilities or language not in probabilities or speech_s < MIN_SPEECH_S:
        return False
    if is_sure(hypothesis) or probabilities[language] >= MIN_PROBABILITY:
        return False
    return language == "en" or max(probabilities.values()) > _MIN_OTHER_PROBABILITY


def is_sure(hypothesis: Hypothesis) -> bool:
    """Whether an engine is as sure of a text as it is only of speech that it understood."""
    mean = hypothesis.mean_log_probability
    return mean is not None and mean >= MIN_MEAN_LOG_PROBABILITY


def note_doubts(doubts: Sequence[LanguageDoubt], language: str) -> list[str]:
    """What to tell of them; a line, or none."""
    if not doubts:
        return []
    likeliest = max({doubt.likeliest for doubt in doubts}, key=[doubt.likeliest for doubt in doubts].count)
    places = ", ".join(f"{doubt.start_s:.1f} to {doubt.end_s:.1f} s" for doubt in doubts[:3])
    more = f" and {len(doubts) - 3} more places" if len(doubts) > 3 else ""
    return [
        f"does not sound like {_name(language)} at {places}{more} (most like {_name(likeliest)}): "
        "what the model made of it is left out"
    ]


def _name(language: str) -> str:
    return _NAMES.get(language, f"the language {language!r}")
