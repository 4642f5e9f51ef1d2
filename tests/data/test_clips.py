"""The reader: a corpus, the dataset built of it, and the same saved by the library are the same clips."""

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from evoxtral.corpus.dataset import assign, build
from evoxtral.data.clips import ListedClip, read_clips
from evoxtral.data.corpus_config import CorpusConfig, DatasetConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Clip, Domain, Script, SetAside, SliceType
from evoxtral.errors import CorpusError
from evoxtral.hub.dataset_card import dataset_card

datasets = pytest.importorskip("datasets")

CONFIG = CorpusConfig(dataset=DatasetConfig(validation=0.2, test=0.2, holdout_voices=("held",)))
REJECTED = "s03-a"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> CorpusFolder:
    """Thirty scripts by two voices, one held out; one clip set aside, one spoken anew, one recording without script."""
    folder = CorpusFolder(tmp_path_factory.mktemp("read") / "corpus")
    folder.audio_path.mkdir(parents=True)
    folder.write_config(CONFIG)
    kinds = list(SliceType)
    scripts = [
        Script(
            id=f"s{n:02}", tagged_text=f"[sad] Number {n}.", slice_type=kinds[n % 5], domain=Domain.PODCAST, writer="t"
        )
        for n in range(30)
    ]
    folder.append_scripts(scripts)
    clips = []
    for index, (script, voice) in enumerate((script, voice) for script in scripts for voice in ("a", "held")):
        name = f"{script.id}-{voice}"
        soundfile.write(folder.audio_path / f"{name}.flac", np.full(400 + index, 0.25), 16_000)
        clips.append(
            Clip(
                id=name,
                script_id=script.id,
                tagged_text=script.tagged_text,
                audio=f"audio/{name}.flac",
                duration_s=(400 + index) / 16_000,
                voice=voice,
                engine="test",
                seed=index,
                slice_type=script.slice_type,
                domain=script.domain,
            )
        )
    soundfile.write(folder.audio_path / "human.flac", np.zeros(900), 16_000)
    human = {"id": "human", "script_id": "human", "audio": "audio/human.flac", "split": "validation", "voice": "ann"}
    folder.append_clips([*clips, clips[0].model_copy(update=human)])
    folder.append_clips([clips[8].model_copy(update={"engine": "newer"})])
    folder.write_set_aside([SetAside(id=REJECTED, reason="silent", detail="")])
    build(folder, CONFIG, write_card=dataset_card)
    return folder


def facts(clips: list[ListedClip]) -> dict[str, tuple[Any, ...]]:
    found = {
        clip.id: (
            clip.text,
            clip.split,
            clip.script_id,
            clip.slice_type,
            clip.domain,
            clip.voice,
            clip.engine,
            pytest.approx(clip.duration_s),
            clip.audio.read_bytes(),
        )
        for clip in clips
    }
    assert len(found) == len(clips)
    return found


def test_a_corpus_its_dataset_and_a_saved_one_give_the_same_clips(corpus: CorpusFolder, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(corpus.dataset_path), cache_dir=str(tmp_path / "cache"))
    loaded.save_to_disk(tmp_path / "saved")
    expected = {split: [clip.id for clip in clips] for split, clips in assign(corpus, CONFIG).clips.items()}
    assert all(expected.values())
    assert REJECTED not in {name for names in expected.values() for name in names}
    for source in (corpus.path, corpus.dataset_path, tmp_path / "saved"):
        for split, names in expected.items():
            clips = list(read_clips(source, split))
            assert sorted(clip.id for clip in clips) == sorted(names)
            assert {clip.split for clip in clips} == {split}
            assert {(clip.voice == "held") for clip in clips} == {split == "test"}
        assert facts(list(read_clips(source))) == facts(list(read_clips(corpus.path)))
    assert {clip.engine for clip in read_clips(corpus.path) if clip.id == "s04-a"} <= {"newer"}


def test_a_foreign_dataset_needs_two_columns(tmp_path: Path) -> None:
    sound = tmp_path / "a.wav"
    soundfile.write(sound, np.zeros(100), 16_000)
    rows = {"audio": [{"bytes": sound.read_bytes(), "path": None}, {"bytes": None, "path": str(sound)}]}
    saved = datasets.Dataset.from_dict({**rows, "tagged_text": ["[sad] a", "b"]})
    saved.cast_column("audio", datasets.Audio()).save_to_disk(tmp_path / "saved")
    clips = list(read_clips(tmp_path / "saved", "train"))
    assert [(clip.id, clip.text, clip.voice) for clip in clips] == [
        ("train-0", "[sad] a", None),
        ("train-1", "b", None),
    ]
    assert {clip.audio.read_bytes() for clip in clips} == {sound.read_bytes()}
    datasets.Dataset.from_dict(rows).save_to_disk(tmp_path / "wordless")
    with pytest.raises(CorpusError, match="no column 'tagged_text'; it has audio"):
        list(read_clips(tmp_path / "wordless"))


def test_audio_is_read_when_it_is_asked_for(corpus: CorpusFolder, tmp_path: Path) -> None:
    there = CorpusFolder(shutil.copytree(corpus.path, tmp_path / "corpus"))
    for source in (there.path, there.dataset_path):
        listed = list(read_clips(source, "train"))
        shutil.rmtree(there.audio_path, ignore_errors=True)
        for path in there.dataset_path.rglob("*.parquet"):
            path.unlink()
        assert len(listed) > 5
        with pytest.raises(OSError, match=r"flac|parquet"):
            listed[0].audio.read_bytes()
        shutil.copytree(corpus.dataset_path, there.dataset_path, dirs_exist_ok=True)


def test_clips_made_by_hand_need_a_name_a_text_and_a_file(tmp_path: Path) -> None:
    lines = [{"id": n, "tagged_text": f"Line {n}.", "audio": f"{n}.wav"} for n in range(100)]
    (tmp_path / "clips.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8-sig")
    clips = list(read_clips(tmp_path))
    assert [clip.id for clip in clips] == [str(n) for n in range(100)]
    # A tenth for validation and a tenth for the test, as the defaults of a corpus say.
    counts = Counter(clip.split for clip in clips)
    assert counts["train"] in range(78, 83)
    assert abs(counts["test"] - 10) <= 1


@pytest.mark.parametrize("path", ["/etc/passwd", "../x.wav", "audio/../../x.wav", "C:\\x.wav", "a\\..\\..\\x.wav"])
def test_a_path_that_leads_out_of_the_folder_is_refused(tmp_path: Path, path: str) -> None:
    line = {"id": "a", "tagged_text": "x", "audio": path}
    (tmp_path / "clips.jsonl").write_text(json.dumps(line) + "\n")
    with pytest.raises(CorpusError, match=r"clips\.jsonl, line 1 is no valid clip: audio: .*leads out of") as error:
        list(read_clips(tmp_path))
    assert "\n" not in str(error.value)


def test_what_holds_no_clips_is_named(corpus: CorpusFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CorpusError, match="neither a corpus folder"):
        list(read_clips(tmp_path))
    with pytest.raises(CorpusError, match="no split 'dev'; it has test, train, validation"):
        list(read_clips(corpus.dataset_path, "dev"))
    (tmp_path / "train.parquet").write_bytes(b"not Parquet")
    with pytest.raises(CorpusError, match=r"train\.parquet cannot be read"):
        list(read_clips(tmp_path))
    with pytest.raises(CorpusError, match="is a file"):
        list(read_clips(tmp_path / "train.parquet"))
