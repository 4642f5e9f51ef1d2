"""`/jobs`: recordings that are accepted now and transcribed when there is room, whatever happens to the server."""

import asyncio
import json
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from evoxtral.server.audio_files import media_type_of
from evoxtral.server.fields import read_fields
from evoxtral.server.job_runner import JobRunner, options_to_json
from evoxtral.server.kept import ID, STORE_PROBLEMS, in_store, store_of
from evoxtral.server.problems import Problem
from evoxtral.server.routers.transcribe import OPTION_FIELDS, PROBLEMS, form_of, read_options
from evoxtral.server.settings import Settings
from evoxtral.server.store.jobs import OPEN_STATES, Job, JobText

router = APIRouter(tags=["jobs"])

# How often events of a job are looked for, wherever it is done; and how often a silent stream shows that it lives.
_LOOK_EVERY_S = 0.5
_SIGN_OF_LIFE_S = 15.0

JobId = Annotated[str, Path(pattern=ID)]


@router.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    responses={**STORE_PROBLEMS, **{status: PROBLEMS[status] for status in (408, 413, 503)}},
    openapi_extra=form_of(**OPTION_FIELDS),
)
async def accept(request: Request, response: Response) -> Job:
    """Accept the form field `file` to be transcribed. From this answer on it is done or reported, whatever happens."""
    store_of(request)
    fields = await read_fields(request)
    upload = fields.file("file")
    options = await read_options(fields, request.app.state.transcriber)
    fields.nothing_else()
    settings: Settings = request.app.state.settings
    name = upload.filename or "upload"
    media_type = media_type_of(name, upload.content_type)

    def keep(store: Any, owner: str | None) -> Job:
        audio = store.files.receive(upload.file, media_type)
        try:
            job: Job = store.jobs.accept(
                owner,
                name,
                options_to_json(options),
                audio,
                max_open=settings.max_jobs,
                max_open_of_owner=settings.max_jobs_per_key,
            )
            return job
        finally:
            audio.discard()

    job = await in_store(request, keep)
    runner: JobRunner = request.app.state.job_runner
    runner.wake()
    response.headers["Location"] = f"/jobs/{job.id}"
    return job


@router.get("/jobs", responses=STORE_PROBLEMS)
async def newest(request: Request, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> list[Job]:
    """The jobs of this key, newest first; those that ended are kept for a week."""
    return await in_store(request, lambda store, owner: store.jobs.newest(owner, limit))


@router.get("/jobs/{job_id}", responses=STORE_PROBLEMS)
async def get(request: Request, job_id: JobId) -> Job:
    """How far a job is, or what became of it."""
    return await in_store(request, lambda store, owner: store.jobs.get(owner, job_id))


@router.delete("/jobs/{job_id}", responses=STORE_PROBLEMS)
async def cancel(request: Request, job_id: JobId) -> Job:
    """Cancel a job. One that ended stays as it is; the transcript of one that is done is deleted by itself."""
    return await in_store(request, lambda store, owner: store.jobs.cancel(owner, job_id))


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={**STORE_PROBLEMS, 200: {"description": "Server-sent events.", "content": {"text/event-stream": {}}}},
)
async def events(request: Request, job_id: JobId) -> StreamingResponse:
    """Follow a job by server-sent events, wherever it is done: `progress` {state, done_s, total_s}, `text` {text,
    start_s, end_s} of each window, and at the end `done` {transcript_id} or `error` {problem}.

    A client that comes again with Last-Event-ID is told the texts that it does not have.
    """
    last_id = request.headers.get("last-event-id", "")
    after = int(last_id) if last_id.isascii() and last_id.isdecimal() and len(last_id) < 10 else 0

    async def look(after: int) -> tuple[Job, list[JobText]]:
        return await in_store(request, lambda store, owner: store.jobs.news(owner, job_id, after))

    first = await look(after)  # what is missing is an ordinary answer
    return StreamingResponse(_events(first, look, after), media_type="text/event-stream")


async def _events(first: tuple[Job, list[JobText]], look: Any, after: int) -> AsyncIterator[str]:
    job, texts = first
    told: Any = None
    silent_s = 0.0
    while True:
        for text in texts:
            after = text.seq
            yield _event("text", {"text": text.text, "start_s": text.start_s, "end_s": text.end_s}, text.seq)
        progress = {"state": job.state, "done_s": job.done_s, "total_s": job.total_s}
        if job.state in OPEN_STATES and progress != told:
            yield _event("progress", progress)
            told, silent_s = progress, 0.0
        if job.state == "done":
            yield _event("done", {"transcript_id": job.transcript_id})
            return
        if job.state not in OPEN_STATES:
            cancelled = Problem(HTTPStatus.CONFLICT, "The job was cancelled.", "send the recording again")
            yield _event("error", {"problem": job.problem or cancelled.document()})
            return
        if silent_s >= _SIGN_OF_LIFE_S:
            yield ": still here\n\n"
            silent_s = 0.0
        await asyncio.sleep(_LOOK_EVERY_S)
        silent_s += _LOOK_EVERY_S
        try:
            job, texts = await look(after)
        except Problem as problem:  # it was forgotten meanwhile
            yield _event("error", {"problem": problem.document()})
            return


def _event(name: str, data: Any, event_id: int | None = None) -> str:
    line = "" if event_id is None else f"id: {event_id}\n"
    return f"{line}event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n"
