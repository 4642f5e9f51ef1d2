"""Failures as RFC 9457 problem documents: what is wrong (`detail`) and what to do about it (`hint`).

Every answer of the server that is not a success passes through here, so that a client needs one reader for all.
Types of problem are told apart by status alone, so `type` is `about:blank` and `title` the status phrase, as
section 4.2.1 of the RFC asks; `hint` is an extension member (section 3.2), absent where there is no remedy.
"""

import errno
import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from evoxtral.errors import AudioError, EvoxtralError, TooLongError

LOG = logging.getLogger("evoxtral.server")
MEDIA_TYPE = "application/problem+json"

AUDIO_HINT = "send a whole recording in a format that FFmpeg reads, such as WAV, FLAC, MP3, M4A or Opus"


def described(**descriptions: str) -> dict[int | str, dict[str, Any]]:
    """Problems by their status, as `described(_404="...")`, for OpenAPI."""
    return {
        int(status.removeprefix("_")): {"description": text, "content": {MEDIA_TYPE: {}}}
        for status, text in descriptions.items()
    }


class Problem(HTTPException):
    """A failure that the client is told about.

    Args:
        status: HTTP status.
        detail: what is wrong with this request; one line.
        hint: what to do about it; one line.
        headers: further headers of the answer.
        more: further members of the document.
    """

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        hint: str | None = None,
        headers: Mapping[str, str] | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(status, detail, headers)
        self.hint = hint
        self.more = more or {}

    def document(self) -> dict[str, Any]:
        """The problem document."""
        return {**problem_document(self.status_code, self.detail, self.hint), **self.more}


def problem_document(status: int, detail: str, hint: str | None = None) -> dict[str, Any]:
    """A problem document."""
    document = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": int(status), "detail": detail}
    return document if hint is None else {**document, "hint": hint}


def problem_response(
    status: int, detail: str, hint: str | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """The problem document as a response."""
    return JSONResponse(
        problem_document(status, detail, hint), status_code=status, headers=headers, media_type=MEDIA_TYPE
    )


def problem_of(error: Exception) -> Problem:
    """What a client is told of a failure; nothing of the inside where it was not expected."""
    match error:
        case Problem():
            return error
        case TooLongError():
            hint = "cut it, or set EVOXTRAL_SERVER_MAX_DURATION_S higher"
            return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error.message, hint)
        case AudioError():
            return Problem(HTTPStatus.BAD_REQUEST, error.message, error.hint or AUDIO_HINT)
        case EvoxtralError():
            return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, error.message, error.hint)
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            LOG.error("the disk is full: %s", error)
            return Problem(
                HTTPStatus.INSUFFICIENT_STORAGE,
                "The server's disk is full; nothing is wrong with the upload.",
                "try again later; whoever runs the server must free space",
            )
        case _:
            return Problem(
                HTTPStatus.INTERNAL_SERVER_ERROR,
                "The server met an error that it did not expect.",
                "its log has the details",
            )


def install_problem_handlers(app: FastAPI) -> None:
    """Make every failure of `app` a problem document."""

    @app.exception_handler(HTTPException)
    async def on_http(request: Request, error: HTTPException) -> JSONResponse:
        if isinstance(error, Problem):
            return _response(error)
        return problem_response(
            error.status_code,
            f"{request.method} {request.url.path}: {error.detail}",
            "GET /docs lists what this server answers",
            error.headers,
        )

    @app.exception_handler(RequestValidationError)
    async def on_invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        faults = "; ".join(f"{fault['loc'][-1]}: {fault['msg']}" for fault in error.errors())
        return problem_response(
            HTTPStatus.UNPROCESSABLE_ENTITY, faults, f"GET /docs shows what {request.url.path} takes"
        )

    @app.exception_handler(EvoxtralError)
    async def on_expected(_: Request, error: EvoxtralError) -> JSONResponse:
        return _response(problem_of(error))

    # The traceback reaches the log (the framework raises on after this answer), never the client.
    @app.exception_handler(Exception)
    async def on_unexpected(_: Request, error: Exception) -> JSONResponse:
        return _response(problem_of(error))

    @app.exception_handler(OSError)
    async def on_disk(_: Request, error: OSError) -> JSONResponse:
        problem = problem_of(error)
        if problem.status_code == HTTPStatus.INTERNAL_SERVER_ERROR:
            raise error
        return _response(problem)


def _response(problem: Problem) -> JSONResponse:
    return JSONResponse(
        problem.document(), status_code=problem.status_code, headers=problem.headers, media_type=MEDIA_TYPE
    )
