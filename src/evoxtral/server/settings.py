"""What can be set about a server, one reason each; every field can also be set by EVOXTRAL_SERVER_ and its name.

Host and port belong to whoever opens the socket. Keys are `SecretStr`: they show in no message, log or traceback.
"""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from evoxtral.server.store.place import NO_STORE, default_store_folder
from evoxtral.tags.dialect_table import DIALECTS

STUDIO_FOLDER = Path(__file__).parent / "studio"


class Settings(BaseSettings):
    """Settings of one server; the defaults serve one person on their own machine."""

    model_config = SettingsConfigDict(env_prefix="EVOXTRAL_SERVER_", env_ignore_empty=True, extra="forbid", frozen=True)

    model: str = "edge"
    """What transcribes: `edge`, a path or a hub id, as after `evoxtral transcribe --model`."""

    dialect: str = Field(default="elevenlabs", pattern=f"^({'|'.join(DIALECTS)})$")
    """How tags are written in answers of `POST /transcribe` where the request names no dialect."""

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

    max_respeak_characters: int = Field(default=50_000, ge=1)
    """Longest transcript that is spoken again; about an hour of speech."""

    max_respeaks: int = Field(default=16, ge=1)
    """Transcripts that are spoken again or compared, under way (two) and waiting; the next is answered 503."""

    store: str = Field(default_factory=lambda: str(default_store_folder()))
    """Where transcripts, their audio and jobs are kept: a folder, or the URL of a SQLite or PostgreSQL database; "none"
    for nowhere. By default a folder where the user's programs keep their data."""

    store_files: Path | None = None
    """Folder of the audio, which all servers of one store share; by default that of SQLite's database, and with
    PostgreSQL the default of `store`."""

    store_max_age_days: float | None = Field(default=None, gt=0)
    """Transcripts that nobody changed for longer are deleted with their audio; by default none is."""

    store_max_bytes: int | None = Field(default=None, ge=1)
    """While the audio that is kept is more, the oldest transcripts are deleted with theirs; by default none is."""

    max_jobs: int = Field(default=1000, ge=1)
    """Recordings that were accepted to be transcribed later and are not done; the next is answered 503."""

    max_requests_per_key: int | None = Field(default=None, ge=1)
    """Uploads, transcriptions, texts and streams of one key at the same time; the next is answered 429. No limit by
    default."""

    max_jobs_per_key: int | None = Field(default=None, ge=1)
    """The share of one key in `max_jobs`; the next is answered 429. No limit by default."""

    api_keys: tuple[SecretStr, ...] = ()
    """Keys, one of which every request must then bring (Authorization: Bearer), but for /health, /ready and the files
    of the Studio, which asks for it; () for none."""

    framed_by: tuple[str, ...] = ()
    """Origins whose pages may show the Studio in a frame, as https://huggingface.co for a Space; () for none."""

    allowed_hosts: tuple[str, ...] = ("localhost", "127.0.0.1", "[::1]")
    """Names under which the server may be addressed, against DNS rebinding; "*" for any."""

    @property
    def keeps(self) -> bool:
        """Whether there is a store."""
        return self.store.strip().lower() != NO_STORE

    studio: Path = STUDIO_FOLDER
    """Folder of the built Studio (`make studio` fills the default); where it is missing, `/` says how to get it."""
