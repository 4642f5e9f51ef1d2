"""Builds the server: routers, limits, problem documents, and the engine for as long as the server lives.

Nothing is decided here but how the parts are put together. For other ASGI servers and several processes:
`uvicorn --factory evoxtral.server.app:create_app`.
"""

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from anyio import to_thread
from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

import evoxtral
from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference import load_engine
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.server.job_runner import JobRunner
from evoxtral.server.keys import ApiKeys
from evoxtral.server.middleware import BodyLimit, Envelope, HeadAsGet, KnownHosts
from evoxtral.server.problems import install_problem_handlers
from evoxtral.server.respeaker import Respeaker
from evoxtral.server.routers import ROUTERS, studio
from evoxtral.server.settings import Settings
from evoxtral.server.speaking import Speaker
from evoxtral.server.store.opening import Store, open_store
from evoxtral.server.transcribing import Transcriber

_WARM_UP_S = 0.5


def create_app(settings: Settings | None = None, *, engine: TranscriptionEngine | None = None) -> FastAPI:
    """Build the server's application.

    Args:
        settings: None for those of the environment.
        engine: an engine that is loaded already; None loads `settings.model` when the server starts.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        loaded = await to_thread.run_sync(load_engine, settings.model) if engine is None else engine
        store = await to_thread.run_sync(open_store_of, settings)
        transcriber = Transcriber(loaded, settings)
        app.state.settings = settings
        app.state.transcriber = transcriber
        app.state.speaker = Speaker(settings)
        app.state.respeaker = Respeaker(app.state.speaker, transcriber.decoding, settings)
        app.state.engine_states = {}
        app.state.open_streams = 0
        app.state.is_warm = threading.Event()
        warming = threading.Thread(target=_warm_up, args=(transcriber, app.state.is_warm), daemon=True)
        warming.start()
        app.state.store = store
        if store is not None:
            app.state.job_runner = JobRunner(store, transcriber)
            app.state.job_runner.start()
        try:
            yield
        finally:
            if store is not None:
                await app.state.job_runner.stop()
            app.state.respeaker.close()
            await to_thread.run_sync(transcriber.close)
            if store is not None:
                await to_thread.run_sync(store.close)

    app = FastAPIOffline(  # /docs with its own scripts, so that nothing is loaded from elsewhere
        redoc_url=None,
        title="Evoxtral",
        version=evoxtral.__version__,
        description="Speech to text that keeps the delivery: words with inline audio tags.",
        lifespan=lifespan,
    )
    app.add_middleware(BodyLimit, settings.max_upload_bytes, settings.max_uploads, settings.upload_idle_s)
    app.add_middleware(ApiKeys, settings.api_keys, studio.paths(settings.studio), settings.max_requests_per_key)
    app.add_middleware(KnownHosts, settings.allowed_hosts)
    app.add_middleware(Envelope, settings.framed_by)
    app.add_middleware(HeadAsGet)
    install_problem_handlers(app)
    for router in ROUTERS:
        app.include_router(router)
    studio.mount(app, settings.studio)  # last: it answers every path that is left
    return app


def open_store_of(settings: Settings) -> Store | None:
    """The store of a server; None where it keeps nothing. Raises StoreError."""
    if not settings.keeps:
        return None
    return open_store(
        settings.store,
        settings.store_files,
        max_age_days=settings.store_max_age_days,
        max_bytes=settings.store_max_bytes,
    )


def _warm_up(transcriber: Transcriber, is_warm: threading.Event) -> None:
    """Run the engine once, so that the first request does not pay for what it loads on first use."""
    with transcriber.scheduler.admit() as ticket:
        silence = np.zeros(round(_WARM_UP_S * SAMPLE_RATE_HZ), np.float32)
        try:
            transcriber.scheduler.engine_for(ticket).transcribe_windows([silence])
        except BaseException:  # whatever it is, the first request will tell its client
            return
    is_warm.set()
