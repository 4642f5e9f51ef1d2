"""What the server answers, one module for each group of addresses."""

from fastapi import APIRouter

from evoxtral.server.routers import (
    capabilities,
    deepgram,
    deepgram_flux,
    elevenlabs,
    health,
    jobs,
    openai,
    openai_realtime,
    respeaks,
    session,
    speak,
    stream,
    transcribe,
    transcripts,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    capabilities.router,
    session.router,
    transcribe.router,
    jobs.router,
    transcripts.router,
    respeaks.router,
    stream.router,
    speak.router,
    openai.router,
    openai_realtime.router,
    deepgram.router,
    deepgram_flux.router,
    elevenlabs.router,
)
