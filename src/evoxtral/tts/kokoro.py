"""Base voices of Kokoro (package `kokoro-onnx`): an 82M network whose weights lie in a folder or on the hub.

Kokoro turns a phrase into plain speech; word times are found afterwards. Knows which files its weights are, and the
store of models that finds them; nothing of tags or delivery.
"""

import functools
import hashlib
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from evoxtral.data.files import whole_file
from evoxtral.errors import ModelError, VoiceError
from evoxtral.findings import Finding, is_importable
from evoxtral.models import ModelStore
from evoxtral.settings import read_settings
from evoxtral.tts.onnx_session import open_session
from evoxtral.tts.plain_speech import SAMPLE_WORDS, PlainSpeech, probe_folder
from evoxtral.tts.speech_engine import Voice
from evoxtral.tts.word_times import align

Samples = NDArray[np.float32]
KOKORO_HUB_ID = "onnx-community/Kokoro-82M-v1.0-ONNX"
_VARIABLE = "EVOXTRAL_KOKORO_DIR"
_HOLDS = f"a folder with its .onnx file and voices, or to {KOKORO_HUB_ID}"
_KOKORO_RATE_HZ = 24_000
_KOKORO_STYLE_SIZE = 256
_KOKORO_ACCENTS = {"a": ("en-us", "American English"), "b": ("en-gb", "British English")}
# The first that is there is taken; the hub's own export comes in a folder, one file a precision.
_KOKORO_MODELS = ("kokoro.onnx", "kokoro*.onnx", "onnx/model_quantized.onnx", "onnx/model.onnx")
_KOKORO_STYLES = ("en.npz", "*.npz", "voices*.bin", "voices")
# Of the hub's export: 90 MB.
_HUB_FILES = ("onnx/model_quantized.onnx", "voices/[ab]*.bin")


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


def find_kokoro(place: str, store: ModelStore, *, fetch: bool) -> KokoroWeights | None:
    """The weights in a folder or, where `place` is a hub id, in the store; None where there are none.

    Args:
        fetch: bring what the store lacks from the hub, if the store may use the network.

    Raises:
        VoiceError: they could not be fetched, or must not be.
    """
    folder = Path(place).expanduser()
    if folder.is_dir():
        return _kokoro_in(folder)
    if place.count("/") != 1 or place.startswith(("/", ".", "~")):
        return None
    if not fetch:
        found = store.find_files(place, _HUB_FILES)
        return None if found is None else _kokoro_in(found)
    try:
        return _kokoro_in(store.fetch_files(place, _HUB_FILES))
    except ModelError as error:
        raise VoiceError(f"Kokoro: {error.message}", error.hint or f"set {_VARIABLE} to a folder") from error


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


def voices(store: ModelStore) -> list[Voice]:
    place = read_settings().kokoro_dir
    if not place or not is_importable("kokoro_onnx"):
        return []
    weights = find_kokoro(place, store, fetch=False)
    names = () if weights is None else weights.voice_names
    return [Voice(f"kokoro/{name}", describe_kokoro(name)) for name in names]


def load(name: str, store: ModelStore, cache_folder: Path | None) -> KokoroBase:
    if not is_importable("kokoro_onnx"):
        raise VoiceError("Kokoro voices need the package kokoro-onnx", "pip install 'evoxtral[kokoro]'")
    place = read_settings().kokoro_dir
    weights = find_kokoro(place, store, fetch=True) if place else None
    if weights is None:
        problem = f"no weights of Kokoro in {place!r}" if place else "the place of Kokoro's weights is not set"
        raise VoiceError(problem, f"set {_VARIABLE} to {_HOLDS}")
    return KokoroBase(name, weights, cache_folder)


def probe(store: ModelStore) -> Finding:
    if not is_importable("kokoro_onnx"):
        remedy = f"pip install 'evoxtral[kokoro]', and set {_VARIABLE} to {_HOLDS}"
        return Finding("kokoro", False, "not installed", remedy)
    place, found = read_settings().kokoro_dir, voices(store)
    if not found and place == KOKORO_HUB_ID:
        remedy = "evoxtral speak Hello --voice kokoro/af_bella -o hello.wav"
        return Finding("kokoro", False, "not fetched yet", remedy)
    return probe_folder("kokoro", found, _VARIABLE, place, _HOLDS)


@functools.lru_cache(maxsize=2)
def _kokoro(weights: KokoroWeights) -> Any:
    import kokoro_onnx

    session = open_session(weights.model)
    # The package wants a file of styles; each call brings its own instead.
    with tempfile.TemporaryDirectory() as folder:
        placeholder = Path(folder) / "styles.npz"
        np.savez(placeholder, none=np.zeros(1, np.float32))
        return kokoro_onnx.Kokoro.from_session(session, str(placeholder))
