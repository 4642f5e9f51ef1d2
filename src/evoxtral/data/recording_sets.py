"""Sets of recorded human clips: a JSONL manifest beside a tar of audio files, or beside the unpacked folder.

    NAME.jsonl    one line a clip: file (path in the tar or folder), duration (s), and what is known of the clip:
                  transcript, tag, tier (how sure the label is), speaker, split, category, license, ...
    NAME.tar      the audio, 16 kHz mono, any format that libsndfile reads (Opus, FLAC, WAV); or the same paths
                  in the manifest's folder

Knows how to find and read clips; knows nothing of what they are used for.
"""

import io
import tarfile
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from evoxtral.data.records import InsidePath
from evoxtral.errors import AudioError

SAMPLE_RATE_HZ = 16_000


class Recording(BaseModel):
    """One line of a manifest.

    Attributes:
        duration_s: length, from the key `duration`.
        tag: what the whole clip is ("laughs", "none", ...).
        tier: how sure the label is, in the set's own words.
        overlap: share of the transcript's words that a recogniser heard, where it was measured.
        detections: scores of sound event detectors, from the key `det`.
        voiced: share of voiced frames; f0_hz: median pitch, from the key `f0`; bursts: how many bursts of sound.
    """

    model_config = ConfigDict(frozen=True, populate_by_name=True)

    file: InsidePath
    duration_s: float = Field(alias="duration", gt=0)
    tag: str = "none"
    tier: str = ""
    speaker: str = "unknown"
    split: str = "train"
    transcript: Annotated[str, BeforeValidator(lambda text: text or "")] = ""  # null where nobody wrote it down
    category: str | None = None
    overlap: float | None = None
    voiced: float | None = None
    f0_hz: float | None = Field(alias="f0", default=None)
    rms_db: float | None = None
    bursts: int | None = None
    detections: dict[str, float] = Field(alias="det", default_factory=dict)
    license: str = ""


class RecordingSet:
    """The clips of one manifest. Reading audio is safe from several processes, each with its own object."""

    def __init__(self, manifest: str | Path) -> None:
        """Read the manifest.

        Raises:
            AudioError: the manifest is missing or malformed, or there is no audio beside it.
        """
        self.manifest = Path(manifest)
        self.name = self.manifest.stem
        try:
            lines = self.manifest.read_text("utf-8-sig").split("\n")  # not splitlines: JSON may hold other separators
            self.recordings = [Recording.model_validate_json(line) for line in lines if line.strip()]
        except FileNotFoundError as error:
            raise AudioError(f"{self.manifest} does not exist", "name a NAME.jsonl with NAME.tar beside it") from error
        except ValidationError as error:
            first = error.errors()[0]
            raise AudioError(f"{self.manifest} is no manifest of recordings: {first['loc']}: {first['msg']}") from error
        self._archive_path = self.manifest.with_suffix(".tar")
        self._archive: tarfile.TarFile | None = None
        first_file = self.recordings[0].file if self.recordings else ""
        if not self._archive_path.exists() and not (self.manifest.parent / first_file).exists():
            raise AudioError(f"there is no audio beside {self.manifest}", f"put {self._archive_path.name} beside it")

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_archive": None}  # an open file does not travel to another process

    def read_bytes(self, recording: Recording) -> bytes:
        """The encoded audio file of one recording.

        Raises:
            AudioError: the file is missing.
        """
        path = self.manifest.parent / recording.file
        if path.exists():
            return path.read_bytes()
        if self._archive is None:
            self._archive = tarfile.open(self._archive_path)  # noqa: SIM115 - kept open for the next clips
        try:
            member = self._archive.extractfile(recording.file)
        except KeyError:
            member = None
        if member is None:
            raise AudioError(f"{self._archive_path} holds no {recording.file}")
        return member.read()

    def read(self, recording: Recording) -> NDArray[np.float32]:
        """Mono float32 samples at 16 kHz, shape (n,).

        Raises:
            AudioError: the file is missing, unreadable, or not 16 kHz.
        """
        try:
            samples, rate_hz = soundfile.read(io.BytesIO(self.read_bytes(recording)), dtype="float32")
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{recording.file} of {self.manifest} cannot be read: {error}") from error
        if rate_hz != SAMPLE_RATE_HZ:
            raise AudioError(f"{recording.file} of {self.manifest} has {rate_hz} Hz, not {SAMPLE_RATE_HZ}")
        return np.asarray(samples if samples.ndim == 1 else samples.mean(axis=1), dtype=np.float32)
