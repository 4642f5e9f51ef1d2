"""`GET /capabilities`: what this server can do and how much it takes, for pages that offer it."""

import time
from dataclasses import dataclass

from fastapi import APIRouter, Request

import evoxtral
from evoxtral.errors import EvoxtralError
from evoxtral.models import HUB_CACHE
from evoxtral.server.problems import described
from evoxtral.server.settings import Settings
from evoxtral.server.speaking import Speaker
from evoxtral.tags import TAG_TYPES
from evoxtral.tags.dialect_table import DIALECTS
from evoxtral.tts.registry import SPEECH_ENGINES, EngineEntry

router = APIRouter(tags=["server"])

# A service's voices are asked for again after so long.
_VOICES_LAST_S = 300.0


@dataclass(frozen=True, slots=True)
class SpeechVoice:
    """`id` is what is sent as `voice`, `name` what is shown."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class SpeechEngineState:
    """A speech engine; `why_not` says what it lacks where it is not available."""

    name: str
    available: bool
    why_not: str | None
    voices: list[SpeechVoice]


@dataclass(frozen=True, slots=True)
class KnownTag:
    """A tag of the taxonomy."""

    tag: str
    category: str
    group: str
    meaning: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """`store` tells whether transcripts and jobs are kept; `diarization` whether speakers are told apart;
    `asks_for_key` whether requests need a key or a session."""

    version: str
    model: str
    store: bool
    asks_for_key: bool
    max_upload_bytes: int
    max_duration_s: float
    diarization: bool
    dialects: list[str]
    engines: list[SpeechEngineState]
    tags: list[KnownTag]


@router.get("/capabilities", responses=described(_401="The server wants a key.", _421="Not known by this name."))
async def capabilities(request: Request) -> Capabilities:
    """What this server can do."""
    state = request.app.state
    settings: Settings = state.settings
    return Capabilities(
        version=evoxtral.__version__,
        model=state.transcriber.engine.model,
        store=state.store is not None,
        asks_for_key=bool(settings.api_keys),
        max_upload_bytes=settings.max_upload_bytes,
        max_duration_s=settings.max_duration_s,
        diarization=True,  # the embedded way is part of every installation
        dialects=list(DIALECTS),
        engines=[await _engine_state(request, entry) for entry in SPEECH_ENGINES.values()],
        tags=[KnownTag(tag.name, str(tag.category), tag.group, tag.meaning) for tag in TAG_TYPES],
    )


async def _engine_state(request: Request, entry: EngineEntry) -> SpeechEngineState:
    known: dict[str, tuple[float, SpeechEngineState]] = request.app.state.engine_states
    at_s, state = known.get(entry.name, (0.0, None))
    if state is None or time.monotonic() - at_s > _VOICES_LAST_S:
        state = await _ask(request.app.state.speaker, entry)
        known[entry.name] = (time.monotonic(), state)
    return state


async def _ask(speaker: Speaker, entry: EngineEntry) -> SpeechEngineState:
    lacks = [finding for finding in entry.probe(HUB_CACHE) if not finding.present] if entry.needs_network else []
    if lacks:
        remedy = f" ({lacks[0].remedy})" if lacks[0].remedy else ""
        return SpeechEngineState(entry.name, False, f"{lacks[0].detail}{remedy}", [])
    try:
        voices = await speaker.voices(entry.name)
    except EvoxtralError as error:
        return SpeechEngineState(entry.name, False, str(error), [])
    shown = [SpeechVoice(voice.name, f"{voice.name}: {voice.description}") for voice in voices]
    return SpeechEngineState(entry.name, True, None, shown)
