"""Dialogues on their way: from scripts over casting, both kinds of engines and the dataset to the reader of clips."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError

from elevenlabs_service import Account, Service, pcm_of, running
from evoxtral.audio import read_clip
from evoxtral.corpus.dataset import assign, build
from evoxtral.corpus.gates import check
from evoxtral.corpus.synthesis import cast, plan, synthesize
from evoxtral.corpus.synthesis.intents import Intents
from evoxtral.data.clips import read_clips
from evoxtral.data.corpus_config import CorpusConfig, DatasetConfig, SynthesisConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Domain, Script, SliceType, Turn
from evoxtral.hub.dataset_card import dataset_card
from evoxtral.tts.dialogue import speak_dialogue
from evoxtral.tts.elevenlabs import STOCK_VOICES
from evoxtral.tts.speech_engine import Speech, SpokenTurn, TimedTag, TimedWord, Voice

VOICES = ("ada", "ben", "cleo", "dan", "eve", "finn")
HZ = dict(zip(VOICES, (200, 300, 400, 500, 600, 700), strict=True))
TEXTS = ("[nervous] Did you see it?", "See what?", "The letter. [laughs]")


class ToneEngine:
    """Speaks half a second of its voice's own tone, and says that the first word lies at its start."""

    name = "tone"

    def voices(self) -> Sequence[Voice]:
        return [Voice(name, "a tone") for name in VOICES]

    def speak(self, text: str, *, voice: str | None = None, seed: int = 0) -> Speech:
        samples = 0.3 * np.sin(2 * np.pi * HZ[str(voice)] * np.arange(8_000) / 16_000)
        tags = (TimedTag(0, "[?]", 0.1, 0.2),) if "[" in text else ()
        return Speech(samples.astype(np.float32), 16_000, "tone", str(voice), (TimedWord(0, "?", 0.0, 0.1),), tags)


def dialogue(name: str = "d", voice: str | None = None, texts: Sequence[str] = TEXTS) -> Script:
    return Script(
        id=name,
        tagged_text=" ".join(texts),
        turns=tuple(Turn(speaker="AB"[index % 2], tagged_text=text) for index, text in enumerate(texts)),
        told=(False, True),
        slice_type=SliceType.LIGHT,
        domain=Domain.CONVERSATION,
        writer="test",
        voice=voice,
    )


def strongest_hz(samples: np.ndarray) -> int:
    return round(float(np.argmax(np.abs(np.fft.rfft(samples))) * 16_000 / len(samples)))


def test_a_script_is_of_one_piece() -> None:
    script = dialogue().model_dump()
    assert Script.model_validate(script).turns[1].speaker == "B"
    with pytest.raises(ValidationError, match="joined by spaces"):
        Script.model_validate(script | {"tagged_text": "[nervous] Did you see it? The letter. [laughs]"})
    with pytest.raises(ValidationError, match="1 labels for 2 tags"):
        Script.model_validate(script | {"told": [True]})


def test_each_speaker_gets_one_voice_and_no_other_has_it() -> None:
    takes = cast([dialogue(f"d{index}") for index in range(600)], VOICES, SynthesisConfig())
    for take in takes:
        first, second, third = (turn.voice for turn in take.turns)
        assert first == third == take.voice != second
    both = Counter(turn.voice for take in takes for turn in take.turns[:2])
    assert min(both.values()) > 160  # of 1,200 for six voices
    assert max(both.values()) < 240


def test_a_speaker_with_a_voice_keeps_it() -> None:
    turns = tuple(turn.model_copy(update={"voice": "zoe"} if turn.speaker == "B" else {}) for turn in dialogue().turns)
    (take,) = cast([dialogue(voice="ada").model_copy(update={"turns": turns})], VOICES, SynthesisConfig())
    assert [turn.voice for turn in take.turns] == ["ada", "zoe", "ada"]


def test_one_voice_alone_speaks_for_both_and_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    (take,) = cast([dialogue()], ["ada"], SynthesisConfig(max_voice_share=1))
    assert {turn.voice for turn in take.turns} == {"ada"}
    assert "too few voices" in caplog.text


