"""The recipe of the real test set: nobody who was trained on, sounds where they should be, the same bytes again."""

import importlib.util
import io
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.audio import load_audio
from evoxtral.bench.testset import PACKAGED, REAL, load_testset
from evoxtral.data.recording_sets import Recording, RecordingSet
from evoxtral.data.records import Reference
from evoxtral.errors import CorpusError

_PATH = Path(__file__).parents[2] / "recipes" / "edge" / "make_real_test_set.py"
_SPEC = importlib.util.spec_from_file_location("make_real_test_set", _PATH)
assert _SPEC is not None
assert _SPEC.loader is not None
recipe = importlib.util.module_from_spec(_SPEC)
sys.modules["make_real_test_set"] = recipe
_SPEC.loader.exec_module(recipe)

TONE = np.sin(np.arange(8_000) * 0.1).astype(np.float32) / 2


@pytest.fixture
def sets(tmp_path) -> Path:
    """Every set that the scripts train on, with a speaker for training and one for testing."""
    names = [
        "emogator",
        "esc10",
        "megaglest",
        "emodb",
        "thorsten_emotional",
        "librispeech_subset",
        "picovoice_s2i",
        "fotaq",
    ]
    for name in names:
        (tmp_path / name).mkdir()
        lines = []
        for split in ("train", "test"):
            file = f"{name}/{split}.flac"
            soundfile.write(tmp_path / file, TONE, 16_000)
            about = {"file": file, "duration": 0.5, "speaker": f"{split}er", "split": split, "transcript": "Oh."}
            lines.append(about | {"tag": "laughs", "tier": "high", "category": "neutral", "det": {}})
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return tmp_path


def made_of(sets: Path, split: str):
    recordings = RecordingSet(sets / "emogator.jsonl")
    item = next(item for item in recordings.recordings if item.split == split)
    return recipe.Made(Reference(id="a", text="Oh."), b"", (recipe.Part(recordings, item),))


def test_a_speaker_who_was_trained_on_is_refused(sets):
    files, speakers = recipe.trained_on(sets)
    assert "emogator/train.flac" in files
    assert {"emogator/trainer", "emodb/trainer"} <= speakers
    recipe.check_unseen([made_of(sets, "test")], files, speakers)
    with pytest.raises(CorpusError, match=r"emogator/train.flac"):
        recipe.check_unseen([made_of(sets, "train")], files, speakers)
    with pytest.raises(CorpusError, match="its speaker is trained on"):
        recipe.check_unseen([made_of(sets, "test")], set(), {"emogator/tester"})


def test_a_speaker_of_a_corpus_that_was_made_is_refused(sets, tmp_path):
    folder = tmp_path / "corpora" / "train-recorded"
    folder.mkdir(parents=True)
    clip = {"id": "1", "script_id": "1", "tagged_text": "Oh.", "audio": "a.opus", "duration_s": 1, "engine": "local"}
    clip |= {"voice": "recorded/emogator.tester", "seed": 1, "slice_type": "plain", "domain": "monologue"}
    (folder / "clips.jsonl").write_text(json.dumps(clip) + "\n")
    with pytest.raises(CorpusError):
        recipe.check_unseen([made_of(sets, "test")], *recipe.trained_on(sets, tmp_path / "corpora"))


def test_a_sound_stands_between_the_recordings_at_the_level_of_the_speech():
    before, after, sound = TONE, -TONE, TONE[:4_000] * 0.1
    joined = recipe._between(before, sound, after, 0.0)
    pause = 4_000
    assert len(joined) == 8_000 + pause + 4_000 + pause + 8_000
    assert np.array_equal(joined[:8_000], before)
    assert np.array_equal(joined[-8_000:], after)
    assert not joined[8_000:12_000].any()
    placed = joined[12_500:15_500]
    assert np.sqrt(np.mean(placed**2)) == pytest.approx(np.sqrt(np.mean(TONE**2)), rel=0.05)


def test_the_same_samples_give_the_same_bytes():
    first = recipe._as_opus(TONE)
    assert recipe._as_opus(TONE.copy()) == first
    heard = load_audio(io.BytesIO(first), name="tone")
    assert len(heard) == len(TONE)
    assert np.abs(np.fft.rfft(heard)).argmax() == np.abs(np.fft.rfft(TONE)).argmax()


@pytest.mark.parametrize(
    ("tag", "category", "bursts", "detections", "found"),
    [
        ("laughs", "Amusement", 5, {}, "laughs"),
        ("laughs", "Amusement", 2, {}, None),
        ("laughs", "Amusement", 5, {"cry": 0.9}, None),
        ("crying", "Sadness", 1, {"cry": 0.4}, "crying"),
        ("crying", "Sadness", 1, {"cough": 0.9}, None),
        ("sighs", "Relief", 1, {"sigh": 0.8}, "sighs"),
        ("sighs", "Relief", 1, {"sigh": 0.1}, None),
        ("none", "Interest", 1, {}, None),
    ],
)
def test_a_sound_is_taken_where_label_category_and_detector_agree(tag, category, bursts, detections, found):
    about = {"file": "a.opus", "duration": 1, "tag": tag, "tier": "high", "category": category, "bursts": bursts}
    assert recipe.agreeing_tag(Recording.model_validate(about | {"det": detections})) == found


def test_the_words_are_those_of_the_set_that_ships():
    words = dict(line.split("\t") for line in recipe._WORDS_FILE.read_text("utf-8").splitlines())
    plain = [one for one in load_testset(PACKAGED[REAL]).references if one.slice_type == "plain"]
    assert {one.id.removeprefix("plain-"): one.text for one in plain} == words
