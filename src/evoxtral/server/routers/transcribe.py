"""`POST /transcribe`: one uploaded recording in, its transcript out, whole or with progress as server-sent events."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from http import HTTPStatus
from pathlib import PurePath
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from evoxtral.errors import EvoxtralError
from evoxtral.inference.formats import in_dialect
from evoxtral.inference.keywords import split_keywords
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.transcript import Transcript
from evoxtral.server.fields import Fields, read_fields
from evoxtral.server.problems import LOG, Problem, described, problem_of
from evoxtral.server.transcribing import NewText, Progress, Transcriber
from evoxtral.tags.dialect_table import DIALECTS
from evoxtral.tags.dialects import count_notes, write

router = APIRouter(tags=["transcription"])

PROBLEMS = described(
    _400="The file is not audio that can be used.",
    _401="The server wants a key.",
    _408="The upload stood still.",
    _413="The upload, or the recording in it, is longer than the server's limit.",
    _421="The server is not known by this name.",
    _422="A field is missing, unknown or has no such value.",
    _429="This key has too much under way; Retry-After says when to come again.",
    _503="All places are taken; Retry-After says when to come again.",
)
_MAX_SPEAKERS = 50
_MAX_KNOWN_SPEAKERS = 6


def form_of(*required: str, **fields: dict[str, Any]) -> dict[str, Any]:
    """The description of a multipart form with the field `file`, for OpenAPI; `required`: others that must be there."""
    properties = {"file": {"type": "string", "format": "binary", "description": "Any audio or video file."}, **fields}
    schema = {
        "type": "object",
        "required": ["file", *required],
        "properties": properties,
        "additionalProperties": False,
    }
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def options_of(**values: Any) -> TranscribeOptions:
    """`TranscribeOptions`.

    Raises:
        Problem: a value is none, or two of them contradict each other.
    """
    try:
        return TranscribeOptions(**values)
    except EvoxtralError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, error.hint) from error


async def read_options(fields: Fields, transcriber: Transcriber) -> TranscribeOptions:
    """What all transcription addresses of our own take.

    Args:
        transcriber: what hears the samples of known speakers.

    Raises:
        Problem: a field has no such value, or two of them contradict each other.
        AudioError: a sample of a voice cannot be used.
    """
    samples = fields.files("known_speakers")
    if len(samples) > _MAX_KNOWN_SPEAKERS:
        raise Problem(
            HTTPStatus.UNPROCESSABLE_ENTITY,
            f"known_speakers: {len(samples)} samples are too many",
            f"send at most {_MAX_KNOWN_SPEAKERS}",
        )
    voices = await transcriber.voices_of(
        {
            PurePath(sample.filename or f"known speaker {number}").stem: sample.file
            for number, sample in enumerate(samples, 1)
        }
    )
    return options_of(
        language=fields.text("language") or "en",
        times=fields.flag("times", default=True),
        diarize=fields.flag("diarize") or bool(voices),
        min_speakers=fields.whole("min_speakers", 1, _MAX_SPEAKERS),
        max_speakers=fields.whole("max_speakers", 1, _MAX_SPEAKERS),
        keywords=split_keywords(fields.texts("keywords")),
        channels=fields.flag("channels"),
        known_speakers=voices,
    )


OPTION_FIELDS: dict[str, dict[str, Any]] = {
    "language": {"type": "string", "default": "en", "description": "Spoken language (ISO 639-1)."},
    "times": {"type": "boolean", "default": True, "description": "Times of words, tags and segments."},
    "diarize": {"type": "boolean", "default": False, "description": "Tell speakers apart."},
    "min_speakers": {"type": "integer", "minimum": 1, "maximum": _MAX_SPEAKERS},
    "max_speakers": {"type": "integer", "minimum": 1, "maximum": _MAX_SPEAKERS},
    "keywords": {
        "type": "array",
        "items": {"type": "string"},
        "description": "Names and terms that are likely; several fields, or one with commas.",
    },
    "channels": {"type": "boolean", "default": False, "description": "Each channel is one speaker's: CHANNEL_1, ..."},
    "known_speakers": {
        "type": "array",
        "maxItems": _MAX_KNOWN_SPEAKERS,
        "items": {"type": "string", "format": "binary"},
        "description": "Samples of voices, 1 to 30 s, each in a file that has the speaker's name.",
    },
}
"""What `read_options` reads, for OpenAPI."""
_FORM = form_of(
    **OPTION_FIELDS,
    dialect={
        "type": "string",
        "enum": list(DIALECTS),
        "description": "How tags are written; what it cannot say is told in notes. By default as the server was set.",
    },
    stream={"type": "boolean", "default": False, "description": "Answer with server-sent events."},
)


@router.post("/transcribe", responses=PROBLEMS, openapi_extra=_FORM, response_model=Transcript)
async def transcribe(request: Request) -> Any:
    """Transcribe the form field `file` into tagged text with its words, tags and segments.

    With `stream=true` the answer is a stream of server-sent events: `progress` {done_s, total_s}, `text`
    {text, start_s, end_s}, and at the end `transcript`, or `error` with a problem document.
    """
    fields = await read_fields(request)
    upload = fields.file("file")
    transcriber: Transcriber = request.app.state.transcriber
    options, stream = await read_options(fields, transcriber), fields.flag("stream")
    dialect = fields.choice("dialect", DIALECTS, request.app.state.settings.dialect)
    fields.nothing_else()
    name = upload.filename or "upload"
    if not stream:
        heard = await transcriber.transcribe(upload.file, name, options, request.is_disconnected)
        return _in(dialect, heard)
    following = transcriber.follow(upload.file, name, options, request.is_disconnected)
    first = await anext(following)  # what fails before the first event is an ordinary answer
    return StreamingResponse(_events(first, following, dialect), media_type="text/event-stream")


async def _events(
    first: Progress | NewText | Transcript, rest: AsyncIterator[Progress | NewText | Transcript], dialect: str
) -> AsyncIterator[str]:
    try:
        yield _event(_in(dialect, first))
        async for item in rest:
            yield _event(_in(dialect, item))
    except Exception as error:
        if not isinstance(error, (Problem, EvoxtralError)):
            LOG.exception("a stream of events broke off")
        yield event("error", problem_of(error).document())


def _in(dialect: str, item: Progress | NewText | Transcript) -> Progress | NewText | Transcript:
    """The same with its tags in a dialect; a transcript tells what that cannot say."""
    if isinstance(item, Transcript):
        written, lost = in_dialect(item, dialect)
        told = (f"{dialect}: {what} ({count})" for what, count in count_notes(lost).items())
        return replace(written, notes=(*written.notes, *told))
    if isinstance(item, NewText):
        return replace(item, text=write(item.text, dialect).text)
    return item


def _event(item: Progress | NewText | Transcript) -> str:
    name = {Progress: "progress", NewText: "text", Transcript: "transcript"}[type(item)]
    return event(name, asdict(item))


def event(name: str, data: Any) -> str:
    """One server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
