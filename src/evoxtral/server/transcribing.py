"""A request's recording becomes a transcript: admission, the pipeline in a thread, and the end of it when nobody waits.

Knows the scheduler, the pipeline and limits; nothing of routes and answers.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.audio.decoding_process import DecodingProcesses
from evoxtral.audio.levels import lift_quiet_speech
from evoxtral.errors import EvoxtralError
from evoxtral.inference import transcribe
from evoxtral.inference.chunking import Span, Window
from evoxtral.inference.diarization import Diarizer, voice_of
from evoxtral.inference.engines.protocol import Hypothesis, LiveText, LiveWriter, TranscriptionEngine
from evoxtral.inference.hallucination_filter import heard_text, is_too_fast
from evoxtral.inference.heard_window import HeardWindow
from evoxtral.inference.hearing import place_text
from evoxtral.inference.joining import join_windows
from evoxtral.inference.options import TranscribeOptions
from evoxtral.inference.scheduler import QueueFullError, Ticket, Urgency, WindowScheduler
from evoxtral.inference.second_ear import find_aligner, find_language_detector
from evoxtral.inference.transcript import Transcript
from evoxtral.inference.vad import FRAME_SAMPLES
from evoxtral.server.metrics import AUDIO_SECONDS, REQUESTS_ADMITTED, WINDOWS_QUEUED
from evoxtral.server.problems import Problem
from evoxtral.server.settings import Settings

_DISCONNECT_POLL_S = 0.25
# The packaged model aligns so much at a time.
_MAX_PLACED_S = 30.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recording is; `total_s` is None where nobody knows."""

    done_s: float
    total_s: float | None


@dataclass(frozen=True, slots=True)
class NewText:
    """Tagged text of the next window of a recording."""

    text: str
    start_s: float
    end_s: float


