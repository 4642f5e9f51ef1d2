"""What every answer of the server has in common: a request id, security headers, known hosts, bounded bodies.

Plain ASGI, because each must also see WebSockets, and none may read a body. Knows no address. Keys are in `keys`.
"""

import asyncio
import base64
import hashlib
import logging
import re
import secrets
import time
from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from evoxtral.server.metrics import REQUEST_SECONDS
from evoxtral.server.problems import Problem, problem_response

LOG = logging.getLogger("evoxtral.server")
MEBIBYTE = 2**20

# The Studio needs its own scripts and styles, workers and sound from memory, and nothing from elsewhere.
_POLICY = "; ".join(
    (
        "default-src 'self'",
        "script-src {scripts}",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data: blob:",
        "media-src 'self' blob:",
        "worker-src 'self' blob:",
        "connect-src 'self'",
        "font-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors {framing}",
    )
)
_INLINE_SCRIPT = re.compile(rb"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", re.DOTALL | re.IGNORECASE)
_SECURITY_HEADERS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(self)",
}
READING = ("GET", "HEAD", "OPTIONS")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


class HeadAsGet:
    """Answers HEAD on every address as GET, without the body (RFC 9110, section 9.3.2)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self.app({**scope, "method": "GET"}, receive, send_head)


def content_security(framing: str, page: bytes = b"") -> str:
    """The policy for a page: of scripts between its lines, those that it came with may run (by their hashes).

    Args:
        framing: whose pages may show it in a frame, as the directive frame-ancestors names them.
    """
    digests = [hashlib.sha256(script).digest() for script in _INLINE_SCRIPT.findall(page)]
    hashes = sorted({f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests})
    return _POLICY.format(scripts=" ".join(("'self'", *hashes)), framing=framing)


class Envelope:
    """Gives each answer a request id and security headers, and logs one line a request: no text, sound or key.

    A page of HTML is held back until it is whole, because its policy names its scripts.

    Args:
        framed_by: origins whose pages may show the Studio in a frame.
    """

    def __init__(self, app: ASGIApp, framed_by: Sequence[str] = ()) -> None:
        self.app = app
        self._framing = " ".join(framed_by) or "'none'"
        self._headers = dict(_SECURITY_HEADERS)
        if not framed_by:  # which knows no list of origins
            self._headers["x-frame-options"] = "DENY"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else secrets.token_hex(8)
        scope.setdefault("state", {})["request_id"] = request_id
        started_s = time.perf_counter()
        status = 500
        page_start: Message | None = None
        page = b""

        async def send_wrapped(message: Message) -> None:
            nonlocal status, page_start, page
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["x-request-id"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if headers.get("content-type", "").startswith("text/html"):
                    page_start = message
                    return
                if status != HTTPStatus.NOT_MODIFIED:  # the browser keeps the policy that came with the page
                    headers.setdefault("content-security-policy", content_security(self._framing))
            elif page_start is not None:
                page += message.get("body", b"")
                if message.get("more_body"):
                    return
                MutableHeaders(scope=page_start).setdefault(
                    "content-security-policy", content_security(self._framing, page)
                )
                await send(page_start)
                page_start, message = None, {**message, "body": page}
            await send(message)

        try:
            await self.app(scope, receive, send_wrapped)
        finally:
            seconds = time.perf_counter() - started_s
            route = getattr(scope.get("route"), "path", "other")
            REQUEST_SECONDS.labels(scope["method"], route, str(status)).observe(seconds)
            LOG.info("%s %s %s %d %.3f s", request_id, scope["method"], route, status, seconds)


class KnownHosts:
    """Refuses names that the server is not known by: a page elsewhere may point its own name here."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self.app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket") or "*" in self._hosts:
            await self.app(scope, receive, send)
            return
        host = re.sub(r":\d+$", "", Headers(scope=scope).get("host", "").lower())
        if host in self._hosts:
            await self.app(scope, receive, send)
            return
        await refuse(
            scope,
            receive,
            send,
            HTTPStatus.MISDIRECTED_REQUEST,
            f"This server is not known as {host[:100]!r}.",
            "address it by a name in EVOXTRAL_SERVER_ALLOWED_HOSTS, or add this one there",
        )


class BodyLimit:
    """Bounds the bodies of requests: their size, how many come at a time, and how long a client may be silent.

    A declared length (Content-Length) is refused before a byte is read; an undeclared one (chunked) as soon as the
    bytes received pass the limit.
    """

    def __init__(self, app: ASGIApp, limit_bytes: int, max_uploads: int, idle_s: float) -> None:
        self.app = app
        self.limit_bytes = limit_bytes
        self._idle_s = idle_s
        self._free = max_uploads
        self.detail = f"The upload is larger than this server's limit of {limit_bytes / MEBIBYTE:.4g} MiB."
        self.hint = "send a compressed file (Opus, MP3), cut it, or raise the limit: evoxtral serve --max-upload-mib"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in READING:
            await self.app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        if declared.isdecimal() and int(declared) > self.limit_bytes:
            await refuse(scope, receive, send, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self.detail, self.hint)
            return
        if not self._free:
            await refuse(
                scope,
                receive,
                send,
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many uploads come in at the same time.",
                "try again after the time in Retry-After",
                {"Retry-After": "1"},
            )
            return
        received_bytes = 0
        is_arriving = True
        self._free -= 1

        def is_here() -> None:
            nonlocal is_arriving
            if is_arriving:
                is_arriving = False
                self._free += 1

        async def receive_counted() -> Message:
            nonlocal received_bytes
            if not is_arriving:
                return await receive()  # waits for the client to leave, however long
            try:
                async with asyncio.timeout(self._idle_s):
                    message = await receive()
            except TimeoutError:
                raise Problem(
                    HTTPStatus.REQUEST_TIMEOUT,
                    f"Nothing of the upload came for {self._idle_s:g} seconds.",
                    "send it again over a steadier connection",
                ) from None
            received_bytes += len(message.get("body", b""))
            if received_bytes > self.limit_bytes:
                raise Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self.detail, self.hint)
            if message["type"] == "http.disconnect" or not message.get("more_body"):
                is_here()
            return message

        try:
            await self.app(scope, receive_counted, send)
        finally:
            is_here()


async def refuse(
    scope: Scope,
    receive: Receive,
    send: Send,
    status: HTTPStatus,
    detail: str,
    hint: str,
    headers: dict[str, str] | None = None,
) -> None:
    """Answer with a problem document, or close a WebSocket before it is open."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": detail[:100]})
        return
    await problem_response(status, detail, hint, headers)(scope, receive, send)