def test_turns_follow_one_another_in_their_own_voices() -> None:
    turns = [SpokenTurn(text, voice) for text, voice in zip(TEXTS, ("ada", "ben", "ada"), strict=True)]
    speech = speak_dialogue(ToneEngine(), turns, seed=3)
    heard = [
        strongest_hz(speech.samples[round(turn.start_s * 16_000) : round(turn.end_s * 16_000)]) for turn in speech.turns
    ]
    assert heard == [200, 300, 200]
    for before, after in zip(speech.turns, speech.turns[1:], strict=False):
        assert 0.1 <= after.start_s - before.end_s <= 0.9
        silence = speech.samples[round(before.end_s * 16_000) : round(after.start_s * 16_000)]
        assert not silence.any()
    # Words and tags are counted over the whole text: four words and a tag, two words, two words and a tag.
    assert [(word.index, word.start_s) for word in speech.words] == [
        (first, turn.start_s) for first, turn in zip((0, 4, 6), speech.turns, strict=True)
    ]
    assert [
        (tag.index, round(tag.start_s - turn.start_s, 6))
        for tag, turn in zip(speech.tags, speech.turns[::2], strict=True)
    ] == [
        (0, 0.1),
        (1, 0.1),
    ]
    again = speak_dialogue(ToneEngine(), turns, seed=3)
    np.testing.assert_array_equal(speech.samples, again.samples)


def load_tone(name: str) -> ToneEngine:
    return ToneEngine()


@pytest.fixture
def spoken(tmp_path: Path) -> CorpusFolder:
    corpus = CorpusFolder(tmp_path)
    corpus.append_scripts([dialogue("d1"), dialogue("d2", texts=("[sad] No.", "Why? [sighs]"))])
    report = synthesize(corpus, SynthesisConfig(workers=1), load_engine=load_tone)
    assert (report.made, report.failures, report.stopped) == (2, {}, None)
    return corpus


def test_what_was_spoken_is_built_and_read_with_its_speakers(spoken: CorpusFolder) -> None:
    clips = {clip.script_id: clip for clip in spoken.read_clips()}
    for clip in clips.values():
        samples = read_clip(spoken.path / clip.audio)
        for turn, (_, start_s, end_s) in zip(clip.turns, clip.details["turns"], strict=True):
            heard = samples[round(start_s * 16_000) : round(end_s * 16_000)]
            assert strongest_hz(heard) == pytest.approx(HZ[str(turn.voice)], abs=3)
        assert clip.voices == tuple(dict.fromkeys(turn.voice for turn in clip.turns))
        assert len(clip.voices) == 2
    build(spoken, CorpusConfig(dataset=DatasetConfig(validation=0, test=0)), write_card=dataset_card)
    folders = (read_clips(spoken.path), read_clips(spoken.dataset_path))
    from_corpus, from_dataset = ({clip.id: clip for clip in some} for some in folders)
    assert set(from_corpus) == set(from_dataset) == {"d1-0", "d2-0"}
    for name, listed in from_dataset.items():
        clip = clips[name.removesuffix("-0")]
        assert listed.turns == from_corpus[name].turns == clip.turns
        assert listed.told == from_corpus[name].told == (False, True)


def test_the_dataset_s_own_reader_finds_the_columns(spoken: CorpusFolder) -> None:
    datasets = pytest.importorskip("datasets")
    build(spoken, CorpusConfig(dataset=DatasetConfig(validation=0, test=0)), write_card=dataset_card)
    rows = {row["clip_id"]: row for row in datasets.load_dataset(str(spoken.dataset_path), split="train")}
    assert rows["d1-0"]["speakers"] == ["A", "B", "A"]
    assert rows["d1-0"]["turn_texts"] == list(TEXTS)
    assert rows["d1-0"]["told"] == [False, True]
    assert len(set(rows["d1-0"]["turn_voices"])) == 2


