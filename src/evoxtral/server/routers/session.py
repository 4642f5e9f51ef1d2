"""`/session`: a key exchanged for a cookie, for pages in a browser; `evoxtral.server.keys` says what it is worth."""

from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from evoxtral.server.keys import SESSION_COOKIE
from evoxtral.server.problems import Problem, described

router = APIRouter(tags=["server"])

_REMEMBERED_S = 30 * 24 * 3600


class SessionRequest(BaseModel):
    """How long the session is to last."""

    model_config = ConfigDict(extra="forbid")

    remember: bool = Field(default=False, description="For 30 days; otherwise until the browser is closed.")


@router.post(
    "/session",
    status_code=HTTPStatus.NO_CONTENT,
    responses=described(
        _401="Not a key of this server.",
        _404="This server asks for no key.",
        _422="A field is unknown or has no such value.",
    ),
)
async def begin(request: Request, response: Response, wanted: SessionRequest) -> None:
    """Begin a session with the key in the header `Authorization`; the browser sends it with all that it asks for."""
    session: str | None = getattr(request.state, "session", None)
    if session is None:
        raise Problem(HTTPStatus.NOT_FOUND, "This server asks for no key.", "leave it out")
    response.set_cookie(
        SESSION_COOKIE,
        session,
        max_age=_REMEMBERED_S if wanted.remember else None,
        # The page's own address, which a proxy between does not change.
        secure=request.headers.get("origin", "").startswith("https:"),
        httponly=True,
        samesite="strict",
    )


@router.delete("/session", status_code=HTTPStatus.NO_CONTENT, responses=described(_401="There is no session."))
async def end(response: Response) -> None:
    """End the session of this browser."""
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict")
