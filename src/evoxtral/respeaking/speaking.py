"""The whole way: a recording is transcribed, its transcript spoken sentence by sentence, the sentences joined.

Knows the pipeline, speech engines by their protocol, and the cache; nothing of commands, servers or stores.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import resample
from evoxtral.errors import AudioError, EvoxtralError, NothingToSpeakError
from evoxtral.inference import transcribe
from evoxtral.inference.transcript import Transcript
from evoxtral.respeaking.placing import Piece, join, keep_timing
from evoxtral.respeaking.sentence_cache import SentenceCache
from evoxtral.respeaking.sentences import Sentence, cut_sentences
from evoxtral.tts import load_speech_engine
from evoxtral.tts.speech_engine import RemoteSpeechEngine, Speech, SpeechEngine

MAX_CHARACTERS = 50_000  # about an hour of speech, whose samples take 300 MB
_DIGITS = 3

_log = logging.getLogger(__name__)

# Told how many sentences are spoken, and how many there are.
SentencesDone = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class SpokenSentence:
    """One sentence.

    Attributes:
        text: what was spoken, tagged.
        start_s, end_s: where it is heard in the new speech.
        source_start_s, source_end_s: where it is heard in the recording; None where the transcript has no times.
        cached: whether it had been spoken before.
    """

    text: str
    start_s: float
    end_s: float
    source_start_s: float | None
    source_end_s: float | None
    cached: bool


@dataclass(frozen=True, slots=True)
class Respoken:
    """What became of a recording.

    Attributes:
        samples: mono float32, shape (n,).
        engine, voice: who really spoke.
        transcript: what was spoken.
        notes: a line each: what was not spoken, what did not fit into its time.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    engine: str
    voice: str
    seed: int
    sentences: tuple[SpokenSentence, ...]
    transcript: Transcript
    notes: tuple[str, ...] = ()

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.sample_rate_hz

    def to_json(self) -> dict[str, Any]:
        """Who spoke which sentence when; plain lists and dicts, without samples and transcript."""
        return {
            "engine": self.engine,
            "voice": self.voice,
            "seed": self.seed,
            "duration_s": round(self.duration_s, _DIGITS),
            "sentences": [asdict(sentence) for sentence in self.sentences],
            "notes": list(self.notes),
        }


def respeak(
    source: str | Path | BinaryIO | NDArray[np.float32],
    *,
    engine: str | SpeechEngine = "local",
    voice: str | None = None,
    seed: int = 0,
    keep_timing: bool = False,
    cache: SentenceCache | None = None,
    on_progress: SentencesDone | None = None,
    **transcription: Any,
) -> Respoken:
    """Transcribe a recording and speak the transcript, as in `respeak("talk.mp3", voice="espeak/amber")`.

    Args:
        source: as of `transcribe`.
        engine: who speaks: a name of the registry, or an engine.
        seed: the same seed speaks the same take.
        keep_timing: whether each sentence starts where the recording's does.
        cache: where sentences are looked up and kept.
        on_progress: told how many sentences are spoken, and how many there are.
        transcription: further arguments of `transcribe`, such as `model` or `language`.

    Raises:
        AudioError: the recording cannot be used.
        VoiceError: the engine or voice is not there.
        EvoxtralError: there is nothing to speak, or too much.
    """
    transcript = transcribe(source, **transcription)
    speaker = load_speech_engine(engine) if isinstance(engine, str) else engine
    return speak_transcript(
        transcript, speaker, voice=voice, seed=seed, in_time=keep_timing, cache=cache, on_progress=on_progress
    )


