"""The voices under the local engine: who can speak a plain phrase on this machine, by name.

Names are `espeak/NAME`, `kokoro/NAME`, `piper/NAME` and `recorded/SET.SPEAKER`. espeak-ng's are always there; the
others where their package is installed and an environment variable says where their weights or recordings lie. Knows
nothing of tags or delivery.
"""

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from evoxtral.errors import VoiceError
from evoxtral.tts import espeak, neural, recorded
from evoxtral.tts.espeak import PlainSpeech
from evoxtral.tts.speech_engine import Voice


class BaseVoice(Protocol):
    """Speaks plain phrases."""

    engine: str

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        """Plain speech of one phrase, given as its words with their punctuation."""
        ...

    def sample(self) -> PlainSpeech:
        """A few seconds of plain speech to measure the speaker by."""
        ...


class EspeakBase:
    """A voice of espeak-ng."""

    engine = "local/espeak"

    def __init__(self, name: str) -> None:
        if name not in espeak.VOICES:
            raise VoiceError(f"there is no voice espeak/{name}", "evoxtral speak --list-voices")
        self._voice = espeak.VOICES[name]

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        return espeak.speak_words(words, self._voice)

    def sample(self) -> PlainSpeech:
        return self.speak_words(neural.SAMPLE_WORDS)


def voices() -> list[Voice]:
    """The voices that can be used on this machine now, under their full names."""
    found = [Voice(f"espeak/{voice.name}", f"{voice.description} (espeak-ng)") for voice in espeak.VOICES.values()]
    kokoro, piper = os.environ.get("EVOXTRAL_KOKORO_DIR"), _folder_from("EVOXTRAL_PIPER_DIR")
    if kokoro and _installed("kokoro_onnx"):
        weights = neural.find_kokoro(kokoro, download=False)
        names = [] if weights is None else weights.voice_names
        found.extend(Voice(f"kokoro/{name}", neural.describe_kokoro(name)) for name in names)
    if piper is not None and _installed("piper"):
        found.extend(Voice(f"piper/{path.stem}", "Piper") for path in sorted(piper.glob("*.onnx")))
    recordings = _folder_from("EVOXTRAL_RECORDINGS_DIR")
    if recordings is not None:
        found.extend(recorded.voices(recordings))
    return found


def load(voice: str, cache_folder: Path | None = None) -> BaseVoice:
    """The base voice of that full name.

    Args:
        cache_folder: where Kokoro's phrases are kept; by default the folder in EVOXTRAL_SPEECH_CACHE, or nowhere.

    Raises:
        VoiceError: the voice or its package or weights are not there; the hint says what to do.
    """
    kind, _, name = voice.partition("/")
    match kind:
        case "espeak":
            return EspeakBase(name)
        case "kokoro":
            return _load_kokoro(name, cache_folder or _folder_from("EVOXTRAL_SPEECH_CACHE"))
        case "piper":
            return _load_piper(name)
        case "recorded":
            folder = _folder_from("EVOXTRAL_RECORDINGS_DIR")
            if folder is None:
                raise VoiceError(
                    f"the recordings of {voice} were not found",
                    "set EVOXTRAL_RECORDINGS_DIR to the folder of its manifest",
                )
            return recorded.RecordedBase(name, folder)
    raise VoiceError(f"there is no voice {voice!r}", "evoxtral speak --list-voices")


def _load_kokoro(name: str, cache_folder: Path | None) -> neural.KokoroBase:
    if not _installed("kokoro_onnx"):
        raise VoiceError("Kokoro voices need the package kokoro-onnx", "pip install 'evoxtral[kokoro]'")
    place = os.environ.get("EVOXTRAL_KOKORO_DIR")
    weights = neural.find_kokoro(place, download=True) if place else None
    if weights is None:
        raise VoiceError(
            f"no weights of Kokoro in {place!r}" if place else "the place of Kokoro's weights is not set",
            f"set EVOXTRAL_KOKORO_DIR to a folder with its .onnx file and voices, or to {neural.KOKORO_HUB_ID}",
        )
    return neural.KokoroBase(name, weights, cache_folder)


def _load_piper(name: str) -> neural.PiperBase:
    if not _installed("piper"):
        raise VoiceError("Piper voices need the package piper-tts", "pip install 'evoxtral[piper]'")
    folder = _folder_from("EVOXTRAL_PIPER_DIR")
    path = None if folder is None else folder / f"{name}.onnx"
    if path is None or not path.exists():
        raise VoiceError(f"there is no voice piper/{name}", "set EVOXTRAL_PIPER_DIR to the folder of its .onnx file")
    return neural.PiperBase(path)


def _folder_from(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
