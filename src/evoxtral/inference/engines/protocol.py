"""What every transcription engine looks like from outside: windows of audio in, hypotheses out.

Holds the protocol only; cutting long audio, joining and timing happen above it (`evoxtral.inference.pipeline`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from evoxtral.inference.emotion_head import Emotion


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """What an engine heard in one window.

    Attributes:
        text: tagged text, "" where nothing was said.
        mean_log_probability: mean natural-log probability of the text's tokens, or None where unknown.
        no_speech_probability: probability that nothing is said in the window, or None where unknown.
    """

    text: str
    mean_log_probability: float | None = None
    no_speech_probability: float | None = None


@runtime_checkable
class TranscriptionEngine(Protocol):
    """Transcribes windows of at most `max_window_s` seconds.

    Attributes:
        name: kind of engine, such as "ctranslate2", "torch" or "remote".
        model: the model's name as the user gave it.
        max_window_s: the longest window that one call may hold.
        batch_size: how many windows one call takes best; it takes any number.
    """

    name: str
    model: str
    max_window_s: float
    batch_size: int

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        """Transcribe mono float32 16 kHz windows, each of shape (n_i,); one hypothesis a window, in order."""
        ...


@runtime_checkable
class TokenStreamer(Protocol):
    """Gives a window's text while it is being written, as some engines can."""

    def stream_window(self, window: NDArray[np.float32], *, language: str = "en") -> Iterator[str]:
        """The text of one window piece by piece; joined, the pieces are what `transcribe_windows` gives."""
        ...


@runtime_checkable
class Drafter(Protocol):
    """Tells quickly what windows say so far that are still growing, at the end of which half a word may stand."""

    def draft_windows(
        self, windows: Sequence[NDArray[np.float32]], beginnings: Sequence[str], *, language: str = "en"
    ) -> list[Hypothesis]:
        """Hypotheses that begin with what is certain of each window ("" for nothing); windows as above."""
        ...


class LiveText(Protocol):
    """A stream of sound that is written while it is heard."""

    @property
    def mean_log_probability(self) -> float | None:
        """Of the tokens of text so far; None where there are none."""
        ...

    def close(self) -> None:
        """Nothing more is wanted of it; may be called in any thread."""
        ...


@runtime_checkable
class LiveWriter(Protocol):
    """Writes sound while it is heard: what is written stays, whatever pieces the sound comes in.

    Attributes:
        writes_live: whether its model does.
    """

    @property
    def writes_live(self) -> bool: ...

    def new_stream(self) -> LiveText:
        """A stream without sound so far; may be called in any thread."""
        ...

    def write_streams(
        self, streams: Sequence[LiveText], sounds: Sequence[NDArray[np.float32]], ends: Sequence[bool]
    ) -> list[str]:
        """The further text of each stream after further samples of it, mono float32 at 16 kHz.

        Args:
            ends: whether its sound is over; then all that is still to be written is.
        """
        ...


@runtime_checkable
class KeywordListener(Protocol):
    """Writes what windows say with names and terms in mind, as some engines can.

    Attributes:
        takes_keywords: whether its model does.
    """

    @property
    def takes_keywords(self) -> bool: ...

    def transcribe_prompted(
        self, windows: Sequence[NDArray[np.float32]], keywords: Sequence[Sequence[str]], *, language: str = "en"
    ) -> list[Hypothesis]:
        """Hypotheses of windows, each with its likely keywords; they may be written where nobody says them."""
        ...


@dataclass(frozen=True, slots=True)
class AlignedToken:
    """One token of an aligned text: its characters `start` to `end` (exclusive), and where they are heard.

    Attributes:
        start_s, end_s: seconds from the start of the window.
        probability: the model's probability of the token, given those before it.
    """

    start: int
    end: int
    start_s: float
    end_s: float
    probability: float


@runtime_checkable
class Aligner(Protocol):
    """Finds where given text is heard in windows."""

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        """The tokens of each text in order, their times rising; windows as for `transcribe_windows`."""
        ...


@runtime_checkable
class LanguageDetector(Protocol):
    """Tells which language is spoken, apart from any text that is written about it."""

    def detect_languages(self, windows: Sequence[NDArray[np.float32]]) -> list[Mapping[str, float] | None]:
        """The probability of each language by its ISO 639-1 code; None where the engine cannot tell."""
        ...


@runtime_checkable
class EmotionListener(Protocol):
    """Tells which emotion is heard in utterances, apart from any text that is written about them."""

    def hears_emotions_in(self, language: str) -> bool:
        """Whether it can in this language (ISO 639-1)."""
        ...

    def hear_emotions(self, utterances: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Emotion | None]:
        """The emotion of each utterance (mono, 16 kHz, one sentence or so); None where there is none to be sure of."""
        ...
