"""Base voices of neural speech synthesisers, where one is installed: Kokoro and Piper.

Each turns a phrase into plain speech. They give no word times; `align` finds them by warping espeak-ng's speech of
the same words, whose times are known, onto the neural speech. Knows nothing of tags or delivery.
"""

import functools
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.fft import dct
from scipy.signal import resample_poly

from evoxtral.errors import VoiceError
from evoxtral.tts import espeak
from evoxtral.tts.engine import Voice
from evoxtral.tts.espeak import PlainSpeech, sounding_span

Samples = NDArray[np.float32]
_SAMPLE_WORDS = ("Ah,", "I", "was", "far", "along", "the", "path.")  # open vowels, to measure a speaker by
_HOP_S = 0.01
_ALIGN_RATE_HZ = 16_000
_KOKORO_RATE_HZ = 24_000
_KOKORO_ACCENTS = {"a": ("en-us", "American English"), "b": ("en-gb", "British English")}


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
    """A voice of espeak-ng, always there."""

    engine = "local/espeak"

    def __init__(self, name: str) -> None:
        if name not in espeak.VOICES:
            raise VoiceError(f"there is no voice espeak/{name}", "evoxtral speak --list-voices")
        self._voice = espeak.VOICES[name]

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        return espeak.speak_words(words, self._voice)

    def sample(self) -> PlainSpeech:
        return self.speak_words(_SAMPLE_WORDS)


class KokoroBase:
    """A voice of Kokoro (package `kokoro-onnx`).

    Args:
        name: such as "af_bella"; the first letter is the accent, the second the sex.
        folder: holds `kokoro.onnx` and one .npz of voice styles.
        cache_folder: where raw phrases are kept as FLAC and found again, or None.
    """

    engine = "local/kokoro"

    def __init__(self, name: str, folder: Path, cache_folder: Path | None = None) -> None:
        if name not in _kokoro_styles(folder):
            raise VoiceError(f"there is no voice kokoro/{name} in {folder}", "evoxtral speak --list-voices")
        self.name = name
        self._folder = folder
        self._cache_folder = cache_folder

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        accent = _KOKORO_ACCENTS.get(self.name[0], _KOKORO_ACCENTS["a"])[0]
        guide = "en-us+f2" if self.name[1:2] == "f" else "en-us+m3"
        samples = self._phrase(" ".join(words), accent)
        return align(samples, _KOKORO_RATE_HZ, words, guide)

    def sample(self) -> PlainSpeech:
        return self.speak_words(_SAMPLE_WORDS)

    def _phrase(self, phrase: str, accent: str, speed: float = 1.0) -> Samples:
        if self._cache_folder is None:
            return self._synthesise(phrase, accent, speed)
        key = hashlib.sha1(f"{speed:.2f}|{phrase}".encode(), usedforsecurity=False).hexdigest()
        path = self._cache_folder / self.name / f"{key}.flac"
        if path.exists():
            samples, _ = soundfile.read(path, dtype="float32")
            return np.asarray(samples, dtype=np.float32)
        samples = self._synthesise(phrase, accent, speed)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.part")
        soundfile.write(unfinished, samples, _KOKORO_RATE_HZ, format="FLAC", subtype="PCM_16")
        unfinished.replace(path)
        return samples

    def _synthesise(self, phrase: str, accent: str, speed: float) -> Samples:
        try:
            samples, _ = _kokoro(self._folder).create(phrase, voice=self.name, speed=speed, lang=accent)
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
        return self.speak_words(_SAMPLE_WORDS)


def _session_options() -> Any:
    import onnxruntime

    # One thread: corpora are spoken by one process a core, and short phrases gain little from more.
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return options


@functools.lru_cache(maxsize=2)
def _kokoro(folder: Path) -> Any:
    import kokoro_onnx
    import onnxruntime

    session = onnxruntime.InferenceSession(
        str(folder / "kokoro.onnx"), _session_options(), providers=["CPUExecutionProvider"]
    )
    return kokoro_onnx.Kokoro.from_session(session, str(_kokoro_voices_path(folder)))


@functools.lru_cache(maxsize=4)
def _piper(path: Path) -> Any:
    import json

    import onnxruntime
    import piper

    config = piper.config.PiperConfig.from_dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
    session = onnxruntime.InferenceSession(str(path), _session_options(), providers=["CPUExecutionProvider"])
    return piper.PiperVoice(session=session, config=config)


