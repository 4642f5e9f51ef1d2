"""What every base voice looks like: it speaks plain phrases and says when each word was heard.

Holds the protocols and the record that crosses them; knows no voice and nothing of tags or delivery.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from evoxtral.findings import Finding
from evoxtral.models import ModelStore
from evoxtral.tts.speech_engine import Voice

SAMPLE_WORDS = ("Ah,", "I", "was", "far", "along", "the", "path.")  # open vowels, to measure a speaker by


@dataclass(frozen=True, slots=True)
class PlainSpeech:
    """Undelivered speech of one phrase.

    Attributes:
        samples: mono float32 in [-1, 1], shape (n,), silence at both ends removed.
        sample_rate_hz: rate of `samples`.
        words: (start_s, end_s) of each word of the phrase, in order, monotone; a word without sound of its own
            (a lone dash) has no length.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    words: tuple[tuple[float, float], ...]


class BaseVoice(Protocol):
    """Speaks plain phrases."""

    engine: str

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        """Plain speech of one phrase, given as its words with their punctuation."""
        ...

    def sample(self) -> PlainSpeech:
        """A few seconds of plain speech to measure the speaker by."""
        ...


class VoiceFamily(Protocol):
    """The base voices of one kind; a module with these three functions is one."""

    def voices(self, store: ModelStore) -> list[Voice]:
        """Those that can be used on this machine now, under their full names, without asking the network."""
        ...

    def load(self, name: str, store: ModelStore, cache_folder: Path | None) -> BaseVoice:
        """The voice of that name within the family.

        Args:
            cache_folder: where phrases may be kept that are dear to make, or None.

        Raises:
            VoiceError: the voice or its package or weights are not there; the hint says what to do.
        """
        ...

    def probe(self, store: ModelStore) -> Finding:
        """What there is and what is missing."""
        ...


def probe_folder(kind: str, found: Sequence[Voice], variable: str, place: str | None, holds: str) -> Finding:
    """What to say of a family whose voices lie where an environment variable says.

    Args:
        place: what the variable is set to.
        holds: what it should be set to, as "a folder with ...".
    """
    if found:
        return Finding(kind, True, count_voices(len(found)))
    detail = f"no voices in {place}" if place else f"{variable} is not set"
    return Finding(kind, False, detail, f"set {variable} to {holds}")


def count_voices(count: int) -> str:
    """ "1 voice", "2 voices"."""
    return f"{count} {'voice' if count == 1 else 'voices'}"
