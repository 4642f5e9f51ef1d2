"""The records that corpora and benchmarks are made of, one JSON object a line.

Scripts, clips (spoken scripts), clips set aside; references (what was said) and predictions (what a system heard).
Knows their fields and validity; knows nothing of who writes, speaks or scores them.
"""

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from evoxtral.data.files import stays_inside
from evoxtral.tags import parse


def _text_of_number(value: object) -> object:
    """Other programs number their lines: 1 and "1" are the same id."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _inside(path: str) -> str:
    if not stays_inside(path):
        raise ValueError(f"{path!r} leads out of the folder; give a path relative to it, without ..")
    return path


Id = Annotated[str, BeforeValidator(_text_of_number), Field(min_length=1)]
"""A name that is unique in its file; whole numbers are read as their digits."""

InsidePath = Annotated[str, AfterValidator(_inside)]
"""A path relative to the folder of the file that holds it, and leading to a place inside that folder."""


class SliceType(StrEnum):
    """How densely a script is tagged (SPEC section 2)."""

    PLAIN = "plain"
    LIGHT = "light"
    MODERATE = "moderate"
    DENSE = "dense"
    EDGE = "edge"


class Domain(StrEnum):
    """The kind of situation in which a script is spoken."""

    CONVERSATION = "conversation"
    MONOLOGUE = "monologue"
    PODCAST = "podcast"
    PRESENTATION = "presentation"
    ARGUMENT = "argument"
    STORYTELLING = "storytelling"
    INTERVIEW = "interview"
    VOICEMAIL = "voicemail"


class Turn(BaseModel):
    """What one speaker of a dialogue says before the other does.

    Attributes:
        speaker: who, within the script: "A", "B".
        voice: the voice that must speak it, and in a clip the one that did; None where voices take turns.
    """

    model_config = ConfigDict(frozen=True)

    speaker: str = Field(min_length=1)
    tagged_text: str = Field(min_length=1)
    voice: str | None = None


class _Text(BaseModel):
    """A tagged text: who says which part of it, and which of its tags its words give away."""

    model_config = ConfigDict(frozen=True)

    tagged_text: str
    turns: tuple[Turn, ...] = ()
    told: tuple[bool, ...] | None = None

    @model_validator(mode="after")
    def _is_of_one_piece(self) -> Self:
        if self.turns and " ".join(turn.tagged_text for turn in self.turns) != self.tagged_text:
            raise ValueError("turns: joined by spaces, they are not the tagged_text")
        if self.told is not None and len(self.told) != (tags := len(parse(self.tagged_text).tags)):
            raise ValueError(f"told: {len(self.told)} labels for {tags} tags")
        return self


class Script(_Text):
    """A text to be spoken.

    Attributes:
        id: unique in the corpus; also seeds what is random about the script's speech.
        tagged_text: the text with its tags; everything else about it is derived by `evoxtral.tags`.
        turns: of a dialogue, in order; joined by spaces they are the tagged text. Empty where one person speaks.
        told: for each tag of the text whether it follows from the words, so that a reader would guess it; False
            where only who hears it can know. None where nobody says.
        writer: who wrote it, such as "grammar", "openai:gpt-...", "import:FILE".
        voice: the voice that must speak it; None where the voices take turns.
    """

    id: Id
    tagged_text: str = Field(min_length=1)
    slice_type: SliceType
    domain: Domain
    writer: str
    voice: str | None = None


class Clip(_Text):
    """A script that was spoken: one line of `clips.jsonl`, and later one row of the dataset.

    Attributes:
        id: unique in the corpus.
        script_id: the script that is spoken here.
        audio: path of the audio file, relative to the corpus folder.
        duration_s: its length.
        turns, told: as in the script; each turn with the voice that spoke it.
        voice, engine: who spoke it; of a dialogue the voice that begins.
        split: "train", "validation" or "test"; None until splits are drawn.
        details: what the engine adds, such as cost in characters.
    """

    id: Id
    script_id: Id
    tagged_text: str
    audio: InsidePath
    duration_s: float
    voice: str
    engine: str
    seed: int
    slice_type: SliceType
    domain: Domain
    split: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)

    @property
    def voices(self) -> tuple[str, ...]:
        """Every voice that is heard in it, the first one first."""
        return tuple(dict.fromkeys((self.voice, *(turn.voice for turn in self.turns if turn.voice))))


class SetAside(BaseModel):
    """A clip that failed validation: its id and what was wrong with it."""

    id: Id
    reason: str
    detail: str


class Reference(BaseModel):
    """The truth about one clip.

    Attributes:
        id: unique in its set.
        text: the tagged text that was spoken.
        script_id: clips of one script count as one unit when intervals are estimated; None: the clip is its own.
        slice_type, domain, voice, engine: as in the corpus; None where unknown.
        language: ISO 639-1 of its words, if that is not the set's. They are transcribed in it, and not scored: only the
            tags are.
        duration_s: length of the audio; needed for rates by time only.
        audio: path of the audio file, relative to the file that holds the line.
    """

    model_config = ConfigDict(frozen=True)

    id: Id
    text: str
    script_id: Id | None = None
    slice_type: str | None = None
    domain: str | None = None
    voice: str | None = None
    engine: str | None = None
    language: str | None = None
    duration_s: float | None = None
    audio: InsidePath | None = None

    @property
    def unit(self) -> str:
        """What is drawn as a whole when clips are resampled."""
        return self.id if self.script_id is None else self.script_id


class Prediction(BaseModel):
    """What one system made of one clip; lines of other systems may hold `id` and `text` only.

    Attributes:
        id: of the reference.
        text: tagged text.
        model: name of the model as the user gave it; `model_digest`: SHA-256 over its local files.
        adapter: name of its adapter, if any; `engine`: the kind of engine that ran it.
        options: what else decided the text, such as the language.
        time: when it was made, ISO 8601, UTC.
        compute_s: how long it took; of clips heard side by side, since the one before it was done.
        audio_sha256: of the audio file.
        version: of evoxtral.
    """

    model_config = ConfigDict(frozen=True, protected_namespaces=())

    id: Id
    text: str
    model: str | None = None
    model_digest: str | None = None
    adapter: str | None = None
    engine: str | None = None
    options: dict[str, Any] = Field(default_factory=dict)
    time: str | None = None
    compute_s: float | None = None
    audio_sha256: str | None = None
    version: str | None = None
