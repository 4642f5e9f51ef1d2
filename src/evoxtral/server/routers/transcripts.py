"""`/transcripts`: what the server keeps: lists and searches, documents with their versions, audio, files to take away.

Knows forms and answers; nothing of how anything is kept.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from http import HTTPStatus
from typing import Annotated, Any, BinaryIO, Literal

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from starlette.responses import Response as PlainResponse

from evoxtral.inference.editing import EditedSegment, EditError, with_segments
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.transcript import Transcript
from evoxtral.server.audio_files import RANGES, StoredFileResponse, media_type_of
from evoxtral.server.documents import MEDIA_TYPES, OWN_DIALECT, export
from evoxtral.server.fields import read_fields
from evoxtral.server.kept import ID, STORE_PROBLEMS, as_json, in_store, store_of
from evoxtral.server.passages import cut_passage, peaks_of
from evoxtral.server.problems import Problem, described
from evoxtral.server.routers.transcribe import PROBLEMS, form_of
from evoxtral.server.store.errors import VersionConflictError
from evoxtral.server.store.opening import Store
from evoxtral.server.store.tables import NAME_CHARACTERS
from evoxtral.server.store.transcripts import Document, Listed, VersionEntry, printable_name
from evoxtral.server.transcribing import Transcriber
from evoxtral.tags.dialect_table import DIALECTS

router = APIRouter(tags=["transcripts"])

# Bounds of what somebody writes; ten hours of talk have half a million characters.
_MAX_TEXT_CHARACTERS = 1_000_000
_MAX_SEGMENTS = 50_000
_MAX_TRANSCRIPT_BYTES = 32 * 2**20

TranscriptId = Annotated[str, Path(pattern=ID)]
Speaker = Annotated[str, Field(min_length=1, max_length=100)]
Seconds = Annotated[float, Field(ge=0, le=1e7, allow_inf_nan=False)]
_TRANSCRIPT = TypeAdapter(Transcript)
_ETAG = {"headers": {"ETag": {"description": 'The version, as in "3".', "schema": {"type": "string"}}}}


@dataclass(frozen=True, slots=True)
class ListPage:
    """Transcripts; `next` is the cursor of the next page, null at the end."""

    items: list[Listed]
    next: str | None


class SegmentEdit(BaseModel):
    """A segment as it is to be."""

    model_config = ConfigDict(extra="forbid")

    start_s: Seconds
    end_s: Seconds
    speaker: Speaker | None = None
    text: str = Field(description="Tagged text.", max_length=_MAX_TEXT_CHARACTERS)


class Edit(BaseModel):
    """What is to be changed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=NAME_CHARACTERS)
    speaker_names: dict[Speaker, Speaker] | None = Field(default=None, max_length=1000)
    segments: list[SegmentEdit] | None = Field(default=None, max_length=_MAX_SEGMENTS)


@router.get("/transcripts", responses=STORE_PROBLEMS)
async def page(
    request: Request,
    query: Annotated[str, Query(max_length=200, description="Words, or their beginnings, that each holds.")] = "",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9]{1,9}$", description="`next` of the page before.")] = None,
) -> ListPage:
    """The transcripts of this key, newest first."""
    before = None if cursor is None else int(cursor)
    items, after = await in_store(
        request, lambda store, owner: store.transcripts.page(owner, query=query, limit=limit, before=before)
    )
    return ListPage(items, None if after is None else str(after))


@router.post(
    "/transcripts",
    status_code=HTTPStatus.CREATED,
    response_model=Document,
    responses={**STORE_PROBLEMS, **{status: PROBLEMS[status] for status in (408, 413, 503)}},
    openapi_extra=form_of(
        "transcript",
        transcript={"type": "string", "description": "The JSON of a transcript of it, as POST /transcribe gives it."},
        name={"type": "string", "description": "How it is called; by default as the file is."},
    ),
)
async def add(request: Request, response: Response) -> Document:
    """Keep a transcript that was made elsewhere, of a live recording for instance, with its audio."""
    store_of(request)
    fields = await read_fields(request, max_field_bytes=_MAX_TRANSCRIPT_BYTES)
    upload = fields.file("file")
    written, name = fields.text("transcript") or "", fields.text("name") or upload.filename or "recording"
    fields.nothing_else()
    media_type = media_type_of(upload.filename or "", upload.content_type)

    def keep(store: Store, owner: str | None) -> Document:
        transcript = read_transcript(written, name)
        audio = store.files.receive(upload.file, media_type)
        try:
            return store.transcripts.add(owner, name, transcript, audio)
        finally:
            audio.discard()

    document = await in_store(request, keep)
    response.headers["Location"] = f"/transcripts/{document.id}"
    response.headers["ETag"] = _etag(document)
    return document


