"""What of an engine's text may stand: no text without speech, no half tags. Knows one window at a time.

Loops are another matter (`evoxtral.inference.repetition`): they need an alignment.
"""

import re

from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.tags import Tag, parse

# Thresholds of Whisper's own decoding (arXiv 2212.04356, section 4.5).
MIN_MEAN_LOG_PROBABILITY = -1.0
_MIN_NO_SPEECH_PROBABILITY = 0.6

# A text of tags alone must be surer: a dog, a violin or a baby is written as a laugh or a cry too, but with doubt. Of
# ESC-10's sounds 28 in 80 gave tags and 5 are left; of the laughs of unseen speakers 22 in 24 stay.
_MIN_MEAN_LOG_PROBABILITY_WITHOUT_WORDS = -0.1

# Nobody speaks more words a second; a text that claims it was not heard. A few words are free, because the detector
# misses the edges of short speech.
_MAX_WORDS_PER_S = 7.0
_FREE_WORDS = 3

_STRAY = re.compile(r"[\[\]\x00-\x08\x0b-\x1f\x7f]+")


def is_doubtful(hypothesis: Hypothesis) -> bool:
    """Whether an engine is so unsure of a text that a wider search is worth its time."""
    mean = hypothesis.mean_log_probability
    return mean is not None and mean < MIN_MEAN_LOG_PROBABILITY


def heard_text(hypothesis: Hypothesis, speech_s: float) -> str:
    """The part of a hypothesis that was heard in a window with so many seconds of speech; "" if it is invented.

    Brackets that belong to no tag are dropped (nobody speaks one, and half a tag must not meet the other half of
    another window's), white space is single.
    """
    if _is_invented(hypothesis, speech_s):
        return ""
    pieces = [
        item.text if isinstance(item, Tag) else _STRAY.sub(" ", item.text) for item in parse(hypothesis.text).items
    ]
    text = " ".join("".join(pieces).split())
    return "" if _is_doubtful_sound(text, hypothesis) else text


def is_too_fast(text: str, speech_s: float) -> bool:
    """Whether a text has more words than anybody says in so many seconds of speech."""
    return len(parse(text).words) > _FREE_WORDS + _MAX_WORDS_PER_S * speech_s


def _is_invented(hypothesis: Hypothesis, speech_s: float) -> bool:
    unsure = hypothesis.mean_log_probability is None or hypothesis.mean_log_probability < MIN_MEAN_LOG_PROBABILITY
    silent = (hypothesis.no_speech_probability or 0.0) > _MIN_NO_SPEECH_PROBABILITY
    return speech_s <= 0.0 or (unsure and silent)


def _is_doubtful_sound(text: str, hypothesis: Hypothesis) -> bool:
    mean = hypothesis.mean_log_probability
    unsure = mean is None or mean < _MIN_MEAN_LOG_PROBABILITY_WITHOUT_WORDS
    return unsure and not parse(text).words
