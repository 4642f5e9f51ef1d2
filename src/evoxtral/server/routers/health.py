"""`GET /health`: that the server is up, and what a client must know of it before it uploads."""

from dataclasses import dataclass
from typing import Literal

from fastapi import APIRouter, Request

import evoxtral

router = APIRouter(tags=["server"])


@dataclass(frozen=True, slots=True)
class Health:
    """`model` by `engine` transcribes; a request body may hold `max_upload_bytes`."""

    status: Literal["ok"]
    version: str
    model: str
    engine: str
    max_upload_bytes: int


@router.get("/health")
async def health(request: Request) -> Health:
    """Tell that the server is up (the engine is loaded before it answers at all)."""
    engine = request.app.state.worker.engine
    return Health(
        status="ok",
        version=evoxtral.__version__,
        model=engine.model,
        engine=engine.name,
        max_upload_bytes=request.app.state.settings.max_upload_bytes,
    )