def speak_transcript(
    transcript: Transcript,
    engine: SpeechEngine,
    *,
    voice: str | None = None,
    seed: int = 0,
    in_time: bool = False,
    cache: SentenceCache | None = None,
    on_progress: SentencesDone | None = None,
) -> Respoken:
    """Speak a transcript; arguments and errors as of `respeak`.

    Args:
        in_time: whether each sentence starts where the recording's does, which the transcript's times tell.
        on_progress: whatever it raises ends the work.
    """
    if len(transcript.text) > MAX_CHARACTERS:
        raise EvoxtralError(
            f"{transcript.path}: its transcript has {len(transcript.text):,} characters; "
            f"at most {MAX_CHARACTERS:,} are spoken at once",
            "cut it into parts",
        )
    sentences = cut_sentences(transcript)
    if not sentences:
        raise NothingToSpeakError(f"{transcript.path}: there is nothing to speak: the transcript is empty")
    if in_time and all(sentence.start_s is None for sentence in sentences):
        raise EvoxtralError(
            f"{transcript.path}: its transcript has no times to keep", "transcribe with times, or do not keep them"
        )
    takes = _spoken(sentences, engine, voice, seed, cache, on_progress)
    spoken = [take.speech for take in takes if take.speech is not None]
    if not spoken:
        raise NothingToSpeakError(f"{transcript.path}: {takes[0].problem}")
    rate_hz = spoken[0].sample_rate_hz
    heard = [(sentence, take) for sentence, take in zip(sentences, takes, strict=True) if take.speech is not None]
    pieces = [Piece(resample(speech.samples, speech.sample_rate_hz, rate_hz)) for speech in spoken]
    if in_time:
        pieces = [replace(piece, start_s=sentence.start_s) for piece, (sentence, _) in zip(pieces, heard, strict=True)]
        placed = keep_timing(pieces, rate_hz, transcript.duration_s)
    else:
        placed = join(pieces, rate_hz)
    notes = [f"not spoken: {take.problem}" for take in takes if take.problem is not None]
    notes += [note for speech in spoken for note in speech.notes]
    return Respoken(
        samples=placed.samples,
        sample_rate_hz=rate_hz,
        engine=spoken[0].engine,
        voice=spoken[0].voice,
        seed=seed,
        sentences=tuple(
            SpokenSentence(
                sentence.text,
                round(start_s, _DIGITS),
                round(end_s, _DIGITS),
                sentence.start_s,
                sentence.end_s,
                take.cached,
            )
            for (sentence, take), (start_s, end_s) in zip(heard, placed.spans, strict=True)
        ),
        transcript=transcript,
        notes=tuple(dict.fromkeys([*notes, *placed.notes])),
    )


@dataclass(frozen=True, slots=True)
class _Take:
    """A sentence's speech, or why there is none."""

    speech: Speech | None
    cached: bool = False
    problem: str | None = None


def _spoken(
    sentences: Sequence[Sentence],
    engine: SpeechEngine,
    voice: str | None,
    seed: int,
    cache: SentenceCache | None,
    on_progress: SentencesDone | None,
) -> list[_Take]:
    """All sentences in order; an engine that speaks elsewhere is given several at a time."""

    def speak(sentence: Sentence) -> _Take:
        known = cache.find(engine.name, voice, seed, sentence.text) if cache is not None else None
        if known is not None:
            return _Take(known, cached=True)
        try:
            speech = engine.speak(sentence.text, voice=voice, seed=seed)
        except NothingToSpeakError as error:
            return _Take(None, problem=error.message)
        if cache is not None:
            speech = _kept(cache, engine.name, voice, seed, sentence.text, speech)
        return _Take(speech)

    def in_order() -> Iterator[_Take]:
        if not isinstance(engine, RemoteSpeechEngine):
            yield from map(speak, sentences)
            return
        threads = ThreadPoolExecutor(max(1, min(engine.concurrency, len(sentences))), thread_name_prefix="sentence")
        try:
            yield from threads.map(speak, sentences)
        finally:
            # What waits is not begun any more; what is under way may be paid for, and is kept.
            threads.shutdown(cancel_futures=True)

    takes: list[_Take] = []
    if on_progress is not None:
        on_progress(0, len(sentences))
    for take in in_order():
        takes.append(take)
        if on_progress is not None:
            on_progress(len(takes), len(sentences))
    return takes


def _kept(cache: SentenceCache, engine: str, voice: str | None, seed: int, text: str, speech: Speech) -> Speech:
    """Speech as the cache gives it back, so that it sounds the same now and later.

    A cache that takes nothing (a full disk) must not lose what was spoken.
    """
    try:
        cache.keep(engine, voice, seed, text, speech)
    except AudioError as error:
        _log.warning("a spoken sentence is not kept: %s", error)
        return speech
    return cache.find(engine, voice, seed, text) or speech
