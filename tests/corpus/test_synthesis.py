"""The synthesis of a corpus by processes on this machine: what reaches the disk, and what a kill leaves behind."""

import json
import multiprocessing
import os
import select
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from disk_calls import noted_calls
from evoxtral.audio import read_clip, write_audio
from evoxtral.corpus.synthesis import SynthesisReport, cast, plan, run_state, synthesize
from evoxtral.corpus.synthesis.finishing import finish_clip
from evoxtral.data import journal
from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.errors import CorpusError, VoiceError
from evoxtral.tts.speech_engine import Speech, TimedTag, TimedWord, Voice

VOICES = ("ada", "ben", "cleo", "dan", "eve", "finn")


class ToneEngine:
    """Speaks a tone that depends on text, voice and seed, and notes each text in a log when it begins."""

    name = "tone"

    def __init__(self, log: str) -> None:
        self._log = log

    def voices(self) -> Sequence[Voice]:
        return [Voice(name, "a tone") for name in VOICES]

    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        with Path(self._log).open("a") as log:
            log.write(json.dumps([text, voice, seed, os.getpid()]) + "\n")
        if "crash" in text:
            os.kill(os.getpid(), signal.SIGKILL)
        if "refuse" in text:
            raise VoiceError("there is nothing to speak")
        if "trip" in text:
            raise ZeroDivisionError("nobody expects it")
        if "nan" in text:
            return Speech(np.full(100, np.nan, np.float32), 24_000, "tone", str(voice))
        if "interrupt" in text:
            os.kill(os.getppid(), signal.SIGINT)
        hz = 200 + len(text) + seed % 100 + VOICES.index(str(voice))
        samples = 0.3 * np.sin(2 * np.pi * hz * np.arange(6_000) / 24_000)
        words = (TimedWord(0, "word", 0.05, 0.2),)
        return Speech(samples.astype(np.float32), 24_000, "tone", str(voice), words, (TimedTag(0, "[sad]", 0.05, 0.2),))


def load_tone(name: str, **options: Any) -> ToneEngine:
    return ToneEngine(**options)


def scripts(*texts: str) -> list[Script]:
    return [
        Script(id=f"s{i}", tagged_text=text, slice_type=SliceType.LIGHT, domain=Domain.PODCAST, writer="test")
        for i, text in enumerate(texts)
    ]


@pytest.fixture
def corpus(tmp_path: Path) -> CorpusFolder:
    folder = CorpusFolder(tmp_path / "corpus")
    folder.append_scripts(scripts(*(f"[sad] Line {i}." for i in range(6))))
    return folder


def configure(corpus: CorpusFolder, **choices: Any) -> SynthesisConfig:
    return SynthesisConfig(engine_options={"log": str(corpus.path / "log")}, **{"workers": 1, **choices})


def spoken(corpus: CorpusFolder) -> list[str]:
    log = corpus.path / "log"
    return [json.loads(line)[0] for line in log.read_text().splitlines()] if log.exists() else []


def assert_complete(corpus: CorpusFolder, wanted: Sequence[Script]) -> None:
    """Each script has one clip, whose audio decodes to the recorded length; nothing else lies in the folder."""
    clips = corpus.read_clips()
    assert sorted(clip.script_id for clip in clips) == sorted(script.id for script in wanted)
    lines = (corpus.path / "clips.jsonl").read_text().splitlines()
    assert len(lines) == len(clips)
    for clip in clips:
        assert len(read_clip(corpus.path / clip.audio)) == round(clip.duration_s * 16_000)
    assert {path.name for path in corpus.audio_path.iterdir()} == {Path(clip.audio).name for clip in clips}


# --- who speaks what ------------------------------------------------------------------------------------------------


def many_scripts(count: int) -> list[Script]:
    return scripts(*(f"Line {i}." for i in range(count)))


def test_every_voice_speaks_equally_often() -> None:
    takes = cast(many_scripts(600), VOICES, SynthesisConfig())
    assert Counter(take.voice for take in takes) == dict.fromkeys(VOICES, 100)


