"""What a service that is paid may answer: refusals by what they are about, and whether a sound is what was asked for.

Knows no service, no keys, and nothing of what is done about an answer.
"""

import hashlib
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.levels import rms
from evoxtral.errors import AudioError
from evoxtral.tags import parse

# Nobody speaks a word in less than this; shorter audio was cut off.
_MIN_WORD_S = 0.06
# Speech stays far below; compressed audio or other bytes taken for samples are noise near full scale.
_MAX_SPEECH_RMS = 0.45


class Trouble(Enum):
    """What a refusal is about."""

    VOICE = "the voice does not exist"
    KEY = "the key can be used no more"
    BUSY = "the key has too many requests under way"
    PASSING = "the same request may succeed later"
    TEXT = "this text is not taken"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A refusal, understood.

    Attributes:
        reason: one line, with whatever the service quotes.
        asked_s: how long the service asks to wait, or None.
        maximum: how many requests it takes at once, if it tells.
        is_crowded: whether it is our own requests that are too many.
    """

    trouble: Trouble
    reason: str
    asked_s: float | None = None
    maximum: int | None = None
    is_crowded: bool = False


class RefusedError(Exception):
    """The service refuses a request."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.trouble.value)
        self.refusal = refusal


class LineBrokeError(Exception):
    """No answer came, or not all of it; the message says why."""


class SoundCheck:
    """Looks at what was sent, and remembers it: a service in trouble may send one text's sound for another's.

    Args:
        title: of the service, for messages.
    """

    def __init__(self, title: str) -> None:
        self._title = title
        self._heard: dict[bytes, str] = {}

    def check(self, samples: NDArray[np.float32], sample_rate_hz: int, text: str) -> None:
        """Refuse what cannot be the speech of that text.

        Raises:
            AudioError: it is cut off, silent, noise, or was already heard for another text.
        """
        seconds = len(samples) / sample_rate_hz
        words = len(parse(text).words)
        if not seconds or seconds < words * _MIN_WORD_S:
            raise AudioError(f"{self._title} sent {seconds:.2f} s for {words} words")
        level = rms(samples)
        if (level == 0 and words) or level > _MAX_SPEECH_RMS:
            raise AudioError(f"{self._title} sent {'noise' if level else 'silence'} instead of speech")
        digest = hashlib.blake2b(samples.tobytes(), digest_size=16).digest()
        if self._heard.setdefault(digest, text) != text:
            raise AudioError(f"{self._title} sent the sound of another text")
