"""What a caller may choose about a transcript, whatever engine makes it: one object for Python, CLI and server.

Knows choices and which of them go together; nothing of how they are carried out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from evoxtral.errors import EvoxtralError

MAX_KEYWORDS = 200
MAX_KEYWORD_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """Choices for a transcript.

    Attributes:
        language: spoken language, ISO 639-1.
        times: whether words, tags and segments get times, by alignment with the edge model.
        diarize: whether words and segments get speakers, SPEAKER_1 and so on; they need times.
        min_speakers, max_speakers: bounds of the number of speakers, where they are known; with `diarize` only.
        track: which of several sound tracks, counted from 1; by default see `evoxtral.audio.open_audio`.
        keywords: names and terms that are likely to be said, for their spelling (`evoxtral.inference.keywords`).
        channels: whether each channel of the recording is heard by itself, as one speaker's: CHANNEL_1 and so on.
        known_speakers: voices by name, as `voice_of` gives them: whoever has one gets that name in the place of a
            number; with `diarize` only.

    Raises:
        EvoxtralError: two of them contradict each other.
    """

    language: str = "en"
    times: bool = True
    diarize: bool = False
    min_speakers: int | None = None
    max_speakers: int | None = None
    track: int | None = None
    keywords: tuple[str, ...] = ()
    channels: bool = False
    known_speakers: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keywords", tuple(self.keywords))  # as they come from JSON they are a list
        if self.channels and self.diarize:
            raise EvoxtralError(
                "each channel is one speaker's, so that nobody is to be told apart", "ask for one of them"
            )
        if self.known_speakers and not self.diarize:
            raise EvoxtralError("speakers are known and nobody tells speakers apart", "ask for diarize")
        if len(self.keywords) > MAX_KEYWORDS:
            raise EvoxtralError(f"{len(self.keywords)} keywords are too many", f"give at most {MAX_KEYWORDS}")
        for keyword in self.keywords:
            if not any(letter.isalnum() for letter in keyword) or len(keyword) > MAX_KEYWORD_CHARACTERS:
                raise EvoxtralError(
                    f"{keyword[:40]!r} is no keyword",
                    f"a keyword is a name or term of 1 to {MAX_KEYWORD_CHARACTERS} letters",
                )
        bounds = [bound for bound in (self.min_speakers, self.max_speakers) if bound is not None]
        if bounds and not self.diarize:
            raise EvoxtralError("the number of speakers is bounded and nobody tells speakers apart", "ask for diarize")
        if min(bounds, default=1) < 1:
            raise EvoxtralError("fewer than one speaker is asked for", "min_speakers and max_speakers count from 1")
        if self.track is not None and self.track < 1:
            raise EvoxtralError(f"there is no sound track {self.track}", "tracks count from 1")
        if self.min_speakers is not None and self.max_speakers is not None and self.min_speakers > self.max_speakers:
            raise EvoxtralError("min_speakers is more than max_speakers", "swap them")