def _kokoro_voices_path(folder: Path) -> Path | None:
    preferred = folder / "en.npz"
    return preferred if preferred.exists() else next(iter(sorted(folder.glob("*.npz"))), None)


@functools.lru_cache(maxsize=4)
def _kokoro_styles(folder: Path) -> tuple[str, ...]:
    path = _kokoro_voices_path(folder)
    if path is None or not (folder / "kokoro.onnx").exists():
        return ()
    with np.load(path) as styles:
        return tuple(name for name in styles.files if name[:1] in _KOKORO_ACCENTS)


def _folder_from(variable: str) -> Path | None:
    value = os.environ.get(variable)
    return Path(value) if value else None


def _installed(package: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(package) is not None


def voices() -> list[Voice]:
    """The neural and the recorded voices that can be used on this machine now, under their full names."""
    found: list[Voice] = []
    kokoro_folder, piper_folder = _folder_from("EVOXTRAL_KOKORO_DIR"), _folder_from("EVOXTRAL_PIPER_DIR")
    if kokoro_folder is not None and _installed("kokoro_onnx"):
        for name in _kokoro_styles(kokoro_folder):
            accent, sex = _KOKORO_ACCENTS[name[0]][1], "female" if name[1:2] == "f" else "male"
            found.append(Voice(f"kokoro/{name}", f"{accent}, {sex} (Kokoro)"))
    if piper_folder is not None and _installed("piper"):
        found.extend(Voice(f"piper/{path.stem}", "Piper") for path in sorted(piper_folder.glob("*.onnx")))
    recordings_folder = _folder_from("EVOXTRAL_RECORDINGS_DIR")
    if recordings_folder is not None:
        from evoxtral.tts import recorded

        found.extend(recorded.voices(recordings_folder))
    return found


def load(kind: str, name: str, cache_folder: Path | None = None) -> BaseVoice:
    """The base voice `kind/name`.

    Raises:
        VoiceError: the voice or its package or weights are not there; the hint says what to do.
    """
    if kind == "espeak":
        return EspeakBase(name)
    if kind == "kokoro":
        folder = _folder_from("EVOXTRAL_KOKORO_DIR")
        if not _installed("kokoro_onnx"):
            raise VoiceError("Kokoro voices need the package kokoro-onnx", "pip install 'evoxtral[kokoro]'")
        if folder is None:
            raise VoiceError(
                "the weights of Kokoro were not found",
                "set EVOXTRAL_KOKORO_DIR to a folder with kokoro.onnx and voices",
            )
        return KokoroBase(name, folder, cache_folder or _folder_from("EVOXTRAL_SPEECH_CACHE"))
    if kind == "piper":
        if not _installed("piper"):
            raise VoiceError("Piper voices need the package piper-tts", "pip install 'evoxtral[piper]'")
        folder = _folder_from("EVOXTRAL_PIPER_DIR")
        path = None if folder is None else folder / f"{name}.onnx"
        if path is None or not path.exists():
            raise VoiceError(
                f"there is no voice piper/{name}", "set EVOXTRAL_PIPER_DIR to the folder of its .onnx file"
            )
        return PiperBase(path)
    if kind == "recorded":
        from evoxtral.tts.recorded import RecordedBase

        folder = _folder_from("EVOXTRAL_RECORDINGS_DIR")
        if folder is None:
            raise VoiceError(
                f"the recordings of {kind}/{name} were not found",
                "set EVOXTRAL_RECORDINGS_DIR to the folder of its manifest",
            )
        return RecordedBase(name, folder)
    raise VoiceError(
        f"there is no voice {kind}/{name}" if name else f"{kind!r} is not the name of a voice",
        "evoxtral speak --list-voices",
    )


# --- word times --------------------------------------------------------------------------------------------------


def align(samples: Samples, sample_rate_hz: int, words: Sequence[str], guide_identifier: str) -> PlainSpeech:
    """Word times of speech without any, by dynamic time warping of espeak-ng's speech of the same words onto it.

    Args:
        samples: speech of exactly `words`; silence at its ends is cut off.
        guide_identifier: the espeak voice to compare with; one of the same sex fits best.
    """
    first, last = sounding_span(samples, 0.01 * float(np.max(np.abs(samples), initial=0.0)) + 1e-4)
    samples = samples[first:last]
    events = espeak.synthesize(" ".join(words), guide_identifier)
    guide = espeak.with_word_times(*events[:1], words, events[1])
    if len(samples) == 0 or len(guide.samples) == 0:
        return PlainSpeech(samples, sample_rate_hz, tuple((0.0, 0.0) for _ in words))
    path_guide, path_speech = _warp(_features(guide.samples, guide.sample_rate_hz), _features(samples, sample_rate_hz))
    duration_s = len(samples) / sample_rate_hz

    def mapped(time_s: float) -> float:
        return min(float(np.interp(time_s / _HOP_S, path_guide, path_speech)) * _HOP_S, duration_s)

    spans = [(mapped(start), mapped(end)) for start, end in guide.words]
    if spans:
        spans[0] = (0.0, spans[0][1])
        spans[-1] = (spans[-1][0], duration_s)
    return PlainSpeech(samples, sample_rate_hz, tuple(spans))


def _features(samples: Samples, sample_rate_hz: int) -> NDArray[np.float64]:
    """Mel cepstra and their slopes, mean and variance normalised; one row each `_HOP_S`."""
    if sample_rate_hz != _ALIGN_RATE_HZ:
        divisor = int(np.gcd(sample_rate_hz, _ALIGN_RATE_HZ))
        samples = resample_poly(samples, _ALIGN_RATE_HZ // divisor, sample_rate_hz // divisor)
    hop, width = round(_HOP_S * _ALIGN_RATE_HZ), 400
    padded = np.pad(samples, (width // 2, width // 2 + hop))
    rows = np.lib.stride_tricks.sliding_window_view(padded, width)[::hop][: len(samples) // hop + 1]
    power = np.abs(np.fft.rfft(rows * np.hanning(width), 512)) ** 2
    log_mel = np.log(power @ _mel_filters().T + 1e-7)
    cepstra = dct(log_mel, norm="ortho", axis=1)[:, :13]
    slopes = np.gradient(cepstra, axis=0) if len(cepstra) > 1 else np.zeros_like(cepstra)
    both = np.hstack((cepstra, 1.5 * slopes))
    return np.asarray((both - both.mean(axis=0)) / (both.std(axis=0) + 1e-6))


@functools.cache
def _mel_filters(count: int = 26) -> NDArray[np.float64]:
    mel = np.linspace(0.0, 2595 * np.log10(1 + 7000 / 700), count + 2)
    edges_hz = 700 * (10 ** (mel / 2595) - 1)
    hz = np.linspace(0.0, _ALIGN_RATE_HZ / 2, 257)
    low, middle, high = edges_hz[:-2, None], edges_hz[1:-1, None], edges_hz[2:, None]
    return np.clip(np.minimum((hz - low) / (middle - low), (high - hz) / (high - middle)), 0.0, None)


def _warp(a: NDArray[np.float64], b: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Cheapest monotone path that matches rows of `a` to rows of `b`, as two equally long index lists.

    Dynamic time warping with steps (1,1), (1,0), (0,1) (H. Sakoe, S. Chiba, 1978), computed one antidiagonal at a
    time so that numpy does the work.
    """
    n, m = len(a), len(b)
    cost = np.sqrt(np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None, :] - 2 * a @ b.T, 0.0))
    total = np.full((n + 1, m + 1), np.inf)
    total[0, 0] = 0.0
    for diagonal in range(2, n + m + 1):
        i = np.arange(max(1, diagonal - m), min(n, diagonal - 1) + 1)
        j = diagonal - i
        here = cost[i - 1, j - 1]
        # A small charge on steps off the diagonal keeps the path from wandering through silence.
        total[i, j] = here + np.minimum(total[i - 1, j - 1], np.minimum(total[i - 1, j], total[i, j - 1]) + 0.3 * here)
    path: list[tuple[int, int]] = []
    row, column = n, m
    while row > 0 and column > 0:
        path.append((row - 1, column - 1))
        row, column = min(((row - 1, column - 1), (row - 1, column), (row, column - 1)), key=lambda cell: total[cell])
    path.reverse()
    rows, columns = np.array(path).T
    # One value for each row of `a`, so that times can be interpolated.
    unique, first = np.unique(rows, return_index=True)
    return unique, columns[first]
