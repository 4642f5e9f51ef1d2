"""Plain speech from the espeak-ng library that `espeakng_loader` ships, with the time of every word.

A thin ctypes binding: text in, samples and word times out. Knows the named voices of this project (`VOICES`) and
nothing of tags, delivery or other engines. espeak-ng keeps its state (random numbers, pitch flutter) in static
memory that none of its functions resets; to give the same samples for the same text, every call loads the library
afresh under a lock, which takes about a millisecond.
"""

import _ctypes
import atexit
import contextlib
import ctypes
import functools
import itertools
import os
import re
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import espeakng_loader
import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.levels import frame_rms
from evoxtral.errors import VoiceError
from evoxtral.tts.plain_speech import PlainSpeech

SAMPLE_RATE_HZ = 22_050
MAX_CHARACTERS = 20_000  # of one call; espeak-ng itself has no limit, memory has

# From espeak-ng's public header `speak_lib.h`.
_OUTPUT_SYNCHRONOUS = 2
_OPTION_NO_EXIT = 0x8000
_CHARS_UTF8 = 1
_POSITION_CHARACTER = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_EVENT_END_OF_LIST, _EVENT_WORD = 0, 1


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),  # 1-based, in characters
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),  # ms
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


@dataclass(frozen=True, slots=True)
class EspeakVoice:
    """A named combination of an espeak accent and a voice variant.

    Attributes:
        name: our name, used as `espeak/NAME`.
        identifier: espeak's own, `ACCENT+VARIANT`.
        pitch, range: espeak's 0..100 settings, 50 being the variant's own.
        description: one line for lists.
    """

    name: str
    identifier: str
    pitch: int
    range: int
    description: str


# Variants that a speech recogniser understands as well as espeak-ng's own voice; others of its data are too odd.
VOICES: dict[str, EspeakVoice] = {
    voice.name: voice
    for voice in (
        EspeakVoice("amber", "en-us+f2", 50, 60, "American English, female"),
        EspeakVoice("anna", "en-us+anika", 46, 55, "American English, female"),
        EspeakVoice("bella", "en+f3", 48, 60, "British English, female"),
        EspeakVoice("cora", "en-029+belinda", 46, 60, "Caribbean English, female"),
        EspeakVoice("daisy", "en-gb-x-rp+linda", 46, 55, "Received Pronunciation, female"),
        EspeakVoice("edna", "en-gb-scotland+grandma", 48, 55, "Scottish English, elderly female"),
        EspeakVoice("flora", "en-gb-scotland+f2", 60, 60, "Scottish English, female"),
        EspeakVoice("grace", "en-us+linda", 52, 60, "American English, female"),
        EspeakVoice("hazel", "en-us-nyc+Andrea", 48, 60, "New York English, female"),
        EspeakVoice("ivy", "en-gb-x-gbclan+belinda", 52, 60, "Lancashire English, female"),
        EspeakVoice("june", "en-us+f3", 42, 60, "American English, female"),
        EspeakVoice("kate", "en-gb-x-gbcwmd+f2", 42, 55, "West Midlands English, female"),
        EspeakVoice("alan", "en-us+m1", 50, 60, "American English, male"),
        EspeakVoice("boris", "en+m2", 45, 60, "British English, male"),
        EspeakVoice("carl", "en-us+m3", 50, 60, "American English, male"),
        EspeakVoice("derek", "en-gb-x-rp+edward", 50, 55, "Received Pronunciation, male"),
        EspeakVoice("ewan", "en-gb-scotland+m5", 50, 60, "Scottish English, male"),
        EspeakVoice("frank", "en-us-nyc+m6", 50, 60, "New York English, male"),
        EspeakVoice("glen", "en-029+m7", 50, 60, "Caribbean English, male"),
        EspeakVoice("hugh", "en-gb-x-gbclan+m8", 50, 60, "Lancashire English, male"),
        EspeakVoice("ian", "en-us+david", 50, 60, "American English, male"),
        EspeakVoice("jack", "en+Denis", 50, 60, "British English, male"),
        EspeakVoice("karl", "en-us+Gene", 50, 60, "American English, male"),
        EspeakVoice("luke", "en-us+max", 50, 60, "American English, male"),
        EspeakVoice("mike", "en-gb-x-gbcwmd+Mike", 50, 60, "West Midlands English, male"),
        EspeakVoice("ned", "en-us+Reed", 50, 60, "American English, male"),
        EspeakVoice("oscar", "en-gb-x-rp+antonio", 52, 60, "Received Pronunciation, male"),
        EspeakVoice("paul", "en-us+adam", 50, 60, "American English, male"),
        EspeakVoice("quentin", "en+benjamin", 50, 60, "British English, male"),
        EspeakVoice("rob", "en-us+rob", 50, 60, "American English, male"),
        EspeakVoice("sam", "en-us+Marco", 50, 60, "American English, male"),
        EspeakVoice("tom", "en-us+Storm", 50, 60, "American English, male"),
    )
}


