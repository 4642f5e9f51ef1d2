"""What can be set about a server, one reason each; every field can also be set by EVOXTRAL_SERVER_ and its name.

Host and port belong to whoever opens the socket. Keys are `SecretStr`: they show in no message, log or traceback.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

STUDIO_FOLDER = Path(__file__).parent / "studio"


class Settings(BaseSettings):
    """Settings of one server; the defaults serve one person on their own machine."""

    model_config = SettingsConfigDict(env_prefix="EVOXTRAL_SERVER_", env_ignore_empty=True, extra="forbid", frozen=True)

    model: str = "edge"
    """What transcribes: `edge`, a path or a hub id, as after `evoxtral transcribe --model`."""

    max_upload_bytes: int = Field(default=200 * 2**20, ge=1)
    """Largest request body. 200 MiB hold about 19 minutes of CD-quality WAV, or 14 hours of 32 kbit/s Opus."""

    max_duration_s: float = Field(default=4 * 3600, gt=0)
    """Longest recording, as it is decoded: a small file may hold days of silence."""

    max_requests: int = Field(default=64, ge=1)
    """Transcriptions under way and waiting; the next is answered 503 with Retry-After."""

    max_decoding: int = Field(default=8, ge=1)
    """Recordings that are decoded and cut at the same time; each holds some megabytes."""

    max_uploads: int = Field(default=16, ge=1)
    """Bodies that are received at the same time; the next is answered 503 before it is read."""

    upload_idle_s: float = Field(default=20.0, gt=0)
    """A client that sends nothing of its body for so long is given up (408)."""

    max_streams: int = Field(default=16, ge=1)
    """Live streams at the same time."""

    stream_idle_s: float = Field(default=60.0, gt=0)
    """A live stream without sound or message for so long is closed."""

    max_text_characters: int = Field(default=5_000, ge=1)
    """Longest text that is spoken in one request."""

    api_keys: tuple[SecretStr, ...] = ()
    """Keys, one of which every request but /health and /ready must then bring (Authorization: Bearer); () for none."""

    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names under which the server may be addressed, against DNS rebinding; "*" for any."""

    studio: Path = STUDIO_FOLDER
    """Folder of the built Studio (`make studio` fills the default); where it is missing, `/` says how to get it."""
