"""What every text-to-speech engine looks like from outside.

Holds the protocol and the records that cross it; knows no engine and nothing of corpora or models.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice that an engine can speak with.

    Attributes:
        name: what the user types after `--voice`; unique within the engine.
        description: one line for lists, such as "American English, female".
    """

    name: str
    description: str


@dataclass(frozen=True, slots=True)
class TimedWord:
    """One spoken word of the text (`index` counts the words of the parsed text) with its place in the audio."""

    index: int
    word: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class TimedTag:
    """One tag of the text (`index` counts its tags) with the stretch of audio where it is heard.

    A non-verbal sound or a pause has its own stretch; an emotion or delivery tag the stretch of its scope.
    """

    index: int
    tag: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpokenTurn:
    """What one speaker of a dialogue says, and by which voice."""

    text: str
    voice: str


@dataclass(frozen=True, slots=True)
class TimedTurn:
    """One turn of a dialogue (`index` counts them) with its place in the audio."""

    index: int
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """What an engine made of one text.

    Attributes:
        samples: mono float32 in [-1, 1], shape (n,).
        sample_rate_hz: rate of `samples`.
        words, tags: places in the audio, in order; empty where the engine cannot tell.
        turns: those of a dialogue's turns; empty for one speaker, or where the engine cannot tell.
        engine: the engine that really spoke, such as "local/espeak" or "elevenlabs".
        voice: name of the voice that really spoke.
        text: the tagged text whose words and tags `words` and `tags` count: what was given, less what a voice cannot
            say; empty where the engine speaks what it was given.
        notes: one line for each kind of thing in the text that was not spoken.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    engine: str
    voice: str
    words: tuple[TimedWord, ...] = ()
    tags: tuple[TimedTag, ...] = ()
    text: str = ""
    notes: tuple[str, ...] = ()
    turns: tuple[TimedTurn, ...] = ()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz


@runtime_checkable
class SpeechEngine(Protocol):
    """Turns tagged text into speech. The same text, voice and seed give the same samples where the engine allows."""

    name: str

    def voices(self) -> Sequence[Voice]:
        """The voices that can be used on this machine now."""
        ...

    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        """Speak tagged text.

        Raises:
            VoiceError: the voice is unknown, or the engine lacks something (the hint says what to install).
        """
        ...


@dataclass(frozen=True, slots=True)
class PaidSpeech:
    """Speech that somebody charged for.

    Attributes:
        characters: what it cost, with the attempts that were charged and gave nothing usable.
        request_id: the service's name for the request, or None.
    """

    speech: Speech
    characters: int
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class LostRequest:
    """A request whose answer did not arrive, because its process was killed or the line broke.

    Attributes:
        sent_unix_s: when it was sent first, in seconds since 1970 UTC.
        turns: of a dialogue; `text` and `voice` are then what they say together, and the first voice.
    """

    text: str
    voice: str
    sent_unix_s: float
    turns: tuple[SpokenTurn, ...] = ()


@runtime_checkable
class RemoteSpeechEngine(SpeechEngine, Protocol):
    """An engine that speaks many texts at once over the network, and charges for them."""

    @property
    def concurrency(self) -> int:
        """How many texts are worth having under way now; changes as the service tells its limits."""
        ...

    @property
    def charged_characters(self) -> int:
        """What was charged since the engine was made, in characters."""
        ...

    def limit_charges(self, characters: int) -> None:
        """Send no request that could bring what is charged from now on above `characters`."""
        ...

    def cost_of(self, text: str) -> int:
        """What `text` will be charged, in characters."""
        ...

    async def speak_paid(self, text: str, *, voice: str, seed: int = 0) -> PaidSpeech:
        """Speak tagged text; retries by itself.

        Raises:
            VoiceError: no text at all can be spoken any more (no key or budget is left, the voice does not exist).
            EvoxtralError: this text cannot be spoken; others may.
        """
        ...

    async def speak_dialogue_paid(self, turns: Sequence[SpokenTurn], *, seed: int = 0) -> PaidSpeech:
        """Speak the turns of a dialogue as one piece of speech; it is charged and fails as `speak_paid`."""
        ...

    async def recall(
        self, lost: Sequence[LostRequest], *, known_request_ids: Collection[str]
    ) -> list[PaidSpeech | None]:
        """What the service made of each request, where it has kept that; None where it has not. Nothing is charged.

        Args:
            known_request_ids: requests whose speech has arrived.

        Raises:
            EvoxtralError: the service cannot be asked now.
        """
        ...

    def stop(self) -> None:
        """Start no further request: what is under way ends, what waits or would be retried fails."""
        ...

    async def aclose(self) -> None:
        """Close the connections."""
        ...