def read_transcript(written: str, name: str) -> Transcript:
    """A transcript that a client sent, with the places of its words and tags as its texts have them.

    Raises:
        Problem: it is none.
    """
    try:
        transcript = _TRANSCRIPT.validate_json(written)
        json.dumps(asdict(transcript), allow_nan=False)
        segments = [
            EditedSegment(segment.start_s, segment.end_s, segment.text, segment.speaker)
            for segment in transcript.segments
        ] or [EditedSegment(0.0, transcript.duration_s, transcript.text)]
        _check_size(sum(len(segment.text) for segment in segments), len(segments))
        placed = with_segments(transcript, segments)
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(str(part) for part in fault["loc"])
        raise _invalid(f"transcript: {place}: {fault['msg']}") from None
    except (ValueError, RecursionError):
        raise _invalid("transcript: holds numbers that are none (NaN or infinite)") from None
    except EditError as error:
        raise _invalid(f"transcript: {error.message}") from None
    return Transcript(**{**_shallow(placed), "path": printable_name(name)})


def _shallow(transcript: Transcript) -> dict[str, Any]:
    return {name: getattr(transcript, name) for name in Transcript.__dataclass_fields__}


@router.get("/transcripts/{transcript_id}", responses={**STORE_PROBLEMS, 200: _ETAG})
async def get(request: Request, response: Response, transcript_id: TranscriptId) -> Document:
    """A transcript as it is now."""
    document = await in_store(request, lambda store, owner: store.transcripts.get(owner, transcript_id))
    response.headers["ETag"] = _etag(document)
    return document


@router.put(
    "/transcripts/{transcript_id}",
    responses={
        **STORE_PROBLEMS,
        200: _ETAG,
        **described(
            _408="The body stood still.",
            _412="Somebody else changed it: `version` and `current` are what it is now.",
            _413="The text is longer than the server's limit.",
            _428="If-Match is missing.",
            _503="Too many bodies come in at the same time.",
        ),
    },
)
async def change(
    request: Request,
    response: Response,
    transcript_id: TranscriptId,
    edit: Edit,
    if_match: Annotated[str | None, Header(description='The version that was changed, as in "3".')] = None,
) -> Document:
    """Change a transcript, which makes its next version.

    The texts are read again: words that stayed keep their times, as many words as were replaced have the spans of
    those, other new words have none.
    """
    _check_size(sum(len(segment.text) for segment in edit.segments or ()), len(edit.segments or ()))

    def change_it(store: Store, owner: str | None) -> Document:
        before = store.transcripts.get(owner, transcript_id)
        if if_match is None:
            raise Problem(
                HTTPStatus.PRECONDITION_REQUIRED,
                "If-Match is missing: which version was changed?",
                f"send the ETag of the document, as in If-Match: {_etag(before)}",
            )
        if if_match.strip() not in ("*", _etag(before)):
            raise _conflict(before)
        transcript = before.transcript
        if edit.segments is not None:
            try:
                transcript = with_segments(transcript, [EditedSegment(**dict(segment)) for segment in edit.segments])
            except EditError as error:
                raise _invalid(f"segments: {error.message}", error.hint) from None
        try:
            return store.transcripts.change(
                owner,
                transcript_id,
                before.version,
                name=before.name if edit.name is None else printable_name(edit.name),
                transcript=transcript,
                speaker_names=before.speaker_names if edit.speaker_names is None else edit.speaker_names,
            )
        except VersionConflictError:
            raise _conflict(store.transcripts.get(owner, transcript_id)) from None

    document = await in_store(request, change_it)
    response.headers["ETag"] = _etag(document)
    return document


@router.delete("/transcripts/{transcript_id}", status_code=HTTPStatus.NO_CONTENT, responses=STORE_PROBLEMS)
async def delete(request: Request, transcript_id: TranscriptId) -> None:
    """Delete a transcript with its versions, its audio, and what was spoken of it."""
    await in_store(request, lambda store, owner: store.transcripts.delete(owner, transcript_id))


@router.get("/transcripts/{transcript_id}/versions", responses=STORE_PROBLEMS)
async def versions(request: Request, transcript_id: TranscriptId) -> list[VersionEntry]:
    """The versions that are kept, newest first: the first one and the newest 200."""
    return await in_store(request, lambda store, owner: store.transcripts.versions(owner, transcript_id))


@router.get("/transcripts/{transcript_id}/versions/{version}", responses=STORE_PROBLEMS)
async def version(
    request: Request, transcript_id: TranscriptId, version: Annotated[int, Path(ge=1, lt=2**31)]
) -> Document:
    """A transcript as it was."""
    return await in_store(request, lambda store, owner: store.transcripts.get(owner, transcript_id, version))


@router.get(
    "/transcripts/{transcript_id}/audio",
    response_class=Response,
    responses={**STORE_PROBLEMS, **RANGES, **described(_416="The file has no such range.")},
)
async def audio(request: Request, transcript_id: TranscriptId) -> PlainResponse:
    """The recording as it was sent; takes Range."""

    def find(store: Store, owner: str | None) -> PlainResponse:
        return StoredFileResponse(
            store.transcripts.audio(owner, transcript_id), store.transcripts.get(owner, transcript_id).name
        )

    return await in_store(request, find)


@dataclass(frozen=True, slots=True)
class Peaks:
    """Levels from 0 to 1, the largest of each of equal parts of a recording."""

    peaks: list[float]


