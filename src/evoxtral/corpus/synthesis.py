"""Speaks the scripts of a corpus with any speech engine: scripts in, audio files and `clips.jsonl` out.

Knows how work is spread over processes or network requests, and in which order its results reach the disk; knows
nothing of how an engine makes speech, nor of what happens to clips afterwards.

A clip is made in two steps, so that what a kill at any instant leaves behind can be used:

1. Its audio file, with the whole clip record inside (in the comment field of the FLAC or Opus file), is written under
   a temporary name, synced, and renamed. From here on the clip is finished.
2. The same record is appended to the journal, and synced.

A run that starts again adopts every audio file that holds the record of a clip it was about to make, so nothing
between the steps is lost or paid twice, and makes what is left. A clip whose audio file was deleted is made again.
"""

import asyncio
import hashlib
import multiprocessing
import os
import random
import re
import shutil
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from pydantic import ValidationError

from evoxtral.audio import SAMPLE_RATE_HZ, resample, write_audio
from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.files import sync_folder
from evoxtral.data.records import Clip, Script
from evoxtral.errors import AudioError, CorpusError, EvoxtralError, VoiceError
from evoxtral.tts import load_speech_engine
from evoxtral.tts.speech_engine import RemoteSpeechEngine, Speech, SpeechEngine

_SUFFIXES = (".flac", ".opus")
_PART_SUFFIX = ".part"
# Below this no further clip is begun: one that was paid for must find room.
_MIN_FREE_BYTES = 64 * 2**20
# A pool that dies this often, with no clip made in between, will not make any.
_MAX_DEATHS_IN_A_ROW = 5
# One thread for each worker process; numerical libraries would take all cores in each.
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")

EngineLoader = Callable[..., SpeechEngine]


@dataclass(frozen=True, slots=True)
class Take:
    """A clip that is to be made: which voice speaks which script, with which seed, into which file of the folder."""

    clip_id: str
    script: Script
    voice: str
    seed: int
    audio: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run would do.

    Attributes:
        takes: every clip that the corpus should have.
        to_make: those that are not finished.
        characters: what making them will be charged; 0 for an engine that runs here.
        spent_characters: what the finished ones were charged.
    """

    takes: tuple[Take, ...]
    to_make: tuple[Take, ...]
    characters: int
    spent_characters: int


@dataclass(slots=True)
class SynthesisReport:
    """What a run has done so far, and at its end.

    Attributes:
        total: clips that the corpus should have.
        finished_before: how many were recorded when the run started.
        adopted: ids of clips that an earlier run finished but did not record.
        made: clips made by this run.
        failures: clip id -> why it could not be made; the next run tries them again.
        characters: what this run was charged.
        audio_s: length of what it made.
        elapsed_s: time since it started.
        stopped: why it ended before every clip was tried, or None.
    """

    total: int
    finished_before: int = 0
    adopted: list[str] = field(default_factory=list)
    made: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    characters: int = 0
    audio_s: float = 0.0
    elapsed_s: float = 0.0
    stopped: str | None = None

    @property
    def done(self) -> int:
        return self.finished_before + len(self.adopted) + self.made

    @property
    def clips_per_s(self) -> float:
        return self.made / self.elapsed_s if self.elapsed_s > 0 else 0.0

    @property
    def left_s(self) -> float | None:
        """Expected time to the end; None as long as nothing was made."""
        return (self.total - self.done - len(self.failures)) / self.clips_per_s if self.made else None


# --- what is to be made ---------------------------------------------------------------------------------------------


def cast(scripts: Sequence[Script], voices: Sequence[str], config: SynthesisConfig) -> list[Take]:
    """Give every script its voices, seeds and file names; first takes of all scripts come before second takes.

    A script that names its voice gets that one. The others go round-robin, each round shuffled for itself: the voices
    are used equally often, keep step with no order in the scripts, and stay as they are when scripts are appended or
    `config.takes` grows.

    Raises:
        CorpusError: a script's id occurs twice, or there are too few voices for `config.max_voice_share`.
    """
    repeated = [name for name, count in Counter(script.id for script in scripts).items() if count > 1]
    if repeated:
        raise CorpusError(f"the script id {repeated[0]!r} occurs twice")
    unassigned = [script for script in scripts if script.voice is None]
    if unassigned and len(set(voices)) * config.max_voice_share < 1 - 1e-9:
        raise CorpusError(
            f"with {len(set(voices))} voices, one would speak more than {config.max_voice_share:.0%} of the clips",
            "name more voices, or raise max_voice_share",
        )
    places = {script.id: divmod(index, len(voices)) for index, script in enumerate(unassigned)}
    takes = []
    for number in range(config.takes):
        for script in scripts:
            voice = script.voice
            if voice is None:
                round_number, place = places[script.id]
                order = random.Random(f"{config.seed}:{round_number}").sample(voices, len(voices))
                voice = order[(place + number) % len(order)]
            clip_id = f"{script.id}-{number}"
            audio = f"audio/{_file_stem(clip_id)}.{config.audio_format}"
            takes.append(Take(clip_id, script, voice, _number_from(f"{config.seed}:{clip_id}"), audio))
    return takes


def _number_from(text: str) -> int:
    """A 32-bit number that depends on nothing but `text`."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=4).digest(), "big")