class Transcriber:
    """Transcribes the recordings of all requests with one engine; each is decoded in a process of its own.

    Args:
        engine: what transcribes; owned by the scheduler's thread from now on.
    """

    def __init__(self, engine: TranscriptionEngine, settings: Settings) -> None:
        self.engine = engine
        self._max_duration_s = settings.max_duration_s
        self.scheduler = WindowScheduler(
            engine,
            aligner=find_aligner(engine),
            detector=find_language_detector(engine),
            max_requests=settings.max_requests,
        )
        self.decoding = DecodingProcesses()
        self.decoding.start()
        self._threads = ThreadPoolExecutor(settings.max_decoding, thread_name_prefix="recording")
        REQUESTS_ADMITTED.set_function(lambda: self.scheduler.admitted)
        WINDOWS_QUEUED.set_function(lambda: self.scheduler.queued_windows)

    def close(self) -> None:
        """Stop; what is under way is cancelled."""
        self.scheduler.close()
        self._threads.shutdown(cancel_futures=True)
        self.decoding.close()

    async def transcribe(
        self, file: BinaryIO, name: str, options: TranscribeOptions, is_gone: Callable[[], Awaitable[bool]]
    ) -> Transcript:
        """Transcribe an open file that its sender calls `name`.

        Args:
            is_gone: whether the client left; asked now and then.

        Raises:
            AudioError: the file cannot be decoded or holds nothing usable.
            TooLongError: it is longer than the server takes.
            Problem: the queue is full.
        """
        result: Transcript | None = None
        async for event in self.follow(file, name, options, is_gone):
            if isinstance(event, Transcript):
                result = event
        assert result is not None
        return result

    async def voices_of(self, samples: Mapping[str, BinaryIO]) -> dict[str, tuple[float, ...]]:
        """The voices in samples, by their speakers' names.

        Raises:
            AudioError: a sample cannot be used.
        """
        loop = asyncio.get_running_loop()

        def work(name: str, file: BinaryIO) -> tuple[float, ...]:
            return voice_of(file, name=f"the sample of {name}", decode=self.decoding.open)

        return {name: await loop.run_in_executor(self._threads, work, name, file) for name, file in samples.items()}

    async def follow(
        self, file: BinaryIO, name: str, options: TranscribeOptions, is_gone: Callable[[], Awaitable[bool]]
    ) -> AsyncIterator[Progress | NewText | Transcript]:
        """The same with what happens on the way; the transcript comes last. Errors as of `transcribe`."""
        loop = asyncio.get_running_loop()
        events: asyncio.Queue[Progress | NewText] = asyncio.Queue()

        def tell(event: Progress | NewText) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        def on_progress(done_s: float, total_s: float | None) -> None:
            tell(Progress(done_s, total_s))

        def on_text(heard: HeardWindow) -> None:
            tell(NewText(heard.text, heard.start_s, heard.end_s))

        try:
            with self.scheduler.admit() as ticket:
                engine = self.scheduler.engine_for(ticket)

                def work() -> Transcript:
                    return transcribe(
                        file,
                        name=name,
                        engine=engine,
                        on_progress=on_progress,
                        on_text=on_text,
                        options=options,
                        max_duration_s=self._max_duration_s,
                        decode=self.decoding.open,
                    )

                done: asyncio.Future[Transcript] = loop.run_in_executor(self._threads, work)
                try:
                    async for event in self._until(done, events, is_gone):
                        yield event
                    transcript = await done
                finally:
                    # The client left, or the server stops: the thread must not keep its place.
                    self.scheduler.cancel(ticket)
                    await asyncio.gather(done, return_exceptions=True)
        except QueueFullError as full:
            raise busy(full.retry_after_s) from None
        except CancelledError:
            raise Problem(HTTPStatus.SERVICE_UNAVAILABLE, "The transcription was given up.", "send it again") from None
        AUDIO_SECONDS.inc(transcript.duration_s)
        yield transcript

    async def _until(
        self,
        done: "asyncio.Future[Transcript]",
        events: "asyncio.Queue[Progress | NewText]",
        is_gone: Callable[[], Awaitable[bool]],
    ) -> AsyncIterator[Progress | NewText]:
        """Events until the work is done. Raises CancelledError when the client is gone before."""
        while True:
            waiting = asyncio.ensure_future(events.get())
            either: set[asyncio.Future[Any]] = {done, waiting}
            finished, _ = await asyncio.wait(either, timeout=_DISCONNECT_POLL_S, return_when=asyncio.FIRST_COMPLETED)
            if waiting in finished:
                yield waiting.result()
                continue
            waiting.cancel()
            if done in finished:
                while not events.empty():
                    yield events.get_nowait()
                return
            if await is_gone():
                raise CancelledError

    def hear_utterance(
        self, samples: NDArray[np.float32], options: TranscribeOptions, diarizer: Diarizer | None
    ) -> Transcript:
        """Transcribe mono 16 kHz samples in the calling thread, before all recordings.

        Raises:
            EvoxtralError: the engine cannot, or the server stops.
        """
        with self._live(Urgency.UTTERANCE) as ticket:
            engine = self.scheduler.engine_for(ticket)
            heard = transcribe(samples, name="live", engine=engine, options=options, diarizer=diarizer)
        AUDIO_SECONDS.inc(heard.duration_s)
        return heard

    def draft(self, samples: NDArray[np.float32], beginning: str, options: TranscribeOptions) -> str:
        """What mono 16 kHz samples say so far, quickly; the text begins with what is certain. Errors as above."""
        with self._live(Urgency.DRAFT) as ticket:
            heard = self.scheduler.draft(ticket, lift_quiet_speech(samples), beginning, language=options.language)
        length_s = len(samples) / SAMPLE_RATE_HZ
        text = heard_text(heard, length_s)
        return "" if is_too_fast(text, length_s) else text  # short speech is sometimes written twice

    @property
    def writes_live(self) -> bool:
        """Whether what is spoken is written while it is heard, and stays."""
        return isinstance(self.engine, LiveWriter) and self.engine.writes_live

    def begin_utterance(self, options: TranscribeOptions) -> "WrittenUtterance":
        """An utterance that is written while it is heard, where `writes_live`."""
        assert isinstance(self.engine, LiveWriter)
        return WrittenUtterance(self, self.engine.new_stream(), options)

    def write(self, stream: LiveText, samples: NDArray[np.float32], *, is_end: bool) -> str:
        """The further text of a stream. Raises EvoxtralError: the engine cannot, or the server stops."""
        with self._live(Urgency.UTTERANCE) as ticket:
            return self.scheduler.write(ticket, stream, samples, is_end=is_end)

    def place(
        self,
        samples: NDArray[np.float32],
        heard: Hypothesis,
        options: TranscribeOptions,
        diarizer: Diarizer | None,
    ) -> Transcript:
        """The transcript of an utterance whose text is known, in the calling thread. Errors as above."""
        length_s = len(samples) / SAMPLE_RATE_HZ
        # The endpointer heard speech in it.
        speech = np.ones(-(-len(samples) // FRAME_SAMPLES), np.bool_)
        window = Window(samples, (Span(0, len(samples)),), speech)
        with self._live(Urgency.UTTERANCE) as ticket:
            engine = self.scheduler.engine_for(ticket)
            pieces = list(place_text(window, heard, find_aligner(engine), language=options.language))
        if diarizer is not None:
            diarizer.hear(window)
        turns = [] if diarizer is None else diarizer.turns(options.min_speakers, options.max_speakers)
        AUDIO_SECONDS.inc(length_s)
        return join_windows(
            pieces, turns, name="live", engine=self.engine, language=options.language, duration_s=length_s
        )

    @contextmanager
    def _live(self, urgency: Urgency) -> Iterator[Ticket]:
        try:
            with self.scheduler.admit(urgency) as ticket:
                yield ticket
        except (CancelledError, QueueFullError):
            raise EvoxtralError("the server stops", "connect again") from None


class WrittenUtterance:
    """An utterance that is written while it is heard; see `evoxtral.server.live.Writing`."""

    def __init__(self, transcriber: Transcriber, stream: LiveText, options: TranscribeOptions) -> None:
        self._transcriber, self._stream, self._options = transcriber, stream, options
        self._one_at_a_time = threading.Lock()
        self._heard = 0
        self._text = ""
        self._is_broken = False

    def hear(self, samples: NDArray[np.float32]) -> str:
        """The tagged text of the utterance so far, of which these are all samples; it only ever grows."""
        return self._write(samples, is_end=False)

    def whole(self, samples: NDArray[np.float32], diarizer: Diarizer | None) -> Transcript:
        """The transcript of the utterance, which is over."""
        if self._is_broken or len(samples) < self._heard or len(samples) > _MAX_PLACED_S * SAMPLE_RATE_HZ:
            # A piece of it was not written, it was cut before its end, or is longer than what is aligned at a time.
            self.close()
            return self._transcriber.hear_utterance(samples, self._options, diarizer)
        text = self._write(samples, is_end=True)
        heard = Hypothesis(text, self._stream.mean_log_probability)
        return self._transcriber.place(samples, heard, self._options, diarizer)

    def close(self) -> None:
        """Nothing more is wanted of it."""
        self._stream.close()

    def _write(self, samples: NDArray[np.float32], *, is_end: bool) -> str:
        with self._one_at_a_time:
            further = samples[self._heard :]
            self._heard += len(further)
            try:
                self._text += self._transcriber.write(self._stream, further, is_end=is_end)
            except EvoxtralError:
                self._is_broken = True
                raise
            return self._text.strip()


def busy(retry_after_s: int) -> Problem:
    """The answer when all places are taken."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "All places of this server are taken.",
        "try again after the time in Retry-After",
        {"Retry-After": str(retry_after_s)},
    )
