"""What the server answers, one module for each group of addresses."""

from fastapi import APIRouter

from evoxtral.server.routers import (
    deepgram,
    deepgram_flux,
    elevenlabs,
    health,
    openai,
    openai_realtime,
    speak,
    stream,
    transcribe,
)

ROUTERS: tuple[APIRouter, ...] = (
    health.router,
    transcribe.router,
    stream.router,
    speak.router,
    openai.router,
    openai_realtime.router,
    deepgram.router,
    deepgram_flux.router,
    elevenlabs.router,
)