def _file_stem(clip_id: str) -> str:
    """A file name that every system takes and that no other id has; the id itself wherever it is one."""
    if re.fullmatch(r"[a-z0-9_-][a-z0-9._-]{0,99}", clip_id):
        return clip_id
    readable = re.sub(r"[^a-z0-9._-]+", "_", clip_id.lower()).strip("._")[:60]
    return f"{readable}.{hashlib.blake2b(clip_id.encode(), digest_size=8).hexdigest()}"


# --- one clip -------------------------------------------------------------------------------------------------------


def finish_clip(folder: Path, take: Take, speech: Speech, **details: Any) -> Clip:
    """Write what an engine spoke to the take's audio file, whole or not at all, with its record inside.

    Args:
        folder: the corpus folder.
        details: the clip's `details`; the places of words and tags that the engine told are added to them
            (`words`, `tags`: lists of [index, start_s, end_s]).

    Raises:
        AudioError: the engine returned no sound, or numbers that are none.
        OSError: the file cannot be written.
    """
    samples = speech.samples
    if not len(samples) or not np.isfinite(samples).all():
        raise AudioError(f"{speech.engine} gave {'samples that are not numbers' if len(samples) else 'no sound'}")
    samples = resample(samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
    for name, places in (("words", speech.words), ("tags", speech.tags)):
        if places:
            details[name] = [[place.index, round(place.start_s, 3), round(place.end_s, 3)] for place in places]
    clip = Clip(
        id=take.clip_id,
        script_id=take.script.id,
        tagged_text=take.script.tagged_text,
        audio=take.audio,
        duration_s=round(len(samples) / SAMPLE_RATE_HZ, 4),
        voice=speech.voice,
        engine=speech.engine,
        seed=take.seed,
        slice_type=take.script.slice_type,
        domain=take.script.domain,
        details=details,
    )
    path = folder / take.audio
    part = path.with_name(f".{path.name}.{os.getpid()}{_PART_SUFFIX}")
    with part.open("w+b") as file:
        write_audio(file, samples, SAMPLE_RATE_HZ, suffix=path.suffix, comment=clip.model_dump_json())
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    sync_folder(path.parent)
    return clip


def _find_finished(folder: Path, take: Take) -> Clip | None:
    """The clip that a killed run finished for `take` without recording it, or None.

    A file was synced before it came to its name, so it is whole, and its record alone decides.
    """
    for suffix in _SUFFIXES:
        path = (folder / take.audio).with_suffix(suffix)
        if not path.exists():
            continue
        try:
            with soundfile.SoundFile(path) as audio:
                clip = Clip.model_validate_json(audio.comment)
        except (soundfile.LibsndfileError, ValidationError):
            continue  # not from here, or damaged: it is made anew
        if clip.id == take.clip_id and clip.tagged_text == take.script.tagged_text:
            return clip
    return None


# --- the run --------------------------------------------------------------------------------------------------------


def plan(
    corpus: CorpusFolder,
    config: SynthesisConfig,
    *,
    scripts: Sequence[Script] | None = None,
    load_engine: EngineLoader = load_speech_engine,
) -> Plan:
    """What `synthesize` with the same arguments would make and be charged; changes nothing.

    Raises:
        CorpusError, VoiceError: as `synthesize`.
    """
    engine = _load(load_engine, config)
    takes = _takes(corpus, config, scripts, engine)
    clips = {clip.id: clip for clip in corpus.read_clips()}
    to_make = []
    for take in takes:
        if not _is_recorded(corpus.path, take, clips):
            adoptable = _find_finished(corpus.path, take)
            if adoptable is None:
                to_make.append(take)
            else:
                clips[take.clip_id] = adoptable
    cost = 0
    if isinstance(engine, RemoteSpeechEngine):
        cost = sum(engine.cost_of(take.script.tagged_text) for take in to_make)
    return Plan(tuple(takes), tuple(to_make), cost, sum(map(_charge, clips.values())))


def synthesize(
    corpus: CorpusFolder,
    config: SynthesisConfig,
    *,
    scripts: Sequence[Script] | None = None,
    on_progress: Callable[[SynthesisReport], None] = lambda report: None,
    load_engine: EngineLoader = load_speech_engine,
) -> SynthesisReport:
    """Make every clip of the corpus that is not finished yet. The same call after any interruption resumes.

    A clip that fails is reported, and tried again by the next run. Ctrl-C lets what is under way finish, records it,
    and then raises KeyboardInterrupt.

    Args:
        scripts: these instead of the folder's own, such as those of one split that gets voices for itself.
        on_progress: called at the start and after every clip.
        load_engine: makes an engine of its name and options; worker processes import it by its name.

    Raises:
        CorpusError: the folder's files are missing or malformed, another process works on it, the disk is full.
        VoiceError: the engine cannot be loaded.
    """
    engine = _load(load_engine, config)
    takes = _takes(corpus, config, scripts, engine)
    with corpus.locked():
        corpus.audio_path.mkdir(exist_ok=True)
        _sweep_parts(corpus.path)
        run = _Run(corpus, takes, on_progress)
        try:
            if isinstance(engine, RemoteSpeechEngine):
                asyncio.run(_speak_remotely(run, engine, config.max_characters))
            else:
                _speak_in_processes(run, config, load_engine)
        except OSError as error:
            raise CorpusError(
                f"cannot write to {corpus.path}: {error.strerror or error}", "mend that; the same command resumes"
            ) from error
    return run.report


def _load(load_engine: EngineLoader, config: SynthesisConfig) -> SpeechEngine:
    try:
        return load_engine(config.engine, **config.engine_options)
    except TypeError as error:
        raise CorpusError(f"engine_options do not suit {config.engine}: {error}", "mend the configuration") from error


def _takes(
    corpus: CorpusFolder, config: SynthesisConfig, scripts: Sequence[Script] | None, engine: SpeechEngine
) -> list[Take]:
    if scripts is None:
        scripts = corpus.read_scripts()
    if not scripts:
        raise CorpusError(f"{corpus.path} has no scripts", f"write some: evoxtral corpus scripts {corpus.path}")
    known = [voice.name for voice in engine.voices()]
    takes = cast(scripts, config.voices or known, config)
    if not isinstance(engine, RemoteSpeechEngine):  # a service may know more voices than it lists
        for take in takes:
            if take.voice not in known:
                wanted = f"; script {take.script.id!r} names it" if take.script.voice else ""
                raise VoiceError(
                    f"{engine.name} has no voice {take.voice!r}{wanted}",
                    "evoxtral speak --list-voices; scripts are imported without their voices by --any-voice",
                )
    return takes


def _is_recorded(folder: Path, take: Take, clips: dict[str, Clip]) -> bool:
    clip = clips.get(take.clip_id)
    if clip is None:
        return False
    if clip.tagged_text != take.script.tagged_text:
        raise CorpusError(
            f"the text of script {take.script.id!r} has changed since it was spoken", "give the new text a new id"
        )
    return (folder / clip.audio).exists()


def _charge(clip: Clip) -> int:
    return int(clip.details.get("characters", 0))


class _Run:
    """The state of one run, whatever the engine: what waits, what was recorded, what to tell."""

    def __init__(
        self, corpus: CorpusFolder, takes: Sequence[Take], on_progress: Callable[[SynthesisReport], None]
    ) -> None:
        self.folder = corpus.path
        self.report = SynthesisReport(total=len(takes))
        self.waiting: deque[Take] = deque()
        self._corpus = corpus
        self._on_progress = on_progress
        self._started_s = time.monotonic()
        clips = {clip.id: clip for clip in corpus.read_clips()}
        adopted = []
        for take in takes:
            if _is_recorded(self.folder, take, clips):
                self.report.finished_before += 1
            elif clip := _find_finished(self.folder, take):
                adopted.append(clip)
            else:
                self.waiting.append(take)
        corpus.append_clips(adopted)
        self.report.adopted = [clip.id for clip in adopted]
        self.spent_before = sum(_charge(clip) for clip in (clips | {clip.id: clip for clip in adopted}).values())
        self.tell()

    def may_go_on(self) -> bool:
        """Whether nothing forbids to begin another clip."""
        if not self.report.stopped and shutil.disk_usage(self.folder).free < _MIN_FREE_BYTES:
            self.stop(f"the disk of {self.folder} is full (make room; the same command resumes)")
        return not self.report.stopped

    def stop(self, reason: str) -> None:
        """Begin no further clip; the first reason is the one to tell."""
        self.report.stopped = self.report.stopped or reason

    def recorded_ids(self) -> set[str]:
        """Clips in the journal, as it is on disk now."""
        return {clip.id for clip in self._corpus.read_clips()}

    def record(self, clip: Clip) -> None:
        self._corpus.append_clips([clip])
        self.report.made += 1
        self.report.audio_s += clip.duration_s
        self.tell()

    def fail(self, take: Take, reason: str) -> None:
        self.report.failures[take.clip_id] = reason
        self.tell()

    def tell(self) -> None:
        self.report.elapsed_s = time.monotonic() - self._started_s
        self._on_progress(self.report)


# --- engines that run here: a pool of processes ---------------------------------------------------------------------


def _sweep_parts(folder: Path) -> None:
    """Remove what dead processes had begun to write; call it only while none writes."""
    for part in folder.glob(f"audio/.*{_PART_SUFFIX}"):
        part.unlink(missing_ok=True)


def _speak_in_processes(run: _Run, config: SynthesisConfig, load_engine: EngineLoader) -> None:
    """Keep the worker processes busy until nothing waits.

    A worker that dies (out of memory, a crash in native code) takes the pool with it and does not say which clip it
    was at: all that were under way are then tried one by one, and one that kills its worker once more has failed. A
    worker that dies takes the others along, in the middle of what they write.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = min(config.workers or cores, max(1, len(run.waiting)))
    suspects: deque[Take] = deque()
    deaths = 0
    with _single_threaded():
        while (suspects or run.waiting) and run.may_go_on():
            tries_again = bool(suspects)
            pool = ProcessPoolExecutor(
                1 if tries_again else workers,
                mp_context=multiprocessing.get_context("spawn"),
                initializer=_start_worker,
                initargs=(load_engine, config.engine, config.engine_options),
            )
            under_way: dict[Future[Clip | _Failure], Take] = {}
            made = run.report.made
            try:
                if tries_again:
                    _feed(run, pool, suspects, under_way, limit=1)
                else:
                    _feed(run, pool, run.waiting, under_way, limit=2 * workers)  # none waits for its next clip
            except BrokenProcessPool:
                lost = _settle_finished(run, under_way)
                deaths = deaths + 1 if run.report.made == made else 1
                if deaths == _MAX_DEATHS_IN_A_ROW:
                    run.stop("the worker processes die at once")
                if tries_again:
                    for take in lost:
                        run.fail(take, "its worker process died")
                else:
                    suspects.extend(lost)
            except KeyboardInterrupt:
                for future in under_way:
                    future.cancel()
                wait(under_way)
                _settle_finished(run, under_way)
                raise
            finally:
                pool.shutdown(cancel_futures=True)
    _sweep_parts(run.folder)


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a worker returns instead of a clip; `fatal` where no other clip could be made either."""

    reason: str
    fatal: bool


def _feed(
    run: _Run,
    pool: ProcessPoolExecutor,
    queue: deque[Take],
    under_way: dict[Future["Clip | _Failure"], Take],
    limit: int,
) -> None:
    while True:
        while queue and len(under_way) < limit and run.may_go_on():
            future = pool.submit(_work, run.folder, queue[0])
            under_way[future] = queue.popleft()
        if not under_way:
            return
        finished, _ = wait(under_way, return_when=FIRST_COMPLETED)
        for future in finished:
            _settle(run, under_way[future], future.result())
            del under_way[future]


def _settle(run: _Run, take: Take, outcome: "Clip | _Failure") -> None:
    if isinstance(outcome, Clip):
        run.record(outcome)
    elif outcome.fatal:
        run.stop(outcome.reason)
    else:
        run.fail(take, outcome.reason)


def _settle_finished(run: _Run, under_way: dict[Future["Clip | _Failure"], Take]) -> list[Take]:
    """Record what is finished of what was under way when a pool ended; return the rest."""
    # An interruption may have come between a clip's line in the journal and its leaving `under_way`.
    recorded = run.recorded_ids()
    lost = []
    for future, take in under_way.items():
        if take.clip_id in recorded and (run.folder / take.audio).exists():
            continue
        if future.done() and not future.cancelled() and future.exception() is None:
            _settle(run, take, future.result())
        else:
            lost.append(take)
    return lost


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started in here use one thread each. (Libraries read these variables when they are loaded.)"""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


_worker_engine: Callable[[], SpeechEngine]


def _start_worker(load_engine: EngineLoader, name: str, options: dict[str, Any]) -> None:
    global _worker_engine
    _worker_engine = cache(lambda: load_engine(name, **options))
    # Ctrl-C reaches the whole process group; the parent decides what is still finished.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent leaves its workers waiting for work for ever, each with an engine in memory."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _work(folder: Path, take: Take) -> Clip | _Failure:
    """In a worker: make one clip. Raises only OSError, which concerns the disk and with it every clip."""
    try:
        engine = _worker_engine()
    except EvoxtralError as error:
        return _Failure(str(error), fatal=True)
    try:
        return finish_clip(folder, take, engine.speak(take.script.tagged_text, voice=take.voice, seed=take.seed))
    except EvoxtralError as error:
        return _Failure(str(error), fatal=False)
    except OSError:
        raise
    except Exception as error:  # whatever an engine trips over concerns this clip only
        return _Failure(f"{type(error).__name__}: {error}", fatal=False)


# --- engines over the network ---------------------------------------------------------------------------------------


async def _speak_remotely(run: _Run, engine: RemoteSpeechEngine, max_characters: int | None) -> None:
    """Keep as many requests under way as the engine can use, within the budget."""
    if max_characters is not None:
        engine.limit_charges(max_characters - run.spent_before)
    under_way: dict[asyncio.Task[Clip], Take] = {}

    async def make(take: Take) -> Clip:
        paid = await engine.speak_paid(take.script.tagged_text, voice=take.voice, seed=take.seed)
        details: dict[str, Any] = {"characters": paid.characters}
        if paid.request_id is not None:
            details["request_id"] = paid.request_id
        return await asyncio.to_thread(finish_clip, run.folder, take, paid.speech, **details)

    def settle(task: asyncio.Task[Clip], take: Take) -> None:
        run.report.characters = engine.charged_characters
        try:
            run.record(task.result())
        except VoiceError as error:
            run.stop(str(error))
        except EvoxtralError as error:
            run.fail(take, str(error))

    try:
        while True:
            while run.waiting and len(under_way) < engine.concurrency and run.may_go_on():
                take = run.waiting.popleft()
                under_way[asyncio.create_task(make(take))] = take
            if not under_way:
                return
            finished, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
            for task in finished:
                settle(task, under_way.pop(task))
    finally:
        # After an error or Ctrl-C: what was sent is paid for and is waited for and recorded, what was not is given up.
        try:
            engine.stop()
            if under_way:
                await asyncio.wait(under_way)
                for task in list(under_way):
                    settle(task, under_way.pop(task))
        finally:
            await engine.aclose()


# --- progress -------------------------------------------------------------------------------------------------------


@contextmanager
def progress_bar() -> Iterator[Callable[[SynthesisReport], None]]:
    """A bar on standard error, if that is a terminal, with rate, cost and time left; yields the `on_progress`."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    console = Console(stderr=True)
    columns = (TextColumn("Speaking"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[note]}"))
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None, note="")

        def show(report: SynthesisReport) -> None:
            notes = [f"{report.clips_per_s:.1f} clips/s"] if report.made else []
            if report.characters:
                notes.append(f"{report.characters:,} characters")
            if report.failures:
                notes.append(f"{len(report.failures)} failed")
            if report.left_s is not None:
                minutes, seconds = divmod(round(report.left_s), 60)
                notes.append(f"{minutes}:{seconds:02} left")
            progress.update(bar, total=report.total, completed=report.done, note=" · ".join(notes))

        yield show
