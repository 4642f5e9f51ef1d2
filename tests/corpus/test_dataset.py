"""The dataset, read back by `datasets` as anyone would."""

import io
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import yaml

from evoxtral.corpus.dataset import assign, build
from evoxtral.data.corpus_config import CorpusConfig, DatasetConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Clip, Domain, Script, SetAside, SliceType
from evoxtral.data.splits import draw_splits
from evoxtral.errors import AudioError, CorpusError
from evoxtral.hub.dataset_card import dataset_card
from evoxtral.tags import parse

datasets = pytest.importorskip("datasets")

RATE_HZ = 16_000
VOICES = ("a", "b", "held")
CONFIG = CorpusConfig(name="test-corpus", dataset=DatasetConfig(validation=0.1, test=0.2, holdout_voices=("held",)))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CorpusFolder:
    """Forty scripts, each spoken by all three voices; a clip is told by its length and its one value. Built."""
    corpus = CorpusFolder(tmp_path_factory.mktemp("made"))
    corpus.audio_path.mkdir(parents=True)
    kinds = list(SliceType)
    scripts = [
        Script(
            id=f"s{number:02}",
            tagged_text=f"[giggles] Number {number} is SO big. [clears throat]" if number % 4 else f"Just {number}.",
            slice_type=kinds[number % 5],
            domain=list(Domain)[number % 8],
            writer="test",
        )
        for number in range(40)
    ]
    corpus.append_scripts(scripts)
    clips = []
    for index, (script, voice) in enumerate((script, voice) for script in scripts for voice in VOICES):
        samples = np.full(800 + index, (index + 1) / 1024, np.float32)
        name = f"{script.id}-{voice}"
        soundfile.write(corpus.audio_path / f"{name}.flac", samples, RATE_HZ)
        clips.append(
            Clip(
                id=name,
                script_id=script.id,
                tagged_text=script.tagged_text,
                audio=f"audio/{name}.flac",
                duration_s=len(samples) / RATE_HZ,
                voice=voice,
                engine="test/engine",
                seed=index,
                slice_type=script.slice_type,
                domain=script.domain,
            )
        )
    corpus.append_clips(clips)
    build(corpus, CONFIG, write_card=dataset_card)
    return corpus


@pytest.fixture
def corpus(made: CorpusFolder, tmp_path: Path) -> CorpusFolder:
    """The same, to be changed."""
    return CorpusFolder(shutil.copytree(made.path, tmp_path / "corpus"))


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")


def load(corpus: CorpusFolder, **options: Any) -> Any:
    return datasets.load_dataset(str(corpus.dataset_path), **options)


def test_the_dataset_holds_what_the_clips_are(made: CorpusFolder) -> None:
    clips = {clip.id: clip for clip in made.read_clips()}
    found = load(made)
    assert set(found) == {"train", "validation", "test"}
    assert found["train"].features["audio"] == datasets.Audio(sampling_rate=RATE_HZ, decode=False)
    assert found["train"][0]["audio"]["bytes"][:4] == b"fLaC"
    rows = 0
    for part in found.values():
        for row in part:
            clip = clips[row["clip_id"]]
            parsed = parse(clip.tagged_text)
            assert row["tagged_text"] == clip.tagged_text
            assert row["plain_text"] == parsed.plain_text
            assert row["tag_list"] == [tag.name for tag in parsed.tags]
            assert (row["slice_type"], row["domain"]) == (clip.slice_type, clip.domain)
            assert (row["voice"], row["engine"], row["script_id"]) == (clip.voice, "test/engine", clip.script_id)
            assert row["duration_s"] == pytest.approx(clip.duration_s)
            samples, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
            assert (len(samples), rate_hz) == (800 + clip.seed, RATE_HZ)
            assert samples[0] == pytest.approx((clip.seed + 1) / 1024, abs=1e-4)
            rows += 1
    assert rows == 32 * 2 + 8
    assert ["laughs", "clears throat"] in [list(tags) for tags in found["train"]["tag_list"]]


def test_no_text_and_no_held_out_voice_is_on_two_sides(made: CorpusFolder) -> None:
    report = assign(made, CONFIG)
    found = load(made).remove_columns("audio")
    texts = {split: set(part["plain_text"]) for split, part in found.items()}
    assert not texts["train"] & texts["test"]
    assert not texts["train"] & texts["validation"]
    assert not texts["validation"] & texts["test"]
    assert set(found["test"]["voice"]) == {"held"}
    assert set(found["train"]["voice"]) == set(found["validation"]["voice"]) == {"a", "b"}
    # Eight scripts of each slice: a fifth and a tenth of them, within one.
    for kind in SliceType:
        scripts = {
            split: {row["script_id"] for row in part if row["slice_type"] == kind} for split, part in found.items()
        }
        assert len(scripts["test"]) in (1, 2)
        assert len(scripts["validation"]) in (0, 1, 2)
    in_dataset = sum(map(len, report.clips.values()))
    assert in_dataset + report.left_out.total() == 120


def test_it_streams_in_small_groups(made: CorpusFolder) -> None:
    import pyarrow.parquet as pq

    stream = load(made, split="train", streaming=True)
    assert next(iter(stream))["audio"]["bytes"][:4] == b"fLaC"
    file = pq.ParquetFile(next((made.dataset_path / "data").glob("train-*.parquet")))
    assert all(file.metadata.row_group(index).num_rows <= 64 for index in range(file.num_row_groups))