_lock = threading.RLock()
_TMPDIR = "set TMPDIR to a folder with room, whose programs may be run (not mounted noexec)"


@functools.cache
def _private_copy() -> str:
    """Path of a copy of the library that no other package of this process holds open, so that it can be unloaded.

    In memory where the system has files there: the temporary folder may be full, or mounted so that nothing in it can
    be run.
    """
    library = Path(espeakng_loader.get_library_path())
    if hasattr(os, "memfd_create"):
        copy = os.memfd_create("evoxtral-espeak")  # open as long as this process runs
        with open(copy, "wb", closefd=False) as file:
            file.write(library.read_bytes())
        path = f"/proc/self/fd/{copy}"
        if _can_be_loaded(path):
            return path
        os.close(copy)
    try:
        folder = tempfile.mkdtemp(prefix="evoxtral-espeak-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        return shutil.copy(library, folder)
    except OSError as error:
        raise VoiceError(
            f"espeak-ng cannot be copied into {tempfile.gettempdir()}: {error.strerror}", _TMPDIR
        ) from error


def _can_be_loaded(path: str) -> bool:
    try:
        _unload(ctypes.CDLL(path))
    except OSError:
        return False
    return True


def _unload(library: ctypes.CDLL) -> None:
    if sys.platform == "win32":
        _ctypes.FreeLibrary(library._handle)
    else:
        _ctypes.dlclose(library._handle)


@contextlib.contextmanager
def _fresh_library() -> Iterator[ctypes.CDLL]:
    with _lock:
        path = _private_copy()
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise VoiceError(f"espeak-ng cannot be loaded: {' '.join(str(error).split())}", _TMPDIR) from error
        try:
            data_path = str(espeakng_loader.get_data_path()).encode()
            rate_hz = library.espeak_Initialize(_OUTPUT_SYNCHRONOUS, 0, data_path, _OPTION_NO_EXIT)
            if rate_hz != SAMPLE_RATE_HZ:
                raise VoiceError(
                    f"espeak-ng did not start (answered {rate_hz})", "pip install --force-reinstall espeakng-loader"
                )
            # Hiss is drawn from the C library's generator, which outlives the library.
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))
            yield library
        finally:
            library.espeak_Terminate()
            _unload(library)


def synthesize(
    text: str, identifier: str, *, rate_wpm: int = 165, pitch: int = 50, range_: int = 50
) -> tuple[NDArray[np.float32], list[tuple[int, int]]]:
    """Raw samples (mono, `SAMPLE_RATE_HZ`) and the word events, each (0-based character position, sample).

    Raises:
        VoiceError: espeak-ng has no voice of that identifier, or failed.
    """
    chunks: list[NDArray[np.int16]] = []
    events: list[tuple[int, int]] = []

    def collect(wave: "ctypes._Pointer[ctypes.c_short]", count: int, event: "ctypes._Pointer[_Event]") -> int:
        if wave and count > 0:
            chunks.append(np.ctypeslib.as_array(wave, shape=(count,)).astype(np.int16))
        index = 0
        while event[index].type != _EVENT_END_OF_LIST:
            if event[index].type == _EVENT_WORD:
                events.append((event[index].text_position - 1, event[index].sample))
            index += 1
        return 0

    # NUL would end the text for the library; lone surrogates cannot be encoded.
    encoded = text.replace("\0", " ")[:MAX_CHARACTERS].encode("utf-8", "replace") + b"\0"
    callback = _Callback(collect)
    with _fresh_library() as library:
        if library.espeak_SetVoiceByName(identifier.encode()) != 0:
            raise VoiceError(f"espeak-ng has no voice {identifier!r}")
        for parameter, value in ((_RATE, rate_wpm), (_VOLUME, 100), (_PITCH, pitch), (_RANGE, range_)):
            library.espeak_SetParameter(parameter, value, 0)
        library.espeak_SetSynthCallback(callback)
        status = library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded)), 0, _POSITION_CHARACTER, 0, _CHARS_UTF8, None, None
        )
        library.espeak_Synchronize()
    if status != 0:
        raise VoiceError(f"espeak-ng failed with status {status}")
    samples = np.concatenate(chunks) if chunks else np.zeros(0, np.int16)
    return samples.astype(np.float32) / 32768.0, events


