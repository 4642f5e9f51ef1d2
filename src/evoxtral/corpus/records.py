"""The records that a corpus is made of, one JSON object a line: scripts, and clips (spoken scripts).

Knows their fields and validity; knows nothing of who writes scripts or speaks them.
"""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


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


class Script(BaseModel):
    """A text to be spoken.

    Attributes:
        id: unique in the corpus; also seeds what is random about the script's speech.
        tagged_text: the text with its tags; everything else about it is derived by `evoxtral.tags`.
        writer: who wrote it, such as "grammar", "openai:gpt-...", "import:FILE".
        voice: the voice that must speak it; None where the voices take turns.
    """

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    tagged_text: str = Field(min_length=1)
    slice_type: SliceType
    domain: Domain
    writer: str
    voice: str | None = None


class Clip(BaseModel):
    """A script that was spoken: one line of `clips.jsonl`, and later one row of the dataset.

    Attributes:
        id: unique in the corpus.
        script_id: the script that is spoken here.
        audio: path of the audio file, relative to the corpus folder.
        duration_s: its length.
        voice, engine: who spoke it.
        split: "train", "validation" or "test"; None until splits are drawn.
        details: what the engine adds, such as cost in characters.
    """

    model_config = ConfigDict(frozen=True)

    id: str = Field(min_length=1)
    script_id: str
    tagged_text: str
    audio: str
    duration_s: float
    voice: str
    engine: str
    seed: int
    slice_type: SliceType
    domain: Domain
    split: str | None = None
    details: dict[str, Any] = Field(default_factory=dict)
