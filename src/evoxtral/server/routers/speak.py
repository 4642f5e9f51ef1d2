"""`POST /speak` and `GET /voices`: tagged text in, an audio file out."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from evoxtral.server.routers.transcribe import PROBLEMS
from evoxtral.server.speaking import FORMATS, Speaker, SpokenFile
from evoxtral.tts.registry import SPEECH_ENGINES

router = APIRouter(tags=["speech"])


def _known(engine: str) -> str:
    if engine not in SPEECH_ENGINES:
        raise ValueError(f"there is no such engine; send one of {', '.join(SPEECH_ENGINES)}")
    return engine


Engine = Annotated[str, AfterValidator(_known), Field(json_schema_extra={"enum": list(SPEECH_ENGINES)})]
"""A speech engine of the registry."""

AUDIO: dict[int | str, dict[str, Any]] = {
    200: {"description": "The audio file.", "content": {media_type: {} for media_type in FORMATS.values()}},
    **{status: PROBLEMS[status] for status in (400, 401, 413, 422, 503)},
}


class SpeechRequest(BaseModel):
    """What is to be spoken."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(description="Tagged text.")
    engine: Engine = "local"
    voice: str | None = Field(default=None, description="A voice of the engine (GET /voices).")
    seed: int = Field(default=0, ge=0, lt=2**32, description="The same seed speaks the same take.")
    format: Literal["wav", "flac", "mp3", "opus"] = "wav"


@dataclass(frozen=True, slots=True)
class VoiceDescription:
    name: str
    description: str


@router.post("/speak", response_class=Response, responses=AUDIO)
async def speak(request: Request, wanted: SpeechRequest) -> Response:
    """Speak tagged text; the headers X-Evoxtral-Engine and X-Evoxtral-Voice tell who really spoke."""
    speaker: Speaker = request.app.state.speaker
    return file_response(
        await speaker.speak(
            wanted.text, engine=wanted.engine, voice=wanted.voice, seed=wanted.seed, audio_format=wanted.format
        )
    )


@router.get("/voices")
async def voices(
    request: Request, engine: Annotated[Engine, Query(description="Whose voices.")] = "local"
) -> list[VoiceDescription]:
    """The voices that can be used now."""
    found = await request.app.state.speaker.voices(engine)
    return [VoiceDescription(voice.name, voice.description) for voice in found]


def file_response(spoken: SpokenFile) -> Response:
    """The file as an answer."""
    headers = {
        "X-Evoxtral-Engine": spoken.engine,
        "X-Evoxtral-Voice": spoken.voice.encode("ascii", "replace").decode(),
        "X-Evoxtral-Duration": f"{spoken.duration_s:.3f}",
    }
    return Response(spoken.content, media_type=spoken.media_type, headers=headers)