def test_no_held_out_voice_answers_in_a_training_clip(spoken: CorpusFolder) -> None:
    clip = spoken.read_clips()[0]
    answering = clip.voices[1]
    held_out = DatasetConfig(validation=0, test=0, holdout_voices=(answering,))
    report = assign(spoken, CorpusConfig(dataset=held_out))
    assert clip.id not in {clip.id for clip in report.clips["train"]}
    assert report.left_out["voice not for the train split"] >= 1


def test_both_voices_count_where_one_may_not_speak_too_much(spoken: CorpusFolder) -> None:
    clips = spoken.read_clips()
    (voices,) = [gate for gate in check(spoken.read_scripts(), clips).gates if gate.name == "most frequent voice"]
    spoken_by = {voice for clip in clips for voice in clip.voices}
    assert f"of {len(spoken_by)})" in voices.measured


# --- ElevenLabs ------------------------------------------------------------------------------------------------------


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = running([("secret-1", Account())])
    monkeypatch.setenv("ELEVENLABS_API_KEYS", "secret-1")
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    yield service
    service.shutdown()
    service.server_close()


async def no_sleep(seconds: float) -> None:
    await asyncio.sleep(0)


def configure(service: Service) -> SynthesisConfig:
    return SynthesisConfig(engine="elevenlabs", engine_options={"base_url": service.url, "sleep": no_sleep})


def test_elevenlabs_speaks_a_dialogue_in_one_request(service: Service, tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    corpus.append_scripts([dialogue()])
    cost = sum(map(len, TEXTS))
    assert plan(corpus, configure(service)).characters == cost
    report = synthesize(corpus, configure(service))
    assert (report.made, report.characters, report.failures) == (1, cost, {})
    (request,) = service.requests
    (clip,) = corpus.read_clips()
    ids = [STOCK_VOICES[str(turn.voice)][0] for turn in clip.turns]
    assert request.body["inputs"] == [
        {"text": text, "voice_id": voice_id} for text, voice_id in zip(TEXTS, ids, strict=True)
    ]
    assert ids[0] == ids[2] != ids[1]
    assert request.body["settings"] == {"stability": 0.5}
    assert (request.body["model_id"], request.body["seed"]) == ("eleven_v3", clip.seed)
    np.testing.assert_array_equal(read_clip(corpus.path / clip.audio) * 32_768, pcm_of(clip.tagged_text, clip.seed))


def test_a_dialogue_whose_answer_was_lost_is_found_in_the_history(service: Service, tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    corpus.append_scripts([dialogue()])
    synthesize(corpus, configure(service))
    # The machine died before the clip was on disk; the request had been written down.
    (clip,) = corpus.read_clips()
    (corpus.path / clip.audio).unlink()
    (corpus.path / "clips.jsonl").unlink()
    report = synthesize(corpus, configure(service))
    assert (report.made, len(service.requests), service.charged) == (1, 1, sum(map(len, TEXTS)))
    assert corpus.read_clips()[0].details["from_history"]


def test_a_dialogue_that_is_cast_anew_is_no_lost_request(service: Service, tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    corpus.append_scripts([dialogue()])
    config = configure(service)
    synthesize(corpus, config)
    (clip,) = corpus.read_clips()
    (same,) = cast([dialogue()], list(STOCK_VOICES), config)
    turns = (same.turns[0], same.turns[1].model_copy(update={"voice": "Nobody"}), same.turns[2])
    assert len(Intents(corpus.path).lost([same])) == 1
    assert Intents(corpus.path).lost([replace(same, turns=turns)]) == []
    assert clip.seed == same.seed


def test_a_dialogue_longer_than_the_service_takes_fails_alone(service: Service, tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    long = tuple(f"{'word ' * 200}{name}. {tag}" for name, tag in (("one", "[sad]"), ("two", "[sighs]"), ("three", "")))
    texts = tuple(text.strip() for text in long)
    corpus.append_scripts([dialogue("long", texts=texts), dialogue("short")])
    report = synthesize(corpus, configure(service))
    assert report.made == 1
    assert "ElevenLabs takes at most 2,000 at once" in report.failures["long-0"]
