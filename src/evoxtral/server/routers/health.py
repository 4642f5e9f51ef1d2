"""`GET /health`, `/ready`, `/metrics`, `/models`: what machines ask a server."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from fastapi import APIRouter, Request, Response

import evoxtral
from evoxtral.server.metrics import CONTENT_TYPE, exposition
from evoxtral.server.problems import MEDIA_TYPE, Problem

router = APIRouter(tags=["server"])


@dataclass(frozen=True, slots=True)
class Health:
    """`model` by `engine` transcribes; a request body may hold `max_upload_bytes`, a recording `max_duration_s`."""

    status: Literal["ok"]
    version: str
    model: str
    engine: str
    max_upload_bytes: int
    max_duration_s: float


@dataclass(frozen=True, slots=True)
class Ready:
    status: Literal["ready"]


@dataclass(frozen=True, slots=True)
class Model:
    """A model as OpenAI's clients list it."""

    id: str
    object: Literal["model"] = "model"
    created: int = 0
    owned_by: str = "evoxtral"


@dataclass(frozen=True, slots=True)
class Models:
    data: list[Model]
    object: Literal["list"] = "list"


_NOT_READY: dict[int | str, dict[str, Any]] = {503: {"description": "Not warm yet.", "content": {MEDIA_TYPE: {}}}}


@router.get("/health")
async def health(request: Request) -> Health:
    """Tell that the process lives, and what a client must know before it uploads."""
    engine = request.app.state.transcriber.engine
    settings = request.app.state.settings
    return Health(
        status="ok",
        version=evoxtral.__version__,
        model=engine.model,
        engine=engine.name,
        max_upload_bytes=settings.max_upload_bytes,
        max_duration_s=settings.max_duration_s,
    )


@router.get("/ready", responses=_NOT_READY)
async def ready(request: Request) -> Ready:
    """Tell whether requests should be sent here: the model is loaded and has been run once."""
    if not request.app.state.is_warm.is_set():
        raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The model is not warm yet.", "ask again in a second")
    return Ready("ready")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics() -> Response:
    """Counts and times as Prometheus reads them."""
    return Response(exposition(), media_type=CONTENT_TYPE)


@router.get("/models")
@router.get("/v1/models")
async def models(request: Request) -> Models:
    """The models that can be named; a server has one for transcription and one for each speech engine."""
    from evoxtral.tts.registry import SPEECH_ENGINES

    names = [request.app.state.transcriber.engine.model, *SPEECH_ENGINES]
    return Models([Model(name) for name in names])
