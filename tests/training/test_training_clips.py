import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from evoxtral.errors import RecipeError
from evoxtral.training.clips import load_clips
from evoxtral.training.recipe import Source
from tiny_models import RATE_HZ, tone, write_corpus


@pytest.mark.parametrize("suffix", [".flac", ".wav", ".opus"])
def test_clips_of_a_split_are_read_in_order(tmp_path: Path, suffix: str) -> None:
    folder = write_corpus(tmp_path / "corpus", ["[sad] a", ""], suffix=suffix)
    write_corpus(folder, ["other"], split="test", suffix=suffix)
    clips, left_out = load_clips([Source(path=str(folder), repeat=2)])
    assert [(clip.text, clip.repeat) for clip in clips] == [("[sad] a", 2), ("", 2)]
    assert left_out == 0
    expected = tone(300, 1)
    found = clips[0].samples[: len(expected)] / 32767
    assert abs(len(clips[0].samples) - len(expected)) <= 320  # Opus may pad by a frame
    assert np.corrcoef(found, expected[: len(found)])[0, 1] > 0.99


@pytest.mark.parametrize("suffix", [".flac", ".opus"])
def test_without_sound_clips_are_as_long_and_take_no_memory(tmp_path: Path, suffix: str) -> None:
    folder = write_corpus(tmp_path / "corpus", ["[sad] a", "", "too long"], suffix=suffix)
    heard, measured = (load_clips([Source(path=str(folder))], max_clip_s=1.8, sound=sound) for sound in (True, False))
    assert heard[1] == measured[1] == 1
    for clip, silent in zip(heard[0], measured[0], strict=True):
        assert (clip.id, clip.text, len(clip.samples)) == (silent.id, silent.text, len(silent.samples))
        assert silent.samples.strides == (0,)


def test_all_takes_every_split(tmp_path: Path) -> None:
    folder = write_corpus(write_corpus(tmp_path / "corpus", ["a"]), ["b"], split="test")
    assert [clip.text for clip in load_clips([Source(path=str(folder), split="all")])[0]] == ["a", "b"]


def test_other_rates_and_stereo_become_16_khz_mono(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "corpus", ["a"])
    seconds = np.arange(44_100) / 44_100
    left = 0.4 * np.sin(2 * np.pi * 500 * seconds)
    soundfile.write(folder / "audio" / "train-0.flac", np.stack([left, np.zeros_like(left)], axis=1), 44_100)
    samples = load_clips([Source(path=str(folder))])[0][0].samples / 32767
    expected = 0.2 * np.sin(2 * np.pi * 500 * np.arange(RATE_HZ) / RATE_HZ)
    assert len(samples) == RATE_HZ
    np.testing.assert_allclose(samples[200:-200], expected[200:-200], atol=2e-3)


def test_too_long_clips_are_left_out_and_counted(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "corpus", ["one second", "one and a half"])
    clips, left_out = load_clips([Source(path=str(folder))], max_clip_s=1.2)
    assert ([clip.text for clip in clips], left_out) == (["one second"], 1)


def test_a_limit_takes_clips_from_the_whole_source(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "corpus", ["a", "b", "c", "d", "e"])
    assert [clip.text for clip in load_clips([Source(path=str(folder), limit=3)])[0]] == ["a", "c", "e"]


def test_a_saved_dataset_reads_like_its_corpus(tmp_path: Path) -> None:
    import datasets

    folder = write_corpus(tmp_path / "corpus", ["[sad] a", "b"])
    rows = [json.loads(line) for line in (folder / "clips.jsonl").read_text().splitlines()]
    columns = {
        "audio": [{"bytes": (folder / row["audio"]).read_bytes(), "path": None} for row in rows],
        "tagged_text": [row["tagged_text"] for row in rows],
    }
    dataset = datasets.Dataset.from_dict(columns).cast_column("audio", datasets.Audio(sampling_rate=RATE_HZ))
    datasets.DatasetDict({"train": dataset}).save_to_disk(tmp_path / "dataset")
    expected = load_clips([Source(path=str(folder))])[0]
    found = load_clips([Source(path=str(tmp_path / "dataset"))])[0]
    assert [clip.text for clip in found] == [clip.text for clip in expected]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(found, expected, strict=True))
    with pytest.raises(RecipeError, match="no split 'test'; it has train"):
        load_clips([Source(path=str(tmp_path / "dataset"), split="test")])


def test_missing_and_malformed_sources_are_named(tmp_path: Path) -> None:
    folder = write_corpus(tmp_path / "corpus", ["a"])
    with pytest.raises(RecipeError, match="no clip in split 'validation'"):
        load_clips([Source(path=str(folder), split="validation")])
    with pytest.raises(RecipeError, match="neither a corpus folder"):
        load_clips([Source(path=str(tmp_path))])
    (folder / "audio" / "train-0.flac").write_bytes(b"not audio")
    with pytest.raises(RecipeError, match="clip train-0: its audio cannot be read"):
        load_clips([Source(path=str(folder))])
    with (folder / "clips.jsonl").open("a") as lines:
        lines.write('{"id": "x"}\n')
    with pytest.raises(RecipeError, match=r"clips\.jsonl, line 2 is no valid clip: tagged_text"):
        load_clips([Source(path=str(folder))])
