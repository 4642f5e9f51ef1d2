import shutil

import numpy as np
import pytest

from evoxtral.audio import load_audio, write_audio
from evoxtral.bench.testset import export_testset, load_testset
from evoxtral.corpus.dataset import build
from evoxtral.data.corpus_config import CorpusConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Clip, Domain, SetAside, SliceType
from evoxtral.errors import ScoreError
from evoxtral.hub.dataset_card import dataset_card

SLICES = [SliceType.PLAIN, SliceType.LIGHT, SliceType.DENSE]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """Forty clips of a second: twelve in the test split, of three slices and two voices; one of them set aside."""
    folder = CorpusFolder(tmp_path_factory.mktemp("corpus"))
    (folder.path / "audio").mkdir()
    noise = np.random.default_rng(0).normal(0, 0.1, 16000).astype(np.float32)
    clips = []
    for index in range(40):
        write_audio(folder.path / f"audio/{index}.flac", noise, 16000)
        clips.append(
            Clip(
                id=str(index),
                script_id=f"script-{index // 2}",
                tagged_text=f"[sad] Text number {index // 2}.",
                audio=f"audio/{index}.flac",
                duration_s=1.0,
                voice="ab"[index % 2],
                engine="local/espeak",
                seed=index,
                slice_type=SLICES[index // 2 % 3],
                domain=Domain.PODCAST,
                split="test" if index < 12 else "train" if index < 36 else "validation",
            )
        )
    folder.append_clips(clips)
    folder.write_set_aside([SetAside(id="3", reason="silent", detail="")])
    return folder.path


def test_a_set_holds_the_sound_test_clips_and_the_training_texts(corpus, tmp_path):
    testset = export_testset(corpus, tmp_path / "set")
    assert {reference.id for reference in testset.references} == {str(index) for index in range(12)} - {"3"}
    assert set(testset.training_texts) == {f"[sad] Text number {number}." for number in range(6, 18)}
    for reference in testset.references:
        number = int(reference.id) // 2
        assert reference.text == f"[sad] Text number {number}."
        assert (reference.unit, reference.slice_type) == (f"script-{number}", SLICES[number % 3])
        assert len(load_audio(testset.audio_path(reference))) == pytest.approx(16000, abs=400)


def test_a_small_set_is_even_over_slices_and_voices(corpus, tmp_path):
    whole = export_testset(corpus, tmp_path / "whole")
    size = sum(whole.audio_path(reference).stat().st_size for reference in whole.references) / 11
    small = export_testset(corpus, tmp_path / "small", max_bytes=int(6.5 * size))
    audio = [small.audio_path(reference).stat().st_size for reference in small.references]
    assert sum(audio) <= 6.5 * size
    slices = [reference.slice_type for reference in small.references]
    assert sorted(slices) == sorted(SLICES * 2)
    assert {(reference.slice_type, reference.voice) for reference in small.references} >= {
        ("light", "a"),
        ("light", "b"),
    }


def test_the_same_corpus_gives_the_same_set_and_replaces_an_earlier_one(corpus, tmp_path):
    first = export_testset(corpus, tmp_path, seed=1)
    texts = (tmp_path / "references.jsonl").read_text()
    export_testset(corpus, tmp_path, max_bytes=30_000, seed=2)
    again = export_testset(corpus, tmp_path, seed=1)
    assert (tmp_path / "references.jsonl").read_text() == texts
    assert again == first
    assert len(list((tmp_path / "audio").iterdir())) == len(again.references)


def test_what_is_no_set_is_refused(corpus, tmp_path):
    with pytest.raises(ScoreError, match=r"references.jsonl is missing"):
        load_testset(tmp_path)
    with pytest.raises(ScoreError, match="fits into 10 bytes"):
        export_testset(corpus, tmp_path / "set", max_bytes=10)


def test_a_corpus_without_test_clips_is_refused(corpus, tmp_path):
    clips = [clip for clip in CorpusFolder(corpus).read_clips() if clip.split == "train"]
    CorpusFolder(tmp_path).append_clips(clips)
    with pytest.raises(ScoreError, match="no clips in its test split"):
        export_testset(tmp_path, tmp_path / "set")


def test_whole_corpora_with_others_to_learn_from(corpus, tmp_path):
    clips = CorpusFolder(corpus).read_clips()
    for name, part in {"one": clips[12:15], "two": clips[15:16], "train": clips[20:24]}.items():
        folder = CorpusFolder(tmp_path / name)
        folder.append_clips(clip.model_copy(update={"split": None}) for clip in part)
        (folder.path / "audio").symlink_to(corpus / "audio")
    corpora = [tmp_path / "one", tmp_path / "two"]
    testset = export_testset(corpora, tmp_path / "set", training=[tmp_path / "train"])
    assert {reference.id for reference in testset.references} == {"12", "13", "14", "15"}
    assert [reference.id for reference in testset.references][1] == "15"  # corpora take turns
    assert set(testset.training_texts) == {"[sad] Text number 10.", "[sad] Text number 11."}
    with pytest.raises(ScoreError, match="is in two corpora"):
        export_testset([tmp_path / "one", tmp_path / "one"], tmp_path / "set", training=[tmp_path / "train"])


def test_a_file_of_references_is_a_set_too(corpus, tmp_path):
    testset = export_testset(corpus, tmp_path)
    assert load_testset(tmp_path / "references.jsonl") == testset


def test_missing_audio_is_named(corpus, tmp_path):
    testset = export_testset(corpus, tmp_path)
    testset.audio_path(testset.references[0]).unlink()
    with pytest.raises(ScoreError, match=rf"{testset.references[0].id}.opus is missing"):
        testset.audio_path(testset.references[0])


def test_a_corpus_and_the_dataset_built_of_it_give_the_same_set(corpus, tmp_path):
    pytest.importorskip("datasets")
    folder = CorpusFolder(shutil.copytree(corpus, tmp_path / "corpus"))
    build(folder, CorpusConfig(), write_card=dataset_card)
    ours, built = (export_testset(path, tmp_path / path.name / "set") for path in (folder.path, folder.dataset_path))
    assert set(built.training_texts) == set(ours.training_texts)
    facts = [
        {(line.id, line.text, line.unit, line.slice_type, line.voice, line.duration_s) for line in made.references}
        for made in (ours, built)
    ]
    assert facts[0] == facts[1]


def test_ids_that_are_no_file_names_lead_nowhere(corpus, tmp_path):
    folder = CorpusFolder(shutil.copytree(corpus, tmp_path / "corpus"))
    clip = folder.read_clips()[0]
    for name in ("../../escaped", "/etc/escaped", "a/b", "A"):
        folder.append_clips([clip.model_copy(update={"id": name})])
    testset = export_testset(folder.path, tmp_path / "deep" / "er" / "set")
    assert {"../../escaped", "/etc/escaped", "a/b", "A"} < {reference.id for reference in testset.references}
    files = [testset.audio_path(reference) for reference in testset.references]
    assert len(set(files)) == len(files)
    assert {path.parent for path in files} == {tmp_path / "deep" / "er" / "set" / "audio"}
    assert not [path for path in tmp_path.rglob("*escaped*") if path.parent.name != "audio"]
