"""What a live stream tells, as typed events; times are seconds from the start of the stream.

Knows the messages of `WS /transcribe/stream`; nothing of sockets. A field that a newer server adds is passed over, and
so is an event of a kind that is not known here.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from evoxtral.errors import ServerError
from evoxtral.inference.transcript import TranscriptTag, TranscriptWord


class _Event(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Ready(_Event):
    """The server listens; `model` is what transcribes."""

    type: Literal["ready"] = "ready"
    model: str
    sample_rate_hz: int = Field(alias="sample_rate")


class SpeechStarted(_Event):
    """Somebody began to speak."""

    type: Literal["speech_started"] = "speech_started"
    at_s: float = Field(alias="at")


class Partial(_Event):
    """An utterance so far, as tagged text: `committed` only grows, `tentative` may change with the next event.

    Attributes:
        seq: counts the partials of the stream.
        lag_s: seconds of sound that came in and are in no text yet.
    """

    type: Literal["partial"] = "partial"
    utterance_id: int
    seq: int
    committed: str
    tentative: str
    lag_s: float


class EndOfTurnLikely(_Event):
    """The speaker has probably finished: time to prepare an answer. `TurnResumed` follows if it was not so.

    Attributes:
        at_s: where the silence began.
        text: the utterance so far.
    """

    type: Literal["end_of_turn_likely"] = "end_of_turn_likely"
    utterance_id: int
    at_s: float = Field(alias="at")
    text: str


class TurnResumed(_Event):
    """The end that was likely is withdrawn: speech went on."""

    type: Literal["turn_resumed"] = "turn_resumed"
    utterance_id: int
    at_s: float = Field(alias="at")


class Final(_Event):
    """An utterance that ended.

    Attributes:
        is_cut: cut for its length; the same speech goes on in the next one.
        text: tagged text; `plain_text` the same without tags and emphasis.
        speaker: who says most of it, if speakers are told apart; words have their own.
    """

    type: Literal["final"] = "final"
    utterance_id: int
    start_s: float = Field(alias="start")
    end_s: float = Field(alias="end")
    is_cut: bool = False
    text: str
    plain_text: str
    words: tuple[TranscriptWord, ...] = ()
    tags: tuple[TranscriptTag, ...] = ()
    speaker: str | None = None


class SpeakerUpdate(_Event):
    """What was said since shows that an earlier utterance is another speaker's.

    Attributes:
        speaker: who says most of the utterance.
        word_speakers: the speaker of each of its words.
    """

    type: Literal["speaker_update"] = "speaker_update"
    utterance_id: int
    speaker: str | None
    word_speakers: tuple[str | None, ...]


class StreamFault(_Event):
    """One utterance could not be transcribed; the stream goes on."""

    type: Literal["error"] = "error"
    code: str
    message: str
    retryable: bool = False


class Statistics(BaseModel):
    """Of a whole stream. `skipped_partials` tells how often the server was too busy for one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    audio_s: float
    utterances: int
    partials: int
    skipped_partials: int


class Done(_Event):
    """Nothing more comes."""

    type: Literal["done"] = "done"
    stats: Statistics


StreamEvent = (
    Ready | SpeechStarted | Partial | EndOfTurnLikely | TurnResumed | Final | SpeakerUpdate | StreamFault | Done
)
_EVENT: TypeAdapter[StreamEvent] = TypeAdapter(Annotated[StreamEvent, Field(discriminator="type")])


def read_event(message: str | bytes) -> StreamEvent | None:
    """An event of a message; None for one of a kind that is not known.

    Raises:
        ServerError: it is no event at all.
    """
    try:
        return _EVENT.validate_json(message)
    except ValidationError as error:
        faults: list[Any] = error.errors()
        if any(fault["type"] == "union_tag_invalid" for fault in faults):
            return None
        raise ServerError(
            f"the server sent what is no event of a stream: {faults[0]['msg']}", "is it an Evoxtral server?"
        ) from None
