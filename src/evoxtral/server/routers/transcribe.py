"""`POST /transcribe`: one uploaded recording in, its transcript out, whole or with progress as server-sent events."""

import json
from collections.abc import AsyncIterator
from dataclasses import asdict
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from evoxtral.errors import EvoxtralError
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.transcript import Transcript
from evoxtral.server.fields import Fields, read_fields
from evoxtral.server.problems import LOG, MEDIA_TYPE, Problem, problem_of
from evoxtral.server.transcribing import NewText, Progress, Transcriber

router = APIRouter(tags=["transcription"])

PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"description": description, "content": {MEDIA_TYPE: {}}}
    for status, description in {
        400: "The file is not audio that can be used.",
        401: "The server wants a key.",
        408: "The upload stood still.",
        413: "The upload, or the recording in it, is longer than the server's limit.",
        421: "The server is not known by this name.",
        422: "A field is missing, unknown or has no such value.",
        503: "All places are taken; Retry-After says when to come again.",
    }.items()
}
_MAX_SPEAKERS = 50


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


def read_options(fields: Fields) -> TranscribeOptions:
    """What all transcription addresses of our own take.

    Raises:
        Problem: a field has no such value, or two of them contradict each other.
    """
    values: dict[str, Any] = {
        "language": fields.text("language") or "en",
        "times": fields.flag("times", default=True),
        "diarize": fields.flag("diarize"),
        "min_speakers": fields.whole("min_speakers", 1, _MAX_SPEAKERS),
        "max_speakers": fields.whole("max_speakers", 1, _MAX_SPEAKERS),
    }
    try:
        return TranscribeOptions(**values)
    except EvoxtralError as error:
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, error.hint) from error


OPTION_FIELDS: dict[str, dict[str, Any]] = {
    "language": {"type": "string", "default": "en", "description": "Spoken language (ISO 639-1)."},
    "times": {"type": "boolean", "default": True, "description": "Times of words, tags and segments."},
    "diarize": {"type": "boolean", "default": False, "description": "Tell speakers apart."},
    "min_speakers": {"type": "integer", "minimum": 1, "maximum": _MAX_SPEAKERS},
    "max_speakers": {"type": "integer", "minimum": 1, "maximum": _MAX_SPEAKERS},
}
"""What `read_options` reads, for OpenAPI."""
_FORM = form_of(
    **OPTION_FIELDS,
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
    options, stream = read_options(fields), fields.flag("stream")
    fields.nothing_else()
    transcriber: Transcriber = request.app.state.transcriber
    name = upload.filename or "upload"
    if not stream:
        return await transcriber.transcribe(upload.file, name, options, request.is_disconnected)
    following = transcriber.follow(upload.file, name, options, request.is_disconnected)
    first = await anext(following)  # what fails before the first event is an ordinary answer
    return StreamingResponse(_events(first, following), media_type="text/event-stream")


async def _events(
    first: Progress | NewText | Transcript, rest: AsyncIterator[Progress | NewText | Transcript]
) -> AsyncIterator[str]:
    try:
        yield _event(first)
        async for item in rest:
            yield _event(item)
    except Exception as error:
        if not isinstance(error, (Problem, EvoxtralError)):
            LOG.exception("a stream of events broke off")
        yield event("error", problem_of(error).document())


def _event(item: Progress | NewText | Transcript) -> str:
    name = {Progress: "progress", NewText: "text", Transcript: "transcript"}[type(item)]
    return event(name, asdict(item))


def event(name: str, data: Any) -> str:
    """One server-sent event (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
