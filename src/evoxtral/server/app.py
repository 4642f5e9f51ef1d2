"""Builds the server: routers, limits, problem documents, and the engine for as long as the server lives.

Nothing is decided here but how the parts are put together. For other ASGI servers and several processes:
`uvicorn --factory evoxtral.server.app:create_app`.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anyio import to_thread
from fastapi import FastAPI

import evoxtral
from evoxtral.inference import load_engine
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.server.problems import install_problem_handlers
from evoxtral.server.routers import health, studio, transcribe
from evoxtral.server.settings import Settings
from evoxtral.server.uploads import BodyLimit
from evoxtral.server.worker import Worker


def create_app(settings: Settings | None = None, *, engine: TranscriptionEngine | None = None) -> FastAPI:
    """Build the server's application.

    Args:
        settings: None for the defaults.
        engine: an engine that is loaded already; None loads `settings.model` when the server starts.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.settings = settings
        loaded = await to_thread.run_sync(load_engine, settings.model) if engine is None else engine
        app.state.worker = Worker(loaded)
        yield

    app = FastAPI(
        title="Evoxtral",
        version=evoxtral.__version__,
        description="Speech to text that keeps the delivery: words with inline audio tags.",
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, limit_bytes=settings.max_upload_bytes)
    install_problem_handlers(app)
    app.include_router(health.router)
    app.include_router(transcribe.router)
    studio.mount(app, settings.studio)  # last: it answers every path that is left
    return app
