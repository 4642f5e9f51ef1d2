"""How addresses reach the store: in a thread, for the key of the request, with its failures as problems."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any, TypeVar

from anyio import to_thread
from fastapi import Request
from pydantic import TypeAdapter

from evoxtral.server.problems import Problem, described
from evoxtral.server.store.errors import JobsFullError, MissingError
from evoxtral.server.store.opening import Store

_T = TypeVar("_T")
_RETRY_JOBS_S = "60"

ID = r"^[0-9a-f]{32}$"
NO_STORE = "This server keeps no transcripts."
NO_STORE_HINT = "start it without --no-store (EVOXTRAL_SERVER_STORE)"


STORE_PROBLEMS = described(
    _400="The body, or a recording in it, cannot be read.",
    _401="The server wants a key.",
    _404="There is no such thing, it is another key's, or the server keeps nothing.",
    _421="The server is not known by this name.",
    _429="This key has too much under way; Retry-After says when to come again.",
    _422="A field or parameter is missing, unknown or has no such value.",
    _507="The server's disk is full.",
)


def store_of(request: Request) -> Store:
    """The server's store.

    Raises:
        Problem: it has none.
    """
    store: Store | None = request.app.state.store
    if store is None:
        raise Problem(HTTPStatus.NOT_FOUND, NO_STORE, NO_STORE_HINT)
    return store


def owner_of(request: Request) -> str | None:
    """What stands for the key of a request; None on a server without keys."""
    owner: str | None = request.scope.get("state", {}).get("owner")
    return owner


async def in_store(request: Request, act: Callable[[Store, str | None], _T]) -> _T:
    """Do something with the store, in a thread.

    Raises:
        Problem: there is no store, or nothing of that name for this key; or no job can be accepted now.
    """
    store, owner = store_of(request), owner_of(request)
    try:
        return await to_thread.run_sync(lambda: act(store, owner))
    except MissingError:
        raise Problem(
            HTTPStatus.NOT_FOUND,
            f"{request.url.path}: there is no such thing here, or it belongs to another key.",
            "GET /transcripts and GET /jobs list what is here",
        ) from None
    except JobsFullError as full:
        raise Problem(
            HTTPStatus.TOO_MANY_REQUESTS if full.of_owner else HTTPStatus.SERVICE_UNAVAILABLE,
            f"So many recordings{' of this key' if full.of_owner else ''} wait that no further one is accepted.",
            "try again after the time in Retry-After",
            {"Retry-After": _RETRY_JOBS_S},
        ) from None


def as_json(value: Any) -> Any:
    """A dataclass as plain JSON values."""
    return TypeAdapter(type(value)).dump_python(value, mode="json")