@router.get("/transcripts/{transcript_id}/peaks", responses={**STORE_PROBLEMS, 400: PROBLEMS[400]})
async def peaks(
    request: Request, transcript_id: TranscriptId, count: Annotated[int, Query(ge=1, le=20_000)] = 1000
) -> Peaks:
    """What a waveform is drawn from."""

    decode = request.app.state.transcriber.decoding.open

    def compute(store: Store, owner: str | None) -> Peaks:
        file = store.transcripts.audio(owner, transcript_id)
        name = store.transcripts.get(owner, transcript_id).name
        found = peaks_of(file.path, name, store.files.peaks_path(file.id), count, decode)
        return Peaks([round(float(peak), 3) for peak in found])

    return await in_store(request, compute)


class Passage(BaseModel):
    """What is to be transcribed again; in the language of the transcript by default."""

    model_config = ConfigDict(extra="forbid")

    start_s: Seconds
    end_s: Seconds
    language: str | None = Field(default=None, pattern=r"^[a-z]{2,3}$")
    diarize: bool = False


@router.post(
    "/transcripts/{transcript_id}/retranscribe",
    responses={**STORE_PROBLEMS, **{status: PROBLEMS[status] for status in (400, 408, 413, 503)}},
)
async def retranscribe(request: Request, transcript_id: TranscriptId, passage: Passage) -> Transcript:
    """Transcribe a passage of the recording again; times are those of the whole recording. Nothing is changed."""

    transcriber: Transcriber = request.app.state.transcriber
    decode = transcriber.decoding.open

    def cut(store: Store, owner: str | None) -> tuple[BinaryIO, str]:
        file, document = store.transcripts.audio(owner, transcript_id), store.transcripts.get(owner, transcript_id)
        sound, length_s = cut_passage(file.path, document.name, passage.start_s, passage.end_s, decode)
        if length_s <= 0:
            raise _invalid(
                f"start_s, end_s: there is nothing from {passage.start_s:g} to {passage.end_s:g} s",
                f"the recording lasts {document.transcript.duration_s:g} s",
            )
        return sound, document.transcript.language

    sound, language = await in_store(request, cut)
    options = TranscribeOptions(language=passage.language or language, diarize=passage.diarize)
    heard = await transcriber.transcribe(sound, "passage", options, request.is_disconnected)
    return heard.moved(passage.start_s)


Format = Literal["txt", "plain", "json", "srt", "vtt", "tsv", "docx"]


@router.get(
    "/transcripts/{transcript_id}/export",
    response_class=Response,
    responses={
        **STORE_PROBLEMS,
        200: {
            "description": "The file.",
            "content": {media_type.partition(";")[0]: {} for media_type in MEDIA_TYPES.values()},
            "headers": {
                "X-Evoxtral-Lost": {
                    "description": "What the dialect cannot say, as a JSON list.",
                    "schema": {"type": "string"},
                }
            },
        },
    },
)
async def export_file(
    request: Request,
    transcript_id: TranscriptId,
    format: Format = "txt",
    dialect: Annotated[
        str, Query(json_schema_extra={"enum": list(DIALECTS)}, description="Of the tags.")
    ] = OWN_DIALECT,
) -> PlainResponse:
    """A file to take away. Another dialect of tags is for txt, json and docx."""
    if dialect not in DIALECTS:
        raise _invalid(f"dialect: is {dialect[:40]!r}", f"send one of {', '.join(DIALECTS)}")
    document = await in_store(request, lambda store, owner: store.transcripts.get(owner, transcript_id))
    written = await to_thread.run_sync(
        lambda: export(document.transcript, document.name, document.speaker_names, format, dialect)
    )
    stem = re.sub(r"\.[A-Za-z0-9]{1,5}$", "", document.name) or "transcript"
    headers = {
        "Content-Disposition": _attachment(f"{stem}.{written.suffix}"),
        "X-Evoxtral-Lost": json.dumps(list(written.lost)),
    }
    return PlainResponse(written.content, media_type=written.media_type, headers=headers)


def _attachment(name: str) -> str:
    """The header of a file to be saved (RFC 6266), whose name may hold any character."""
    from urllib.parse import quote

    return f"attachment; filename*=UTF-8''{quote(name, safe='')}"


def _etag(document: Document) -> str:
    return f'"{document.version}"'


def _conflict(current: Document) -> Problem:
    more: Mapping[str, Any] = {"version": current.version, "current": as_json(current)}
    return Problem(
        HTTPStatus.PRECONDITION_FAILED,
        f"The transcript was changed meanwhile; it is at version {current.version}.",
        "make the change to `current`, and send it with If-Match of its version",
        {"ETag": _etag(current)},
        more,
    )


def _check_size(characters: int, segments: int) -> None:
    if characters > _MAX_TEXT_CHARACTERS or segments > _MAX_SEGMENTS:
        raise Problem(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            f"A transcript may have {_MAX_TEXT_CHARACTERS:,} characters in {_MAX_SEGMENTS:,} segments.",
            "keep it in parts",
        )


def _invalid(detail: str, hint: str | None = None) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, hint or "GET /docs shows what is taken")