def test_voices_keep_no_step_with_the_order_of_scripts() -> None:
    takes = cast(many_scripts(600), VOICES, SynthesisConfig())
    every_sixth = Counter(take.voice for take in takes[::6])
    assert set(every_sixth) == set(VOICES)
    assert max(every_sixth.values()) < 35  # 100 draws; one voice would have them all in plain rotation


def test_appended_scripts_and_further_takes_leave_earlier_takes_as_they_are() -> None:
    first = cast(many_scripts(20), VOICES, SynthesisConfig())
    grown = cast(many_scripts(33), VOICES, SynthesisConfig(takes=3))
    assert set(first) <= set(grown)


def test_takes_of_a_script_have_different_voices_and_seeds() -> None:
    takes = [take for take in cast(many_scripts(9), VOICES, SynthesisConfig(takes=6)) if take.script.id == "s4"]
    assert {take.voice for take in takes} == set(VOICES)
    assert len({take.seed for take in takes}) == 6


def test_the_seed_decides_voices_and_seeds() -> None:
    one, again, other = (cast(many_scripts(30), VOICES, SynthesisConfig(seed=seed)) for seed in (1, 1, 2))
    assert one == again
    assert [take.voice for take in one] != [take.voice for take in other]
    assert not {take.seed for take in one} & {take.seed for take in other}


def test_a_script_that_names_its_voice_gets_it_and_the_others_take_turns() -> None:
    named = [script.model_copy(update={"voice": "zoe"}) for script in many_scripts(12)[::2]]
    rest = many_scripts(12)[1::2]
    takes = cast([*named, *rest], VOICES, SynthesisConfig())
    assert [take.voice for take in takes[:6]] == ["zoe"] * 6
    assert sorted(take.voice for take in takes[6:]) == sorted(VOICES)


def test_too_few_voices_are_an_error() -> None:
    with pytest.raises(CorpusError, match="20%"):
        cast(many_scripts(3), VOICES[:4], SynthesisConfig())
    assert len(cast(many_scripts(3), VOICES[:4], SynthesisConfig(max_voice_share=0.25))) == 3


def test_a_repeated_script_id_is_an_error() -> None:
    with pytest.raises(CorpusError, match="'s0' occurs twice"):
        cast([*many_scripts(1), *many_scripts(1)], VOICES, SynthesisConfig())


def test_every_id_gets_a_file_name_of_its_own() -> None:
    ids = ["a", "A", "a/b", "a\\b", "../a", "über", ".hidden", "x" * 300, "x" * 301, "con:1", "tab\there"]
    made = [script.model_copy(update={"id": name}) for script, name in zip(many_scripts(11), ids, strict=True)]
    names = [take.audio for take in cast(made, VOICES, SynthesisConfig())]
    assert len({name.lower() for name in names}) == len(ids)
    for name in names:
        folder, _, stem = name.partition("/")
        assert folder == "audio"
        assert set(stem) <= set("abcdefghijklmnopqrstuvwxyz0123456789._-")
        assert not stem.startswith(".")
        assert len(stem) < 120


# --- a run ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("audio_format", ["flac", "opus"])
def test_a_run_makes_every_clip_and_a_second_run_none(corpus: CorpusFolder, audio_format: str) -> None:
    config = configure(corpus, audio_format=audio_format, workers=2)
    seen = []
    report = synthesize(
        corpus, config, on_progress=lambda report: seen.append((report.done, report.total)), load_engine=load_tone
    )
    assert report.made == 6
    assert report.stopped is None
    assert seen == [(done, 6) for done in range(7)]
    assert_complete(corpus, corpus.read_scripts())
    again = synthesize(corpus, config, load_engine=load_tone)
    assert (again.finished_before, again.made) == (6, 0)
    assert len(spoken(corpus)) == 6


