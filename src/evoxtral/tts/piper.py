"""Base voices of Piper (package `piper-tts`): one `.onnx` file and its `.onnx.json` each, in a folder of the user's.

Piper turns a phrase into plain speech; word times are found afterwards. Knows nothing of tags or delivery.
"""

import functools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from evoxtral.errors import VoiceError
from evoxtral.findings import Finding, is_importable
from evoxtral.models import ModelStore
from evoxtral.settings import read_settings
from evoxtral.tts.onnx_session import open_session
from evoxtral.tts.plain_speech import SAMPLE_WORDS, PlainSpeech, probe_folder
from evoxtral.tts.speech_engine import Voice
from evoxtral.tts.word_times import align

_VARIABLE = "EVOXTRAL_PIPER_DIR"
_HOLDS = "a folder with .onnx voices"


class PiperBase:
    """A voice of Piper, given by its `.onnx` file."""

    engine = "local/piper"

    def __init__(self, path: Path) -> None:
        self._path = path

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        voice = _piper(self._path)
        chunks = [chunk.audio_float_array for chunk in voice.synthesize(" ".join(words))]
        if not chunks:
            raise VoiceError(f"Piper cannot speak {' '.join(words)[:60]!r}")
        return align(np.concatenate(chunks).astype(np.float32), int(voice.config.sample_rate), words, "en-us+m3")

    def sample(self) -> PlainSpeech:
        return self.speak_words(SAMPLE_WORDS)


def voices(store: ModelStore) -> list[Voice]:
    folder = read_settings().piper_dir
    if folder is None or not is_importable("piper"):
        return []
    return [Voice(f"piper/{path.stem}", "Piper") for path in sorted(folder.glob("*.onnx"))]


def load(name: str, store: ModelStore, cache_folder: Path | None) -> PiperBase:
    if not is_importable("piper"):
        raise VoiceError("Piper voices need the package piper-tts", "pip install 'evoxtral[piper]'")
    folder = read_settings().piper_dir
    path = None if folder is None else folder / f"{name}.onnx"
    if path is None or not path.exists():
        raise VoiceError(f"there is no voice piper/{name}", f"set {_VARIABLE} to the folder of its .onnx file")
    return PiperBase(path)


def probe(store: ModelStore) -> Finding:
    if not is_importable("piper"):
        remedy = f"pip install 'evoxtral[piper]', and set {_VARIABLE} to {_HOLDS}"
        return Finding("piper", False, "not installed", remedy)
    folder = read_settings().piper_dir
    return probe_folder("piper", voices(store), _VARIABLE, None if folder is None else str(folder), _HOLDS)


@functools.lru_cache(maxsize=4)
def _piper(path: Path) -> Any:
    import piper

    config = piper.config.PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
    return piper.PiperVoice(session=open_session(path), config=config)
