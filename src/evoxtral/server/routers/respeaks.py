"""`/transcripts/{id}/respeak`, what came of it, and contours: a transcript spoken again, to be compared.

Knows forms and answers; nothing of how anything is spoken, measured or kept.
"""

import io
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response as PlainResponse

from evoxtral.audio.contours import Contours
from evoxtral.respeaking import SpokenSentence
from evoxtral.server.audio_files import RANGES, StoredFileResponse
from evoxtral.server.kept import ID, STORE_PROBLEMS, in_store
from evoxtral.server.problems import described
from evoxtral.server.respeaker import Respeaker, Wish
from evoxtral.server.routers.speak import Engine
from evoxtral.server.routers.transcripts import TranscriptId
from evoxtral.server.store.errors import MissingError
from evoxtral.server.store.opening import Store
from evoxtral.server.store.transcripts import Document, StoredFile
from evoxtral.server.store.transcripts import Respeak as StoredRespeak

router = APIRouter(tags=["speech"])

RespeakId = Annotated[str, Path(pattern=ID)]
_MEDIA_TYPE = "audio/wav"


class RespeakRequest(BaseModel):
    """How a transcript is to be spoken."""

    model_config = ConfigDict(extra="forbid")

    engine: Engine = "local"
    voice: str | None = Field(default=None, max_length=200, description="A voice of the engine (GET /capabilities).")
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed speaks the same take.")
    keep_timing: bool = Field(default=False, description="Start each sentence where the recording's starts.")


@dataclass(frozen=True, slots=True)
class Respeak:
    """A transcript that was spoken again.

    Attributes:
        version: of the transcript.
        engine, voice: who really spoke.
        measures: how much it resembles the recording, as the bench's round trip names and measures it; empty without
            a recording.
        notes: what was not spoken, what did not fit into its time.
    """

    id: str
    created_at: datetime
    version: int
    engine: str
    voice: str
    seed: int
    keep_timing: bool
    duration_s: float
    sentences: list[SpokenSentence]
    measures: dict[str, float | None]
    notes: list[str]


@dataclass(frozen=True, slots=True)
class ContourPair:
    """The recording's, null where none is kept; and those of what was spoken, null where none was asked for."""

    original: Contours | None
    respeak: Contours | None


@router.post(
    "/transcripts/{transcript_id}/respeak",
    responses={
        **STORE_PROBLEMS,
        **described(
            _400="The voice is not there, or there is nothing to speak.",
            _408="The body stood still.",
            _413="The transcript is longer than the server speaks.",
            _503="Too much is under way; Retry-After says when to come again.",
        ),
    },
)
async def respeak(request: Request, transcript_id: TranscriptId, wanted: RespeakRequest) -> Respeak:
    """Speak a transcript as it is now; sentences that were spoken before are not spoken again."""

    def find(store: Store, owner: str | None) -> tuple[Document, StoredFile | None, Store]:
        document = store.transcripts.get(owner, transcript_id)
        return document, store.transcripts.audio(owner, transcript_id) if document.has_audio else None, store

    document, recording, store = await in_store(request, find)
    respeaker: Respeaker = request.app.state.respeaker
    respoken, content, measures = await respeaker.respeak(
        document.transcript,
        Wish(wanted.engine, wanted.voice, wanted.seed, wanted.keep_timing),
        store.files.sentences(transcript_id),
        recording,
        request.is_disconnected,
    )
    details = {
        **respoken.to_json(),
        "version": document.version,
        "keep_timing": wanted.keep_timing,
        "measures": measures,
    }

    def keep(store: Store, owner: str | None) -> StoredRespeak:
        audio = store.files.receive(io.BytesIO(content), _MEDIA_TYPE)
        try:
            return store.transcripts.add_respeak(owner, transcript_id, audio, details)
        except MissingError:  # it was deleted meanwhile, with the sentences that were spoken until then
            store.files.remove_sentences(transcript_id)
            raise
        finally:
            audio.discard()

    return _told(await in_store(request, keep))


@router.get("/transcripts/{transcript_id}/respeaks", responses=STORE_PROBLEMS)
async def respeaks(request: Request, transcript_id: TranscriptId) -> list[Respeak]:
    """All that was spoken of a transcript, newest first."""
    found = await in_store(request, lambda store, owner: store.transcripts.respeaks(owner, transcript_id))
    return [_told(one) for one in found]


@router.get(
    "/transcripts/{transcript_id}/respeaks/{respeak_id}/audio",
    response_class=Response,
    responses={**STORE_PROBLEMS, **RANGES, **described(_416="The file has no such range.")},
)
async def respeak_audio(request: Request, transcript_id: TranscriptId, respeak_id: RespeakId) -> PlainResponse:
    """What was spoken, as a WAV file; takes Range."""
    spoken = await in_store(request, lambda store, owner: store.transcripts.respeak(owner, transcript_id, respeak_id))
    return StoredFileResponse(spoken.file, f"{respeak_id}.wav")


@router.get(
    "/transcripts/{transcript_id}/contours",
    responses={
        **STORE_PROBLEMS,
        **described(_400="The recording cannot be read.", _503="Too much is under way."),
    },
)
async def contours(
    request: Request,
    transcript_id: TranscriptId,
    respeak: Annotated[str | None, Query(pattern=ID, description="What was spoken, to be compared.")] = None,
) -> ContourPair:
    """The course of pitch and level, in Hz (null where nothing is voiced) and dB of full scale."""

    def find(store: Store, owner: str | None) -> tuple[Document, StoredFile | None, StoredRespeak | None]:
        document = store.transcripts.get(owner, transcript_id)
        recording = store.transcripts.audio(owner, transcript_id) if document.has_audio else None
        spoken = store.transcripts.respeak(owner, transcript_id, respeak) if respeak is not None else None
        return document, recording, spoken

    document, recording, spoken = await in_store(request, find)
    respeaker: Respeaker = request.app.state.respeaker
    gone = request.is_disconnected
    original = other = None
    if recording is not None:
        original = await respeaker.contours(recording, document.transcript.duration_s, gone)
    if spoken is not None:
        other = await respeaker.contours(spoken.file, spoken.details["duration_s"], gone)
    return ContourPair(original, other)


def _told(spoken: StoredRespeak) -> Respeak:
    details = dict(spoken.details)
    sentences = [SpokenSentence(**sentence) for sentence in details.pop("sentences")]
    return Respeak(id=spoken.id, created_at=spoken.created_at, sentences=sentences, **details)
