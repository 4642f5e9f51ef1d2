import json

import numpy as np
import pytest

from evoxtral.audio import load_audio, write_audio
from evoxtral.bench import mos
from evoxtral.bench.resemblance import MEASURES, listen, measure
from evoxtral.bench.roundtrip import Condition, RoundTrip, SpokenClip, round_trip
from evoxtral.bench.testset import TestSet
from evoxtral.data.records import Reference
from evoxtral.tags import tag_names
from evoxtral.tts import load_speech_engine

TEXTS = {
    "one": "[excited] We WON the game! [laughs] I can't believe it.",
    "two": "[whispers] Stay close to me. [pause] They are coming.",
    "three": "[sad] She left this morning. [sighs] I miss her.",
}
VOICE = "espeak/amber"


@pytest.fixture(scope="module")
def engine():
    return load_speech_engine("local")


@pytest.fixture(scope="module")
def testset(engine, tmp_path_factory) -> TestSet:
    folder = tmp_path_factory.mktemp("set")
    references = []
    for id, text in TEXTS.items():
        speech = engine.speak(text, voice=VOICE, seed=7)
        write_audio(folder / f"{id}.flac", speech.samples, speech.sample_rate_hz)
        references.append(Reference(id=id, text=text, voice=VOICE, audio=f"{id}.flac"))
    return TestSet(folder, tuple(references), None)


@pytest.fixture(scope="module")
def spoken(engine, testset, tmp_path_factory) -> tuple[RoundTrip, object]:
    folder = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mos, "is_installed", lambda: False)  # seconds a clip, and tested by itself
        return round_trip(testset, TEXTS, engine, folder), folder


def test_the_true_tags_are_near_the_ceiling_and_better_than_wrong_ones_and_none(spoken):
    means = spoken[0].means
    for name in ("mcd_db", "f0_rmse_st", "voicing_error", "energy_rmse_db"):
        true = means[Condition.REFERENCE][name].value
        assert true < means[Condition.SHUFFLED][name].value, name
        assert true < means[Condition.UNTAGGED][name].value, name
    for name in ("f0_correlation", "energy_correlation"):
        assert means[Condition.REFERENCE][name].value > 0.9
        assert means[Condition.REFERENCE][name].value > means[Condition.SHUFFLED][name].value
    assert means[Condition.REFERENCE]["mcd_db"].value < 4


def test_each_condition_speaks_its_text(spoken):
    texts = {(clip.id, clip.condition): clip.text for clip in spoken[0].clips}
    assert texts["one", Condition.UNTAGGED] == "We won the game! I can't believe it."
    assert texts["one", Condition.REFERENCE] == TEXTS["one"]
    wrong = tag_names(texts["two", Condition.SHUFFLED])
    assert len(wrong) == 2
    assert "whispers" not in wrong


def test_speech_is_kept_in_the_voice_of_the_recording(spoken):
    clips, folder = spoken
    for clip in clips.clips:
        assert (clip.voice, clip.same_voice) == (VOICE, True)
        assert len(load_audio(folder / clip.audio)) > 8000


def test_results_are_used_again(engine, testset, spoken):
    class Silent:
        name = "local"

        def voices(self):
            return engine.voices()

        def speak(self, text, *, voice=None, seed=0):
            raise AssertionError("spoken again")

    again = round_trip(testset, TEXTS, Silent(), spoken[1])
    assert again.to_json() == spoken[0].to_json()


def test_another_hypothesis_is_spoken_anew(engine, testset, spoken, tmp_path, monkeypatch):
    monkeypatch.setattr(mos, "is_installed", lambda: False)
    (tmp_path / "roundtrip.jsonl").write_bytes((spoken[1] / "roundtrip.jsonl").read_bytes())
    changed = TEXTS | {"one": "[sad] We lost the game."}
    again = round_trip(testset, changed, engine, tmp_path, conditions=[Condition.TAGGED])
    texts = [clip.text for clip in again.clips]
    assert texts == list(changed.values())


def test_an_empty_hypothesis_has_no_measures(engine, testset, tmp_path):
    result = round_trip(testset, {"one": ""}, engine, tmp_path, conditions=[Condition.TAGGED])
    assert (result.clips[0].measures, result.clips[0].audio) == ({}, None)


def test_json_by_hand():
    def clip(id: str, condition: Condition, mcd_db: float | None) -> SpokenClip:
        return SpokenClip(
            id=id,
            unit=id,
            condition=condition,
            text="",
            engine="local/espeak",
            voice="v",
            same_voice=id == "a",
            seed=1,
            audio=None,
            measures={"mcd_db": mcd_db},
        )

    tagged, untagged = Condition.TAGGED, Condition.UNTAGGED
    clips = [clip("a", tagged, 2), clip("a", untagged, 5), clip("b", tagged, 4), clip("b", untagged, 7)]
    clips += [clip("c", tagged, None), clip("c", untagged, None)]
    result = json.loads(json.dumps(RoundTrip(tuple(clips)).to_json(), allow_nan=False))
    assert (result["clips"], result["same_voice"]) == (3, pytest.approx(1 / 3))
    assert result["means"]["tagged"]["mcd_db"]["value"] == 3
    gain = result["gain_over_untagged"]["tagged"]["mcd_db"]
    assert gain["value"] == -3
    assert gain["ci"] == pytest.approx([-3, -3])  # the same three decibels on every clip


def test_every_measure_is_described():
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    assert set(measure(listen(noise), noise)) <= set(MEASURES)