# What people say without a vowel, and words that espeak-ng says so. "mm" alone may be millimetres.
_NAMED_LETTERS = tuple(
    (re.compile(rf"(\W*){letters}(\W*)", re.IGNORECASE), sounds_like)
    for letters, sounds_like in (
        (r"m+-?h+m+", "umhum"),
        (r"(?:h+m|m{2,}(?=[,.!?…]))", "hmm"),
        (r"s+h+", "schh"),
    )
)


def _pronounceable(word: str) -> str:
    """The word, or one that sounds like it where espeak-ng would name its letters: "hm" is to it an H and an M."""
    for letters, sounds_like in _NAMED_LETTERS:
        if found := letters.fullmatch(word):
            return f"{found[1]}{sounds_like}{found[2]}"
    return word


def speak_words(words: Sequence[str], voice: EspeakVoice, *, rate_wpm: int = 165) -> PlainSpeech:
    """Speak one phrase given as its words (punctuation attached), with the time of each word."""
    words = [_pronounceable(word) for word in words]
    text = " ".join(words)
    samples, events = synthesize(text, voice.identifier, rate_wpm=rate_wpm, pitch=voice.pitch, range_=voice.range)
    return with_word_times(samples, words, events)


def with_word_times(
    samples: NDArray[np.float32], words: Sequence[str], events: Sequence[tuple[int, int]]
) -> PlainSpeech:
    """Turn espeak's word events into one span a word and cut silence off both ends.

    espeak may report several events for one written word ("twenty-one") and none for another (a dash): the first
    event inside a word's characters starts it; the next word's start, less the silence before it, ends it.
    """
    first, last = sounding_span(samples)
    samples = samples[first:last]
    starts: list[int | None] = [None] * len(words)
    bounds = np.cumsum([0] + [len(word) + 1 for word in words])
    for position, sample in events:
        index = int(np.searchsorted(bounds, position, side="right")) - 1
        if 0 <= index < len(words) and starts[index] is None:
            starts[index] = min(max(sample - first, 0), len(samples))
    loud = _loudness(samples)
    spans: list[tuple[float, float]] = []
    index = 0
    while index < len(words):
        # A word and the ones after it that have no event of their own ("out of" may be spoken as one).
        following = index + 1
        while following < len(words) and starts[following] is None:
            following += 1
        start = starts[index]
        start = 0 if start is None else start
        later = starts[following] if following < len(words) else len(samples)
        end = _trimmed_end(loud, start, max(later or 0, start))
        weights = [sum(c.isalnum() for c in word) for word in words[index:following]]
        shares = np.cumsum([0, *weights]) / max(1, sum(weights))
        times = (start + shares * (end - start)) / SAMPLE_RATE_HZ
        spans.extend((float(a), float(b)) for a, b in itertools.pairwise(times))
        index = following
    return PlainSpeech(samples, SAMPLE_RATE_HZ, tuple(spans))


_HOP = 110  # 5 ms


def _loudness(samples: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(frame_rms(samples, _HOP) > 0.004)


def _trimmed_end(loud: NDArray[np.bool_], start: int, end: int) -> int:
    window = loud[start // _HOP : end // _HOP]
    heard = np.flatnonzero(window)
    if len(heard) == 0:
        return end
    quiet_tail = len(window) - 1 - heard[-1]
    # Shorter silences are the closure of a stop consonant and belong to the word.
    return end - int(quiet_tail) * _HOP if quiet_tail * _HOP > 0.04 * SAMPLE_RATE_HZ else end


def sounding_span(samples: NDArray[np.float32], threshold: float = 0.002) -> tuple[int, int]:
    """First and last (exclusive) sample louder than `threshold`; (0, 0) where there is none."""
    heard = np.flatnonzero(np.abs(samples) > threshold)
    return (int(heard[0]), int(heard[-1]) + 1) if len(heard) else (0, 0)
