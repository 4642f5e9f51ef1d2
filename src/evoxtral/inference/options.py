"""What a caller may choose about a transcript, whatever engine makes it: one object for Python, CLI and server.

Knows choices and which of them go together; nothing of how they are carried out.
"""

from dataclasses import dataclass

from evoxtral.errors import EvoxtralError


@dataclass(frozen=True, slots=True)
class TranscribeOptions:
    """Choices for a transcript.

    Attributes:
        language: spoken language, ISO 639-1.
        times: whether words, tags and segments get times, by alignment with the edge model.
        diarize: whether words and segments get speakers, SPEAKER_1 and so on; they need times.
        min_speakers, max_speakers: bounds of the number of speakers, where they are known; with `diarize` only.
        track: which of several sound tracks, counted from 1; by default see `evoxtral.audio.open_audio`.

    Raises:
        EvoxtralError: two of them contradict each other.
    """

    language: str = "en"
    times: bool = True
    diarize: bool = False
    min_speakers: int | None = None
    max_speakers: int | None = None
    track: int | None = None

    def __post_init__(self) -> None:
        bounds = [bound for bound in (self.min_speakers, self.max_speakers) if bound is not None]
        if bounds and not self.diarize:
            raise EvoxtralError("the number of speakers is bounded and nobody tells speakers apart", "ask for diarize")
        if min(bounds, default=1) < 1:
            raise EvoxtralError("fewer than one speaker is asked for", "min_speakers and max_speakers count from 1")
        if self.track is not None and self.track < 1:
            raise EvoxtralError(f"there is no sound track {self.track}", "tracks count from 1")
        if self.min_speakers is not None and self.max_speakers is not None and self.min_speakers > self.max_speakers:
            raise EvoxtralError("min_speakers is more than max_speakers", "swap them")
