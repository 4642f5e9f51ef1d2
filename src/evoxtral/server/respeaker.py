"""Transcripts of the store are spoken again and compared with their recordings: bounded work in threads of its own.

Knows re-speaking, measures and the store's files; nothing of routes and answers.
"""

import asyncio
import io
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar

import numpy as np

from evoxtral.audio import SAMPLE_RATE_HZ, resample, write_audio
from evoxtral.audio.contours import Contours, trace_blocks
from evoxtral.audio.decoding_process import DecodingProcesses
from evoxtral.bench.resemblance import Passage, measure_passages
from evoxtral.errors import AudioError, EvoxtralError, VoiceError
from evoxtral.inference.transcript import Transcript
from evoxtral.respeaking import Respoken, SentenceCache, speak_transcript
from evoxtral.server.metrics import SPOKEN_SECONDS
from evoxtral.server.problems import Problem
from evoxtral.server.settings import Settings
from evoxtral.server.speaking import Speaker
from evoxtral.server.store.transcripts import StoredFile

_THREADS = 2
_POLL_S = 0.25
_RETRY_S = "5"
_CACHE_BYTES = 256 * 2**20  # of the sentences of one transcript
_KNOWN_CONTOURS = 32
# Longer recordings are spoken again, and not compared: their samples are held whole.
_MOST_COMPARED_S = 3600.0

_T = TypeVar("_T")


class _GivenUpError(Exception):
    """Nobody waits for the work any more."""


@dataclass(frozen=True, slots=True)
class Wish:
    """How a transcript is to be spoken."""

    engine: str
    voice: str | None
    seed: int
    keep_timing: bool


class Respeaker:
    """Speaks the transcripts of all requests again.

    Args:
        decoding: what opens recordings, which anybody may have sent.
    """

    def __init__(self, speaker: Speaker, decoding: DecodingProcesses, settings: Settings) -> None:
        self._speaker = speaker
        self._decoding = decoding
        self._max_characters = settings.max_respeak_characters
        self._max_under_way = settings.max_respeaks
        self._under_way = 0
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="respeak")
        self._contours: OrderedDict[str, Contours] = OrderedDict()

    def close(self) -> None:
        """Stop; what waits is not begun."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def respeak(
        self,
        transcript: Transcript,
        wish: Wish,
        sentences: Path,
        recording: StoredFile | None,
        is_gone: Callable[[], Awaitable[bool]],
    ) -> tuple[Respoken, bytes, dict[str, float | None]]:
        """Speak a transcript; gives the speech, the same as a WAV file, and how much it resembles the recording.

        Args:
            sentences: folder where sentences are looked up and kept.
            is_gone: whether the client left, which ends the work.

        Raises:
            Problem: there is nothing to speak or too much, the voice is unknown, or too much is under way.
        """
        if len(transcript.text) > self._max_characters:
            raise Problem(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"The transcript has {len(transcript.text):,} characters; this server speaks {self._max_characters:,}.",
                "keep it in parts, or raise the limit: EVOXTRAL_SERVER_MAX_RESPEAK_CHARACTERS",
            )

        def work(check: Callable[[], None]) -> tuple[Respoken, bytes, dict[str, float | None]]:
            respoken = speak_transcript(
                transcript,
                self._speaker.engine_in_turn(wish.engine),
                voice=wish.voice,
                seed=wish.seed,
                in_time=wish.keep_timing,
                cache=SentenceCache(sentences, _CACHE_BYTES),
                on_progress=lambda done, total: check(),
            )
            SPOKEN_SECONDS.labels(respoken.engine).inc(
                sum(one.end_s - one.start_s for one in respoken.sentences if not one.cached)
            )
            measures = {} if recording is None else self._compare(respoken, recording, check)
            buffer = io.BytesIO()
            write_audio(buffer, respoken.samples, respoken.sample_rate_hz, suffix=".wav")
            return respoken, buffer.getvalue(), measures

        return await self._run(work, is_gone)

    async def contours(self, file: StoredFile, duration_s: float, is_gone: Callable[[], Awaitable[bool]]) -> Contours:
        """Pitch and level of a stored file that lasts about so long. Errors as of `respeak`; AudioError."""
        if (known := self._contours.get(file.id)) is not None:
            self._contours.move_to_end(file.id)
            return known

        def work(check: Callable[[], None]) -> Contours:
            with self._decoding.open(file.path, name="the recording") as reader:
                return trace_blocks(_checked(reader.blocks(), check), SAMPLE_RATE_HZ, duration_s)

        found = await self._run(work, is_gone)
        self._contours[file.id] = found
        while len(self._contours) > _KNOWN_CONTOURS:
            self._contours.popitem(last=False)
        return found

    def _compare(self, respoken: Respoken, recording: StoredFile, check: Callable[[], None]) -> dict[str, float | None]:
        """The bench's measures by the sentences that are known in both; none of what cannot be read."""
        passages = [
            Passage((one.source_start_s, one.source_end_s), (one.start_s, one.end_s))
            for one in respoken.sentences
            if one.source_start_s is not None and one.source_end_s is not None
        ]
        if not passages or respoken.transcript.duration_s > _MOST_COMPARED_S:
            return {}
        parts = []
        try:
            with self._decoding.open(recording.path, name="the recording") as reader:
                for part in _checked(reader.blocks(), check):
                    parts.append(part)
                    if sum(map(len, parts)) > _MOST_COMPARED_S * SAMPLE_RATE_HZ:  # it is not what its transcript says
                        return {}
        except AudioError:
            return {}
        spoken = resample(respoken.samples, respoken.sample_rate_hz, SAMPLE_RATE_HZ)
        return measure_passages(np.concatenate(parts), spoken, passages) if parts else {}

    async def _run(self, work: Callable[[Callable[[], None]], _T], is_gone: Callable[[], Awaitable[bool]]) -> _T:
        """Do something in a thread, which calls what it is given now and then, to be ended there."""
        if self._under_way >= self._max_under_way:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "So many transcripts wait to be spoken that no further one is taken.",
                "try again after the time in Retry-After",
                {"Retry-After": _RETRY_S},
            )
        left = threading.Event()

        def check() -> None:
            if left.is_set():
                raise _GivenUpError

        def begin() -> _T:
            check()
            return work(check)

        self._under_way += 1
        try:
            done = asyncio.get_running_loop().run_in_executor(self._threads, begin)
            try:
                while not (await asyncio.wait([done], timeout=_POLL_S))[0]:
                    if await is_gone():
                        left.set()
                        break
                return await done
            finally:
                left.set()  # also where the request is cancelled: the thread must not go on
                await asyncio.gather(done, return_exceptions=True)
        except _GivenUpError:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "It was given up.", "send it again") from None
        except VoiceError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, error.message, error.hint) from error
        except AudioError:
            raise
        except EvoxtralError as error:
            raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, error.message, error.hint) from error
        finally:
            self._under_way -= 1


def _checked(blocks: Iterable[_T], check: Callable[[], None]) -> Iterator[_T]:
    for block in blocks:
        check()
        yield block
