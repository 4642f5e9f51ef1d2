"""What can be set about a server, one reason each. Host and port belong to whoever opens the socket."""

from dataclasses import dataclass
from pathlib import Path

STUDIO_FOLDER = Path(__file__).parent / "studio"


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of one server; the defaults serve one person on their own machine."""

    model: str = "edge"
    """What transcribes: `edge`, a path or a hub id, as after `evoxtral transcribe --model`."""

    max_upload_bytes: int = 200 * 2**20
    """Largest request body. 200 MiB hold about 19 minutes of CD-quality WAV, or 14 hours of 32 kbit/s Opus."""

    studio: Path = STUDIO_FOLDER
    """Folder of the built Studio (`make studio` fills the default); where it is missing, `/` says how to get it."""
