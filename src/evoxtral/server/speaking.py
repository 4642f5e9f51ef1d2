"""Tagged text becomes sound: each engine speaks as many texts at a time as it can, none twice.

Knows speech engines by their registry, and audio formats; nothing of routes.
"""

import hashlib
import io
import json
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus

import numpy as np
from anyio import CapacityLimiter, to_thread

from evoxtral.audio import resample, write_audio
from evoxtral.errors import VoiceError
from evoxtral.server.metrics import SPOKEN_SECONDS
from evoxtral.server.problems import Problem
from evoxtral.server.settings import Settings
from evoxtral.tts import load_speech_engine
from evoxtral.tts.registry import SPEECH_ENGINES, engine_entry
from evoxtral.tts.speech_engine import Speech, SpeechEngine, Voice

FORMATS = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg", "opus": "audio/ogg", "pcm": "audio/pcm"}
_CACHE_BYTES = 64 * 2**20
# Of engines that speak elsewhere; one that speaks here uses a core for itself, and may keep state.
_AT_A_TIME_ELSEWHERE = 4


@dataclass(frozen=True, slots=True)
class SpokenFile:
    """An encoded audio file, and who spoke it."""

    content: bytes
    media_type: str
    engine: str
    voice: str
    duration_s: float


class Speaker:
    """Speaks the texts of all requests."""

    def __init__(self, settings: Settings) -> None:
        self._max_characters = settings.max_text_characters
        self._engines: dict[str, SpeechEngine] = {}
        self._engines_lock = threading.Lock()
        self._turns = {
            entry.name: CapacityLimiter(_AT_A_TIME_ELSEWHERE if entry.needs_network else 1)
            for entry in SPEECH_ENGINES.values()
        }
        self._waiting = 0
        self._max_waiting = settings.max_requests
        self._cache: OrderedDict[str, SpokenFile] = OrderedDict()

    async def voices(self, engine: str) -> list[Voice]:
        """The voices of an engine that can be used now."""
        return list(await to_thread.run_sync(lambda: self.engine_in_turn(engine).voices(), limiter=self._turns[engine]))

    async def speak(
        self,
        text: str,
        *,
        engine: str = "local",
        voice: str | None = None,
        seed: int = 0,
        audio_format: str = "wav",
        sample_rate_hz: int | None = None,
    ) -> SpokenFile:
        """Speak tagged text.

        Args:
            sample_rate_hz: of the file; None for the engine's own.

        Raises:
            Problem: the text is empty or too long, the voice is unknown, or too many wait.
            EvoxtralError: it cannot be spoken.
        """
        if not text.strip():
            raise Problem(HTTPStatus.BAD_REQUEST, "The text is empty.", "send some words")
        if len(text) > self._max_characters:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The text has {len(text):,} characters, and this server takes {self._max_characters:,} at once.",
                "send it in parts, or raise the limit: EVOXTRAL_SERVER_MAX_TEXT_CHARACTERS",
            )
        asked = json.dumps([text, engine, voice, seed, audio_format, sample_rate_hz])
        key = hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()
        if (known := self._cache.get(key)) is not None:
            self._cache.move_to_end(key)
            return known
        if self._waiting >= self._max_waiting:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "Too many texts wait to be spoken.", "try again", {"Retry-After": "2"}
            )
        self._waiting += 1
        try:
            # The thread goes on when its client leaves; a text takes seconds.
            spoken = await to_thread.run_sync(
                lambda: self._speak(text, engine, voice, seed, audio_format, sample_rate_hz),
                limiter=self._turns[engine],
                abandon_on_cancel=True,
            )
        except VoiceError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, error.message, error.hint) from error
        finally:
            self._waiting -= 1
        self._remember(key, spoken)
        return spoken

    def _speak(
        self, text: str, engine: str, voice: str | None, seed: int, audio_format: str, sample_rate_hz: int | None
    ) -> SpokenFile:
        speech = self.engine_in_turn(engine).speak(text, voice=voice, seed=seed)
        if sample_rate_hz is not None:
            samples = resample(speech.samples, speech.sample_rate_hz, sample_rate_hz)
            speech = replace(speech, samples=samples, sample_rate_hz=sample_rate_hz)
        SPOKEN_SECONDS.labels(speech.engine).inc(speech.duration_s)
        content = encode(speech, audio_format)
        return SpokenFile(content, FORMATS[audio_format], speech.engine, speech.voice, speech.duration_s)

    def engine_in_turn(self, name: str) -> SpeechEngine:
        """An engine that any thread may use: one that speaks here speaks one text after the other.

        Raises:
            VoiceError: it lacks something.
        """
        with self._engines_lock:
            if name not in self._engines:
                engine = load_speech_engine(name)
                self._engines[name] = engine if engine_entry(name).needs_network else _OneAtATime(engine)
            return self._engines[name]

    def _remember(self, key: str, spoken: SpokenFile) -> None:
        self._cache[key] = spoken
        while sum(len(one.content) for one in self._cache.values()) > _CACHE_BYTES:
            self._cache.popitem(last=False)


class _OneAtATime:
    """An engine that speaks for one thread at a time; the others wait."""

    def __init__(self, engine: SpeechEngine) -> None:
        self.name = engine.name
        self._engine = engine
        self._lock = threading.Lock()

    def voices(self) -> Sequence[Voice]:
        return self._engine.voices()

    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        with self._lock:
            return self._engine.speak(text, voice=voice, seed=seed)


def encode(speech: Speech, audio_format: str) -> bytes:
    """An audio file of the samples; "pcm" is 16-bit little-endian samples without a header."""
    if audio_format == "pcm":
        return (np.clip(speech.samples, -1, 1) * 32767).round().astype("<i2").tobytes()
    buffer = io.BytesIO()
    write_audio(buffer, speech.samples, speech.sample_rate_hz, suffix=f".{audio_format}")
    return buffer.getvalue()