def test_rejected_clips_stay_out_and_are_counted(corpus: CorpusFolder) -> None:
    corpus.write_set_aside([SetAside(id="s00-a", reason="silent", detail="")])
    report = build(corpus, CorpusConfig(), write_card=dataset_card)
    assert report.left_out["set aside by validation"] == 1
    assert "s00-a" not in {clip.id for part in report.clips.values() for clip in part}
    assert sum(map(len, report.clips.values())) == 119


def test_a_damaged_clip_that_nobody_validated_stops_the_build(corpus: CorpusFolder) -> None:
    path = corpus.path / assign(corpus, CONFIG).clips["train"][0].audio
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(AudioError, match=path.name):
        build(corpus, CONFIG, write_card=dataset_card)


def test_clips_that_name_their_split_keep_it_and_need_no_script(corpus: CorpusFolder) -> None:
    soundfile.write(corpus.audio_path / "human.wav", np.zeros((4_410, 2)), 44_100)
    clip = corpus.read_clips()[0]
    human = {"id": "human", "script_id": "human", "audio": "audio/human.wav", "voice": "someone"}
    corpus.append_clips([clip.model_copy(update={**human, "split": "validation"})])
    build(corpus, CorpusConfig(), write_card=dataset_card)
    validation = load(corpus, split="validation")
    (row,) = [row for row in validation if row["clip_id"] == "human"]
    samples, rate_hz = soundfile.read(io.BytesIO(row["audio"]["bytes"]))
    assert (rate_hz, samples.shape) == (RATE_HZ, (1_600,))


def test_the_card_tells_the_measured_composition(made: CorpusFolder) -> None:
    report = assign(made, CONFIG)
    card = (made.dataset_path / "README.md").read_text()
    _, front, body = card.split("---\n", 2)
    data = yaml.safe_load(front)
    assert data["pretty_name"] == "test-corpus"
    assert [entry["split"] for entry in data["configs"][0]["data_files"]] == ["train", "validation", "test"]
    for split, clips in report.clips.items():
        scripts = {clip.script_id for clip in clips}
        assert f"| {split} | {len(clips)} | {len(scripts)} |" in body
    assert "| test/engine | held | 8 |" in body
    assert "held" in body.split("test split only: ")[1].split("\n")[0]
    assert (made.dataset_path / "composition.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_dataset_is_replaced_as_a_whole(corpus: CorpusFolder) -> None:
    before = (corpus.dataset_path / "README.md").read_bytes()
    (corpus.dataset_path / "data" / "stale.parquet").write_bytes(b"")
    trained_on = next(iter(assign(corpus, CONFIG).clips["train"]))
    broken = trained_on.model_copy(update={"id": "broken", "audio": "audio/broken.flac"})
    (corpus.path / "audio" / "broken.flac").write_bytes(b"not audio")
    corpus.append_clips([broken])
    with pytest.raises(Exception, match=r"broken\.flac"):
        build(corpus, CONFIG, write_card=dataset_card)
    assert (corpus.dataset_path / "README.md").read_bytes() == before
    corpus.write_set_aside([SetAside(id="broken", reason="unreadable", detail="")])
    build(corpus, CONFIG, write_card=dataset_card)
    assert not (corpus.dataset_path / "data" / "stale.parquet").exists()


def test_a_corpus_without_clips_has_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="no clips"):
        build(CorpusFolder(tmp_path), CorpusConfig(), write_card=dataset_card)


def test_splits_are_those_that_synthesis_drew_whatever_order_clips_were_made_in(corpus: CorpusFolder) -> None:
    clips = corpus.read_clips()
    drawn = draw_splits(corpus.read_scripts(), CONFIG.dataset)
    (corpus.path / "clips.jsonl").unlink()
    corpus.append_clips(clips[::-2])  # half of the' clips, backwards
    report = assign(corpus, CONFIG)
    for split, part in report.clips.items():
        assert {drawn[clip.script_id] for clip in part} <= {split}
    assert sum(map(len, report.clips.values())) > 10


def test_two_corpora_share_no_entry_of_the_library_s_cache(made: CorpusFolder, tmp_path: Path) -> None:
    twin = CorpusFolder(shutil.copytree(made.path, tmp_path / "twin"))
    # The same number of clips in the same splits by the same voices, so that their cards are the same.
    clips = [clip.model_copy(update={"engine": "other/engine"}) for clip in twin.read_clips()]
    (twin.path / "clips.jsonl").unlink()
    twin.append_clips(clips)
    build(twin, CONFIG, write_card=dataset_card)
    assert {clip["engine"] for clip in load(made, split="test")} == {"test/engine"}
    assert {clip["engine"] for clip in load(twin, split="test")} == {"other/engine"}
    # And a corpus that was built again with another clip is read anew.
    trained_on = assign(twin, CONFIG).clips["train"][0]
    twin.write_set_aside([SetAside(id=trained_on.id, reason="silent", detail="")])
    before = sum(len(part) for part in load(twin).values())
    build(twin, CONFIG, write_card=dataset_card)
    assert sum(len(part) for part in load(twin).values()) == before - 1


def test_the_same_corpus_is_built_to_the_same_names(made: CorpusFolder, corpus: CorpusFolder) -> None:
    build(corpus, CONFIG, write_card=dataset_card)
    names = [sorted(path.name for path in (folder.dataset_path / "data").iterdir()) for folder in (made, corpus)]
    assert names[0] == names[1]
