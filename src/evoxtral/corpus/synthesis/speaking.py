"""The whole step: plans what is missing and has it spoken, by whichever engine the configuration names."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from evoxtral.corpus.synthesis.casting import Take, cast
from evoxtral.corpus.synthesis.finishing import find_finished
from evoxtral.corpus.synthesis.local_pool import EngineLoader, speak_in_processes
from evoxtral.corpus.synthesis.paid import speak_remotely
from evoxtral.corpus.synthesis.run_state import Run, SynthesisReport, charge, is_recorded
from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.files import sweep_unfinished
from evoxtral.data.records import Script
from evoxtral.errors import CorpusError, VoiceError
from evoxtral.tts import load_speech_engine
from evoxtral.tts.speech_engine import RemoteSpeechEngine, SpeechEngine


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
        if not is_recorded(corpus.path, take, clips):
            adoptable = find_finished(corpus.path, take)
            if adoptable is None:
                to_make.append(take)
            else:
                clips[take.clip_id] = adoptable
    cost = 0
    if isinstance(engine, RemoteSpeechEngine):
        cost = sum(
            engine.cost_of(text)
            for take in to_make
            for text in [turn.tagged_text for turn in take.turns] or [take.script.tagged_text]
        )
    return Plan(tuple(takes), tuple(to_make), cost, sum(map(charge, clips.values())))


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
        sweep_unfinished(corpus.audio_path)
        run = Run(corpus, takes, on_progress)
        try:
            if isinstance(engine, RemoteSpeechEngine):
                asyncio.run(speak_remotely(run, engine, config.max_characters))
            else:
                speak_in_processes(run, config, load_engine)
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
            unknown = [name for name in (take.voice, *(turn.voice for turn in take.turns)) if name not in known]
            if unknown:
                is_named = take.script.voice or any(turn.voice for turn in take.script.turns)
                wanted = f"; script {take.script.id!r} names it" if is_named else ""
                raise VoiceError(
                    f"{engine.name} has no voice {unknown[0]!r}{wanted}",
                    "evoxtral speak --list-voices; scripts are imported without their voices by --any-voice",
                )
    return takes
