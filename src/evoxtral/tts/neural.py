"""Base voices of neural speech synthesisers: Kokoro (package `kokoro-onnx`) and Piper (package `piper-tts`).

Each turns a phrase into plain speech; word times are found afterwards. Knows where weights lie in a folder or on the
hub; nothing of tags or delivery.
"""

import functools
import hashlib
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from evoxtral.data.files import whole_file
from evoxtral.errors import VoiceError
from evoxtral.tts.espeak import PlainSpeech
from evoxtral.tts.word_times import align

Samples = NDArray[np.float32]
KOKORO_HUB_ID = "onnx-community/Kokoro-82M-v1.0-ONNX"
SAMPLE_WORDS = ("Ah,", "I", "was", "far", "along", "the", "path.")  # open vowels, to measure a speaker by
_KOKORO_RATE_HZ = 24_000
_KOKORO_STYLE_SIZE = 256
_KOKORO_ACCENTS = {"a": ("en-us", "American English"), "b": ("en-gb", "British English")}
# The first that is there is taken; the hub's own export comes in a folder, one file a precision.
_KOKORO_MODELS = ("kokoro.onnx", "kokoro*.onnx", "onnx/model_quantized.onnx", "onnx/model.onnx")
_KOKORO_STYLES = ("en.npz", "*.npz", "voices*.bin", "voices")


@dataclass(frozen=True, slots=True)
class KokoroWeights:
    """Where a Kokoro lies.

    Attributes:
        model: the ONNX file.
        styles: a .npz of style arrays by voice (also named .bin), or a folder with one raw float32 .bin a voice.
        voice_names: the English voices, sorted.
    """

    model: Path
    styles: Path
    voice_names: tuple[str, ...]


def find_kokoro(place: str, *, download: bool) -> KokoroWeights | None:
    """The weights in a folder or, where `place` is a hub id, in the hub's cache; None where there are none.

    Args:
        download: fetch what the cache lacks from the hub (90 MB; the hub's client shows its progress).

    Raises:
        VoiceError: the download failed.
    """
    folder = Path(place)
    if folder.is_dir():
        return _kokoro_in(folder)
    if place.count("/") != 1 or place.startswith(("/", ".", "~")):
        return None
    import huggingface_hub

    try:
        snapshot = huggingface_hub.snapshot_download(
            place, allow_patterns=["onnx/model_quantized.onnx", "voices/[ab]*.bin"], local_files_only=not download
        )
    except Exception as error:  # the client's errors have no common base
        if not download:
            return None
        raise VoiceError(f"{place} could not be fetched: {error}", "set EVOXTRAL_KOKORO_DIR to a folder") from error
    return _kokoro_in(Path(snapshot))


def describe_kokoro(name: str) -> str:
    """One line on a voice, which its name tells."""
    return f"{_KOKORO_ACCENTS[name[0]][1]}, {'female' if name[1:2] == 'f' else 'male'} (Kokoro)"


@functools.lru_cache(maxsize=4)
def _kokoro_in(folder: Path) -> KokoroWeights | None:
    model = _first(folder, _KOKORO_MODELS)
    styles = _first(folder, _KOKORO_STYLES)
    if model is None or styles is None:
        return None
    if styles.is_dir():
        names = [path.stem for path in styles.glob("*.bin")]
    else:
        with np.load(styles) as arrays:
            names = list(arrays.files)
    return KokoroWeights(model, styles, tuple(sorted(name for name in names if name[:1] in _KOKORO_ACCENTS)))


def _first(folder: Path, patterns: Sequence[str]) -> Path | None:
    return next((path for pattern in patterns for path in sorted(folder.glob(pattern))), None)


@functools.lru_cache(maxsize=64)
def _style(styles: Path, name: str) -> NDArray[np.float32]:
    """Style vectors of a voice by number of phonemes, shape (n, 1, 256)."""
    if styles.is_dir():
        return np.fromfile(styles / f"{name}.bin", dtype="<f4").reshape(-1, 1, _KOKORO_STYLE_SIZE)
    with np.load(styles) as arrays:
        return np.asarray(arrays[name], dtype=np.float32)


class KokoroBase:
    """A voice of Kokoro (package `kokoro-onnx`).

    Args:
        name: such as "af_bella"; the first letter is the accent, the second the sex.
        cache_folder: where raw phrases are kept as FLAC and found again, or None.

    Raises:
        VoiceError: the weights have no such voice.
    """

    engine = "local/kokoro"

    def __init__(self, name: str, weights: KokoroWeights, cache_folder: Path | None = None) -> None:
        if name not in weights.voice_names:
            raise VoiceError(f"there is no voice kokoro/{name}", "evoxtral speak --list-voices")
        self.name = name
        self._weights = weights
        self._cache_folder = cache_folder

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        accent = _KOKORO_ACCENTS.get(self.name[0], _KOKORO_ACCENTS["a"])[0]
        guide = "en-us+f2" if self.name[1:2] == "f" else "en-us+m3"
        samples = self._phrase(" ".join(words), accent)
        return align(samples, _KOKORO_RATE_HZ, words, guide)

    def sample(self) -> PlainSpeech:
        return self.speak_words(SAMPLE_WORDS)

    def _phrase(self, phrase: str, accent: str, speed: float = 1.0) -> Samples:
        if self._cache_folder is None:
            return self._synthesise(phrase, accent, speed)
        key = hashlib.sha1(f"{speed:.2f}|{phrase}".encode(), usedforsecurity=False).hexdigest()
        path = self._cache_folder / self.name / f"{key}.flac"
        if path.exists():
            samples, _ = soundfile.read(path, dtype="float32")
            return np.asarray(samples, dtype=np.float32)
        samples = self._synthesise(phrase, accent, speed)
        with whole_file(path, durable=False) as file:
            soundfile.write(file, samples, _KOKORO_RATE_HZ, format="FLAC", subtype="PCM_16")
        return samples

    def _synthesise(self, phrase: str, accent: str, speed: float) -> Samples:
        try:
            samples, _ = _kokoro(self._weights).create(
                phrase, voice=_style(self._weights.styles, self.name), speed=speed, lang=accent
            )
        except ValueError as error:  # nothing in the phrase that has a sound
            raise VoiceError(f"Kokoro cannot speak {phrase[:60]!r}: {error}") from error
        return np.asarray(samples, dtype=np.float32)


class PiperBase:
    """A voice of Piper (package `piper-tts`), given by its `.onnx` file."""

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


def _session_options() -> Any:
    import onnxruntime

    # One thread: corpora are spoken by one process a core, and short phrases gain little from more.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return options


@functools.lru_cache(maxsize=2)
def _kokoro(weights: KokoroWeights) -> Any:
    import kokoro_onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(str(weights.model), _session_options(), providers=["CPUExecutionProvider"])
    # The package wants a file of styles; each call brings its own instead.
    with tempfile.TemporaryDirectory() as folder:
        placeholder = Path(folder) / "styles.npz"
        np.savez(placeholder, none=np.zeros(1, np.float32))
        return kokoro_onnx.Kokoro.from_session(session, str(placeholder))


@functools.lru_cache(maxsize=4)
def _piper(path: Path) -> Any:
    import onnxruntime
    import piper

    config = piper.config.PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
    session = onnxruntime.InferenceSession(str(path), _session_options(), providers=["CPUExecutionProvider"])
    return piper.PiperVoice(session=session, config=config)
