import json

import numpy as np
import pytest
import soundfile

from evoxtral.audio import load_audio
from evoxtral.bench.public_sets import DatasetSource, export_dataset
from evoxtral.errors import ScoreError

datasets = pytest.importorskip("datasets")

TONE = (0.3 * np.sin(2 * np.pi * 220 * np.arange(16000) / 16000)).astype(np.float32)
TEXTS = ["Hello [clear_throat] there.", "<whispering>Be quiet.</whispering>", "Plain."]


@pytest.fixture(scope="module")
def sounds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sounds")
    for index in range(len(TEXTS)):
        soundfile.write(folder / f"clip-{index}.flac", TONE[: 8000 * (index + 1)], 16000)
    return [str(folder / f"clip-{index}.flac") for index in range(len(TEXTS))]


@pytest.fixture(scope="module")
def rows(sounds):
    table = datasets.Dataset.from_dict({"audio": sounds, "sentence": TEXTS, "speaker": ["a", "b", "c"]})
    return table.cast_column("audio", datasets.Audio(decode=False)).cast_column("audio", datasets.Audio())


def saved(rows, folder):
    datasets.DatasetDict({"test": rows}).save_to_disk(folder)
    return str(folder)


def test_a_saved_dataset_becomes_a_set_with_tags_of_ours(rows, tmp_path):
    source = DatasetSource(saved(rows, tmp_path / "saved"), dialect="wesr")
    testset, notes = export_dataset(source, tmp_path / "set")
    assert notes == []
    assert [reference.id for reference in testset.references] == ["clip-0", "clip-1", "clip-2"]
    assert [reference.text for reference in testset.references] == [
        "Hello [clears throat] there.",
        "[whispers]Be quiet.",
        "Plain.",
    ]
    lines = (tmp_path / "set" / "original.jsonl").read_text().splitlines()
    assert [json.loads(line)["text"] for line in lines] == TEXTS
    assert [reference.duration_s for reference in testset.references] == [0.5, 1.0, 1.0]
    np.testing.assert_allclose(load_audio(testset.audio_path(testset.references[0])), TONE[:8000], atol=1e-3)


def test_a_folder_of_parquet_files_without_names(rows, sounds, tmp_path):
    (tmp_path / "parquet").mkdir()
    raw = [{"bytes": open(path, "rb").read(), "path": None} for path in sounds]  # noqa: PTH123, SIM115
    table = datasets.Dataset.from_dict({"sound": raw, "words": TEXTS})
    table.cast_column("sound", datasets.Audio(decode=False)).to_parquet(tmp_path / "parquet" / "test.parquet")
    source = DatasetSource(str(tmp_path / "parquet"), audio_column="sound", text_column="words", split="test[:2]")
    testset, _ = export_dataset(source, tmp_path / "set")
    assert [reference.id for reference in testset.references] == ["000000", "000001"]
    assert [reference.audio for reference in testset.references] == ["audio/000000.flac", "audio/000001.flac"]


def test_the_same_source_is_read_once_and_another_one_anew(rows, tmp_path):
    name = saved(rows, tmp_path / "saved")
    export_dataset(DatasetSource(name), tmp_path / "set")
    lines = tmp_path / "set" / "references.jsonl"
    first = lines.read_text()
    lines.write_text(first.replace("Plain.", "Kept."))
    assert export_dataset(DatasetSource(name), tmp_path / "set")[0].references[2].text == "Kept."
    assert export_dataset(DatasetSource(name, dialect="wesr"), tmp_path / "set")[0].references[2].text == "Plain."
    assert json.loads((tmp_path / "set" / "source.json").read_text())["dialect"] == "wesr"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_column": "words"}, "no column 'words'; it has audio, sentence, speaker"),
        ({"audio_column": "speech"}, "no column 'speech'"),
        ({"split": "nosuch"}, "cannot be read as a dataset"),
    ],
)
def test_what_is_missing_is_named(rows, options, message, tmp_path):
    with pytest.raises(ScoreError, match=message):
        export_dataset(DatasetSource(saved(rows, tmp_path / "saved"), **options), tmp_path / "set")


def test_a_folder_that_holds_no_dataset(tmp_path):
    with pytest.raises(ScoreError, match="cannot be read as a dataset"):
        export_dataset(DatasetSource(str(tmp_path)), tmp_path / "set")
