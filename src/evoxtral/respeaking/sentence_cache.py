"""Spoken sentences by what they were made of, in a folder, so that no sentence is spoken (or paid for) twice.

Knows speech and files; nothing of transcripts.
"""

import hashlib
import json
import os
import threading
from pathlib import Path

import numpy as np

import evoxtral
from evoxtral.audio import write_audio
from evoxtral.errors import AudioError
from evoxtral.tts.speech_engine import Speech

_FORMAT = 1
_DEFAULT_BYTES = 512 * 2**20


class SentenceCache:
    """Sentences under the digest of engine, voice, seed, text and version; the longest unused go when it is full.

    Each is a FLAC file whose comment says who spoke it. Safe for several threads and processes.

    Args:
        folder: made where it is missing.
        max_bytes: of all files.
    """

    def __init__(self, folder: Path, max_bytes: int = _DEFAULT_BYTES) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes: int | None = None  # of all files, once they were counted

    def find(self, engine: str, voice: str | None, seed: int, text: str) -> Speech | None:
        """What the engine spoke before, or None; words and tags in time are not kept."""
        import soundfile

        path = self._path(engine, voice, seed, text)
        try:
            with soundfile.SoundFile(path) as sound:
                spoken = json.loads(sound.comment)
                samples = sound.read(dtype="float32")
                rate_hz = sound.samplerate
            path.touch()
        except (OSError, soundfile.LibsndfileError, ValueError):  # not there, or damaged: it is spoken again
            return None
        return Speech(
            np.asarray(samples, np.float32), rate_hz, spoken["engine"], spoken["voice"], notes=tuple(spoken["notes"])
        )

    def keep(self, engine: str, voice: str | None, seed: int, text: str, speech: Speech) -> None:
        """Keep what the engine spoke.

        Raises:
            AudioError: the folder cannot be written to.
        """
        path = self._path(engine, voice, seed, text)
        comment = json.dumps({"engine": speech.engine, "voice": speech.voice, "notes": speech.notes})
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_audio(path, speech.samples, speech.sample_rate_hz, comment=comment)
            self._make_room(path.stat().st_size)
        except OSError as error:
            raise AudioError(f"{path}: cannot be written: {error.strerror}") from error

    def _path(self, engine: str, voice: str | None, seed: int, text: str) -> Path:
        made_of = json.dumps([_FORMAT, evoxtral.__version__, engine, voice, seed, text])
        digest = hashlib.blake2b(made_of.encode(), digest_size=20).hexdigest()
        return self._folder / digest[:2] / f"{digest}.flac"

    def _make_room(self, added: int) -> None:
        with self._lock:
            if self._bytes is not None:
                self._bytes += added
            if self._bytes is not None and self._bytes <= self._max_bytes:
                return
            entries = []
            for path in self._folder.glob("*/*.flac"):
                try:
                    stat = path.stat()
                except FileNotFoundError:  # another process made room
                    continue
                entries.append((stat.st_mtime_ns, os.fspath(path), stat.st_size))
            self._bytes = sum(size for _, _, size in entries)
            for _, name, size in sorted(entries):
                if self._bytes <= self._max_bytes:
                    break
                Path(name).unlink(missing_ok=True)
                self._bytes -= size
