"""Who may use the server: whoever brings one of its keys, or a session that was begun with one.

Programs send their key in a header. A page cannot where the browser itself asks (for sound, downloads and streams), so
it exchanges the key for a session (`POST /session`): a cookie that scripts cannot read, and from which the key cannot
be had. It is the same for all processes, ends when its key is taken away, and nothing of it is stored. Requests that
change something or open a stream are taken with a session only from pages of this server: cookies are sent whoever
asks.

Knows headers and keys; nothing of what is asked for.
"""

import hashlib
import hmac
from collections import Counter
from collections.abc import Collection, Sequence
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

from pydantic import SecretStr
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from evoxtral.server.middleware import READING, refuse

SESSION_COOKIE = "evoxtral_session"

_OPEN_PATHS = frozenset({"/health", "/ready"})


class ApiKeys:
    """Asks every request for one of the keys, if there are any; compared in constant time. Bounds the work of each.

    Leaves in the request's state `owner`, what stands for the key in the store, and `session`, its session.

    Args:
        page_paths: what can be read without a key: the page that asks for it.
        max_requests: requests with a body, and streams, that one key may have at the same time; None for any number.
    """

    def __init__(
        self,
        app: ASGIApp,
        keys: Sequence[SecretStr],
        page_paths: Collection[str] = (),
        max_requests: int | None = None,
    ) -> None:
        self.app = app
        self._sessions = {key: session_of_key(key) for key in (secret.get_secret_value().encode() for secret in keys)}
        self._page_paths = frozenset(page_paths)
        self._max_requests = max_requests
        self._under_way: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._sessions or scope["type"] not in ("http", "websocket") or self._is_open(scope):
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given, session = _given_key(headers), _given_session(headers)
        key = self._key_of(given, "" if given else session)
        if key is None:
            detail = "This server wants a key."
            if given or session:
                detail = f"This server wants a key, and this is {'none' if given else 'a session of none'} of its keys."
            hint = "send it in the header Authorization: Bearer KEY"
            challenge = {"WWW-Authenticate": "Bearer"}
            await refuse(scope, receive, send, HTTPStatus.UNAUTHORIZED, detail, hint, challenge)
        elif not given and _changes(scope) and not _is_own_page(headers):
            detail = "A session is taken only from this server's own pages."
            hint = "send a key, or pass on the header Host as it came if a proxy stands before the server"
            await refuse(scope, receive, send, HTTPStatus.FORBIDDEN, detail, hint)
        else:
            owner = owner_of_key(key)
            scope.setdefault("state", {}).update(owner=owner, session=self._sessions[key])
            await self._serve(owner, scope, receive, send)

    def _is_open(self, scope: Scope) -> bool:
        path = scope["path"]
        return path in _OPEN_PATHS or (path in self._page_paths and not _changes(scope))

    def _key_of(self, given: str, session: str) -> bytes | None:
        if not given and not session:
            return None
        # Every key is compared, so that the time tells nothing of which came near.
        found = None
        for key, its_session in self._sessions.items():
            is_given = hmac.compare_digest(given.encode(), key)
            is_session = hmac.compare_digest(session.encode(), its_session.encode())
            found = key if is_given or is_session else found
        return found

    async def _serve(self, owner: str, scope: Scope, receive: Receive, send: Send) -> None:
        is_work = _changes(scope)
        if self._max_requests is not None and is_work and self._under_way[owner] >= self._max_requests:
            await refuse(
                scope,
                receive,
                send,
                HTTPStatus.TOO_MANY_REQUESTS,
                f"This key has {self._max_requests} requests under way, which is its limit.",
                "try again when one is answered",
                {"Retry-After": "1"},
            )
            return
        self._under_way[owner] += is_work
        try:
            await self.app(scope, receive, send)
        finally:
            self._under_way[owner] -= is_work


def owner_of_key(key: bytes) -> str:
    """What stands for a key in the store: always the same, and the key cannot be had from it."""
    return hashlib.blake2b(key, digest_size=16, person=b"evoxtral owner").hexdigest()


def session_of_key(key: bytes) -> str:
    """What stands for a key in a browser: as good as the key here, and of no use elsewhere."""
    return hashlib.blake2b(key, digest_size=32, person=b"evoxtral session").hexdigest()


def _given_key(headers: Headers) -> str:
    """The key under any of the headers that clients of speech services send."""
    scheme, _, value = headers.get("authorization", "").partition(" ")
    if scheme.lower() in ("bearer", "token"):
        return value.strip()
    return headers.get("xi-api-key", "")


def _given_session(headers: Headers) -> str:
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(SESSION_COOKIE)
    except CookieError:
        return ""
    return cookie.value if cookie else ""


def _changes(scope: Scope) -> bool:
    """Whether a request may change something or make work, as far as its kind tells."""
    return scope["type"] == "websocket" or scope["method"] not in READING


def _is_own_page(headers: Headers) -> bool:
    """Whether a browser says that a page of this server asks. Not all send the first header, nor everywhere."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    return urlsplit(headers.get("origin", "")).netloc.lower() == headers.get("host", "").lower() != ""
