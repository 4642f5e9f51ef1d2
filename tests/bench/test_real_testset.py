"""The set of real recordings that ships: whose they are, that they may be shipped, that nobody was trained on them."""

import hashlib
import json
from pathlib import Path

import pytest

from evoxtral.audio import load_audio
from evoxtral.bench.testset import PACKAGED, REAL, SYNTHETIC, find_testset, load_testset, packaged_set_of
from evoxtral.tags import parse

FOLDER = PACKAGED[REAL]
LICENCES = {"CC0-1.0", "CC-BY-3.0", "CC-BY-4.0", "Apache-2.0"}
MAX_BYTES = 6_000_000

TESTSET = load_testset(FOLDER)
SOURCES = {line["id"]: line for line in map(json.loads, (FOLDER / "sources.jsonl").read_text("utf-8").splitlines())}


def test_every_clip_names_its_recordings_with_a_licence_that_lets_it_be_shipped():
    assert list(SOURCES) == [reference.id for reference in TESTSET.references]
    for source in SOURCES.values():
        assert source["recordings"]
        for recording in source["recordings"]:
            assert recording["licence"] in LICENCES
            assert all(recording[key] for key in ("set", "file", "speaker", "attribution"))
    changed = {id for id, source in SOURCES.items() if source["changes"]}
    assert changed == {r.id for r in TESTSET.references if r.slice_type not in ("plain", "emotion")}


def test_the_audio_is_what_was_made_and_not_much():
    files = {path.name for path in (FOLDER / "audio").iterdir()}
    assert files == {Path(reference.audio).name for reference in TESTSET.references}
    sizes = 0
    for reference in TESTSET.references:
        content = TESTSET.audio_path(reference).read_bytes()
        assert hashlib.sha256(content).hexdigest() == SOURCES[reference.id]["audio_sha256"]
        sizes += len(content)
    assert sizes <= MAX_BYTES


def test_no_speaker_is_one_that_was_trained_on():
    trained = set(json.loads((FOLDER / "training_speakers.json").read_text()))
    spoken = {f"{one['set']}/{one['speaker']}" for source in SOURCES.values() for one in source["recordings"]}
    assert {speaker.split("/")[0] for speaker in spoken} == {speaker.split("/")[0] for speaker in trained}
    assert not spoken & trained


def test_no_sentence_is_one_that_was_trained_on():
    """(EmoDB's clips that are cut off have no words.)"""
    learned = " ".join(parse(text).plain_text.lower() for text in load_testset().training_texts)
    said = [parse(reference.text).plain_text.lower() for reference in TESTSET.references]
    assert not [text for text in said if text and text in learned]


@pytest.mark.parametrize("part", ["plain", "quiet", "phone", "clipped", "other sounds"])
def test_plain_parts_have_no_tag_and_their_words_are_read_as_they_stand(part):
    clips = [parse(reference.text) for reference in TESTSET.references if reference.slice_type == part]
    assert clips
    assert not any(clip.tags or clip.emphasised for clip in clips)


def test_a_placed_sound_stands_between_the_two_recordings_that_its_clip_was_made_of():
    said = {r.id.removeprefix("plain-"): parse(r.text) for r in TESTSET.references if r.slice_type == "plain"}
    for reference in TESTSET.references:
        if reference.slice_type != "sounds":
            continue
        before, sound, after = (Path(one["file"]).stem for one in SOURCES[reference.id]["recordings"])
        text = parse(reference.text)
        assert before != after
        assert [tag.gap for tag in text.tags] == [len(said[before].words)]
        assert text.tags[0].name == reference.id.removesuffix(f"-{sound}")
        assert len(text.words) == len(said[before].words) + len(said[after].words)


def test_quiet_is_quiet_and_the_words_beside_are_of_these_clips():
    for reference in TESTSET.references:
        if reference.slice_type == "quiet":
            assert abs(load_audio(TESTSET.audio_path(reference))).max() < 0.05
    assert set(TESTSET.base_texts) == {one.id for one in TESTSET.references if one.language is None}


def test_sets_are_found_by_name_by_path_and_by_their_clips(tmp_path):
    assert find_testset(REAL) == FOLDER
    assert find_testset(str(tmp_path)) == tmp_path
    assert packaged_set_of([TESTSET.references[-1].id]) == REAL
    assert packaged_set_of([load_testset().references[0].id]) == SYNTHETIC
    assert packaged_set_of(["nobody's"]) == SYNTHETIC
