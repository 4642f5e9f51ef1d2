"""The limit on request bodies, enforced while they arrive: nothing beyond it is ever held.

The framework's own limit (`FastAPI(max_body_size=...)`) answers in plain text when the length is declared, so the
problem document would be lost; hence these few lines. Knows nothing of forms and files.
"""

from http import HTTPStatus

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evoxtral.server.problems import Problem, problem_response

MEBIBYTE = 2**20


class BodyLimit:
    """ASGI middleware that answers 413 to a body longer than `limit_bytes`.

    A declared length (Content-Length) is refused before a byte is read; an undeclared one (chunked) as soon as
    the bytes received pass the limit.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int) -> None:
        self.app = app
        self.limit_bytes = limit_bytes
        self.detail = f"The upload is larger than this server's limit of {limit_bytes / MEBIBYTE:.4g} MiB."
        self.hint = "send a compressed file (Opus, MP3), cut it, or raise the limit: evoxtral serve --max-upload-mib"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.limit_bytes:
            response = problem_response(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self.detail, self.hint)
            await response(scope, receive, send)
            return

        received_bytes = 0

        async def receive_counted() -> Message:
            nonlocal received_bytes
            message = await receive()
            received_bytes += len(message.get("body", b""))
            if received_bytes > self.limit_bytes:
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self.detail, self.hint)
            return message

        await self.app(scope, receive_counted, send)