def test_a_clip_records_what_was_spoken(corpus: CorpusFolder) -> None:
    synthesize(corpus, configure(corpus), load_engine=load_tone)
    takes = {take.clip_id: take for take in cast(corpus.read_scripts(), VOICES, configure(corpus))}
    for clip in corpus.read_clips():
        take = takes[clip.id]
        assert (clip.voice, clip.seed, clip.audio) == (take.voice, take.seed, take.audio)
        assert (clip.tagged_text, clip.slice_type, clip.domain) == (take.script.tagged_text, "light", "podcast")
        assert clip.engine == "tone"
        assert clip.details == {"words": [[0, 0.05, 0.2]], "tags": [[0, 0.05, 0.2]]}
        # 6,000 samples at 24 kHz are 0.25 s; the tone keeps its pitch when it is resampled to 16 kHz.
        assert clip.duration_s == 0.25
        spectrum = np.abs(np.fft.rfft(read_clip(corpus.path / clip.audio)))
        hz = 200 + len(clip.tagged_text) + clip.seed % 100 + VOICES.index(clip.voice)
        assert np.argmax(spectrum) * 4 == pytest.approx(hz, abs=4)


def test_the_same_corpus_sounds_the_same_again(corpus: CorpusFolder, tmp_path: Path) -> None:
    twin = CorpusFolder(tmp_path / "twin")
    twin.append_scripts(corpus.read_scripts())
    for folder, workers in ((corpus, 1), (twin, 2)):
        synthesize(folder, configure(folder, workers=workers), load_engine=load_tone)
    one, other = ({path.name: path.read_bytes() for path in folder.audio_path.iterdir()} for folder in (corpus, twin))
    assert one == other


