"""Stored files as answers: whole or in ranges, under a media type that no browser takes for a page."""

import mimetypes
from http import HTTPStatus
from typing import Any

from fastapi.responses import FileResponse
from starlette.datastructures import MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from evoxtral.server.problems import problem_response
from evoxtral.server.store.transcripts import StoredFile

UNKNOWN_TYPE = "application/octet-stream"
RANGES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The whole file.", "content": {"audio/*": {}, "video/*": {}, UNKNOWN_TYPE: {}}},
    206: {
        "description": "The part that was asked for (Range).",
        "content": {"audio/*": {}, "video/*": {}, UNKNOWN_TYPE: {}},
    },
}


def media_type_of(name: str, declared: str | None) -> str:
    """The type of an upload, by its name or as its sender says; only sound and pictures with sound."""
    for media_type in (mimetypes.guess_type(name)[0], (declared or "").partition(";")[0].strip().lower()):
        if (
            media_type
            and media_type.startswith(("audio/", "video/"))
            and media_type.isascii()
            and len(media_type) <= 100
        ):
            return media_type
    return UNKNOWN_TYPE


class StoredFileResponse(FileResponse):
    """A file of the store, which never changes; takes Range. A range that makes no sense is a problem document."""

    def __init__(self, file: StoredFile, name: str) -> None:
        super().__init__(
            file.path,
            media_type=file.media_type,
            filename=name,
            content_disposition_type="inline",
            headers={"ETag": f'"{file.id}"', "Cache-Control": "private, no-cache"},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: dict[str, str] | None = None

        async def send_unless_refused(message: Message) -> None:
            nonlocal refused
            if message["type"] == "http.response.start" and message["status"] >= HTTPStatus.BAD_REQUEST:
                refused = dict(MutableHeaders(raw=message["headers"]))
            elif refused is None:
                await send(message)

        await super().__call__(scope, receive, send_unless_refused)
        if refused is not None:
            size = refused.get("content-range")
            response = problem_response(
                HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
                "The file has no such range.",
                "send Range: bytes=FIRST-LAST within the file",
                {"Content-Range": size} if size else None,
            )
            await response(scope, receive, send)