def test_only_the_given_scripts_are_spoken(corpus: CorpusFolder) -> None:
    subset = corpus.read_scripts()[2:4]
    report = synthesize(corpus, configure(corpus), scripts=subset, load_engine=load_tone)
    assert report.total == 2
    assert_complete(corpus, subset)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_clip_is_on_disk_before_its_line_is(corpus: CorpusFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (take,) = cast(corpus.read_scripts()[:1], VOICES, configure(corpus))
    speech = ToneEngine(str(corpus.path / "log")).speak("one", voice="ada")
    with noted_calls(monkeypatch) as calls:
        clip = finish_clip(corpus.path, take, speech)
        corpus.append_clips([clip])
    audio, journal_path = corpus.path / clip.audio, corpus.path / "clips.jsonl"
    size = audio.stat().st_size
    (kind, temporary, synced), *rest = calls
    assert (kind, synced, Path(temporary).parent) == ("fsync", size, audio.parent)
    assert rest == [
        ("rename", str(audio), size),
        ("fsync", str(audio.parent), -1),
        ("fsync", str(journal_path), journal_path.stat().st_size),
        ("fsync", str(corpus.path), -1),
    ]


def test_what_fails_is_named_and_the_rest_goes_on(corpus: CorpusFolder) -> None:
    texts = ["fine", "refuse", "fine too", "trip", "nan", "crash", "fine again"]
    made = scripts(*texts)
    report = synthesize(corpus, configure(corpus, workers=2), scripts=made, load_engine=load_tone)
    assert report.failures == {
        "s1-0": "there is nothing to speak",
        "s3-0": "ZeroDivisionError: nobody expects it",
        "s4-0": "tone gave samples that are not numbers",
        "s5-0": "its worker process died",
    }
    assert report.stopped is None
    assert_complete(corpus, [made[0], made[2], made[6]])


def test_workers_run_single_threaded_and_the_parent_keeps_its_settings(
    corpus: CorpusFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    synthesize(corpus, configure(corpus), load_engine=load_threads)
    seen = {json.loads(line)["OMP_NUM_THREADS"] for line in (corpus.path / "threads").read_text().splitlines()}
    assert seen == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert "MKL_NUM_THREADS" not in os.environ


class ThreadsEngine(ToneEngine):
    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        with Path(self._log).with_name("threads").open("a") as file:
            file.write(json.dumps(dict(os.environ)) + "\n")
        return super().speak(text, voice=voice, seed=seed)


def load_threads(name: str, **options: Any) -> ThreadsEngine:
    return ThreadsEngine(**options)


def load_only_in_parent(name: str, **options: Any) -> ToneEngine:
    if multiprocessing.parent_process() is not None:
        raise VoiceError("the model is missing")
    return ToneEngine(**options)


def test_an_engine_that_cannot_be_loaded_stops_the_run(corpus: CorpusFolder) -> None:
    report = synthesize(corpus, configure(corpus), load_engine=load_only_in_parent)
    assert report.stopped == "the model is missing"
    assert not report.failures


def die_in_worker(name: str, **options: Any) -> ToneEngine:
    if multiprocessing.parent_process() is not None:
        os._exit(1)
    return ToneEngine(**options)


def test_workers_that_all_die_stop_the_run(corpus: CorpusFolder) -> None:
    report = synthesize(corpus, configure(corpus), scripts=many_scripts(50), load_engine=die_in_worker)
    assert report.stopped == "the worker processes die at once"
    assert len(report.failures) < 10


def test_unknown_voices_are_refused_before_anything_is_spoken(corpus: CorpusFolder) -> None:
    with pytest.raises(VoiceError, match="nobody"):
        synthesize(corpus, configure(corpus, voices=("nobody",), max_voice_share=1), load_engine=load_tone)
    assert not corpus.audio_path.exists()


def test_a_corpus_without_scripts_is_refused(tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    with pytest.raises(CorpusError, match="has no scripts"):
        synthesize(corpus, configure(corpus), load_engine=load_tone)


def test_two_runs_do_not_share_a_folder(corpus: CorpusFolder) -> None:
    with corpus.locked(), pytest.raises(CorpusError, match="another process"):
        synthesize(corpus, configure(corpus), load_engine=load_tone)
    assert not spoken(corpus)


def test_a_full_disk_stops_before_the_next_clip(corpus: CorpusFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_state, "_MIN_FREE_BYTES", 10**18)
    report = synthesize(corpus, configure(corpus), load_engine=load_tone)
    assert report.stopped is not None
    assert "is full" in report.stopped
    assert not spoken(corpus)


# --- what an interrupted run leaves ---------------------------------------------------------------------------------


def test_ctrl_c_records_what_was_under_way(corpus: CorpusFolder) -> None:
    made = scripts("fine", "interrupt", *(f"later {i}" for i in range(20)))
    with pytest.raises(KeyboardInterrupt):
        synthesize(corpus, configure(corpus), scripts=made, load_engine=load_tone)
    begun = spoken(corpus)
    assert "interrupt" in begun
    assert len(begun) < 10
    assert sorted(clip.tagged_text for clip in corpus.read_clips()) == sorted(begun)
    (corpus.path / "log").unlink()
    rest = [script for script in made if script.tagged_text not in begun]
    synthesize(corpus, configure(corpus), scripts=made, load_engine=load_tone)
    assert sorted(spoken(corpus)) == sorted(script.tagged_text for script in rest)
    assert_complete(corpus, made)


def test_a_changed_text_is_refused(corpus: CorpusFolder) -> None:
    synthesize(corpus, configure(corpus), load_engine=load_tone)
    changed = corpus.read_scripts()[0].model_copy(update={"tagged_text": "Something else."})
    with pytest.raises(CorpusError, match="'s0' has changed"):
        synthesize(corpus, configure(corpus), scripts=[changed], load_engine=load_tone)


def test_a_deleted_audio_file_is_made_again(corpus: CorpusFolder) -> None:
    synthesize(corpus, configure(corpus), load_engine=load_tone)
    lost = corpus.read_clips()[3]
    (corpus.path / lost.audio).unlink()
    (corpus.path / "log").unlink()
    synthesize(corpus, configure(corpus), load_engine=load_tone)
    assert spoken(corpus) == [lost.tagged_text]
    assert {clip.id: clip for clip in corpus.read_clips()}[lost.id] == lost
    assert (corpus.path / lost.audio).exists()


def test_finished_audio_without_its_line_is_adopted_and_a_foreign_file_is_not(corpus: CorpusFolder) -> None:
    synthesize(corpus, configure(corpus), load_engine=load_tone)
    (corpus.path / "log").unlink()
    clips = corpus.read_clips()
    journal = corpus.path / "clips.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    # The journal as a kill in the middle of the fourth line leaves it; clip 5's file is not ours, clip 6's is damaged.
    journal.write_bytes(b"".join(lines[:3]) + lines[3][:40])
    write_audio(corpus.path / clips[4].audio, np.zeros(1600, np.float32), 16_000)
    (corpus.path / clips[5].audio).write_bytes(b"fLaC and then nothing")
    (corpus.audio_path / ".0123456789ab.tmp").write_bytes(b"half a clip")

    dry = plan(corpus, configure(corpus), load_engine=load_tone)
    assert [take.clip_id for take in dry.to_make] == sorted(clip.id for clip in clips[4:])
    report = synthesize(corpus, configure(corpus), load_engine=load_tone)
    assert report.adopted == [clips[3].id]
    assert sorted(spoken(corpus)) == sorted(clip.tagged_text for clip in clips[4:])
    assert sorted(corpus.read_clips(), key=lambda clip: clip.id) == sorted(clips, key=lambda clip: clip.id)
    assert_complete(corpus, corpus.read_scripts())


class Killer:
    """A profiler that kills its process when synthesis, or what it writes with, calls or returns for the n-th time."""

    FOLDERS = (str(Path(run_state.__file__).parent), str(Path(journal.__file__).parent))

    def __init__(self, countdown: int) -> None:
        self._countdown = countdown

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        if frame.f_code.co_filename.startswith(self.FOLDERS):
            self._countdown -= 1
            if self._countdown == 0:
                os.kill(os.getpid(), signal.SIGKILL)


def run_until_killed(path: Path, config: SynthesisConfig, countdown: int, armed_at: int) -> None:
    """In a process of its own: synthesise, and die `countdown` calls after `armed_at` clips were made."""

    def arm(report: SynthesisReport) -> None:
        if report.made == armed_at:
            sys.setprofile(Killer(countdown))

    synthesize(CorpusFolder(path), config, on_progress=arm, load_engine=load_tone)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux to wait for another's processes")
@pytest.mark.parametrize(("armed_at", "countdown"), [(1, 12), (1, 33), (2, 60)])
def test_a_kill_at_any_instant_loses_nothing_finished(corpus: CorpusFolder, armed_at: int, countdown: int) -> None:
    config = configure(corpus)
    context = multiprocessing.get_context("spawn")
    process = context.Process(target=run_until_killed, args=(corpus.path, config, countdown, armed_at))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    wait_for_orphans(corpus)

    recorded = {clip.tagged_text for clip in corpus.read_clips()}
    assert len(recorded) >= armed_at
    finished = {path.name for path in corpus.audio_path.glob("*.flac")}
    takes = cast(corpus.read_scripts(), VOICES, config)
    unfinished = [take.script.tagged_text for take in takes if Path(take.audio).name not in finished]
    (corpus.path / "log").unlink()
    report = synthesize(corpus, config, load_engine=load_tone)
    assert sorted(spoken(corpus)) == sorted(unfinished)
    assert report.finished_before == len(recorded)
    assert_complete(corpus, corpus.read_scripts())


def wait_for_orphans(corpus: CorpusFolder) -> None:
    """Return when the workers of a killed run, which have all spoken by then, have ended of themselves."""
    for pid in {json.loads(line)[3] for line in (corpus.path / "log").read_text().splitlines()}:
        try:
            worker = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        assert select.select([worker], [], [], 20)[0], "a worker outlives its parent"
        os.close(worker)


def load_mortal(name: str, *, countdown: int, **options: Any) -> ToneEngine:
    """The first worker that comes by dies `countdown` calls after it has loaded its engine."""
    marker = Path(options["log"]).with_name("marker")
    if multiprocessing.parent_process() is not None and not marker.exists():
        marker.touch()
        sys.setprofile(Killer(countdown))
    return ToneEngine(**options)


@pytest.mark.parametrize("countdown", [5, 45, 100])
def test_a_worker_that_dies_once_costs_no_clip(corpus: CorpusFolder, countdown: int) -> None:
    config = SynthesisConfig(
        engine_options={"log": str(corpus.path / "log"), "countdown": countdown}, workers=1, max_voice_share=0.5
    )
    report = synthesize(corpus, config, load_engine=load_mortal)
    assert (corpus.path / "marker").exists()
    # It died before, while or after it spoke a text: at most that one was spoken again.
    assert sorted(Counter(spoken(corpus)).values())[-2:] in ([1, 1], [1, 2])
    assert (report.made, report.failures, report.stopped) == (6, {}, None)
    synthesize(corpus, config, load_engine=load_mortal)  # sweeps away what the dead worker was writing
    assert_complete(corpus, corpus.read_scripts())
