import hashlib
import json
from pathlib import Path

import pytest
import soundfile

from evoxtral.errors import RecipeError
from evoxtral.training.dry_run import make_plan
from evoxtral.training.recipe import Recipe
from evoxtral.training.stages import run_recipe
from evoxtral.training.survey import survey_sources
from tiny_models import RATE_HZ, tone, write_corpus


def recipe_of(folder: Path, **data: object) -> Recipe:
    content = {"name": "a", "family": "whisper", "base": "openai/whisper-base", "output": folder / "run", "data": data}
    return Recipe.model_validate(content)


def test_clips_hours_and_tags_of_each_source_are_counted(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", ["[sad] a [giggles]", "b", "[laughs]", "too long [sad]"])
    write_corpus(corpus, ["c [nope]"], split="validation")
    recipe = recipe_of(
        tmp_path,
        train=[{"path": str(corpus), "dataset": "someone/published"}],
        validation=[{"path": str(corpus), "split": "validation"}],
    )
    train, validation = survey_sources(recipe, max_clip_s=2.4)
    assert (train.role, train.dataset, train.clips, train.too_long) == ("train", "someone/published", 3, 1)
    assert train.audio_s == pytest.approx(1 + 1.5 + 2)
    assert (train.tagged_clips, train.tags) == (2, {"laughs": 2, "sad": 1})
    assert (validation.role, validation.clips, validation.tags, validation.dataset) == (
        "validation",
        1,
        {"nope": 1},
        None,
    )


def test_digest_is_of_names_texts_and_audio(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", ["[sad] a", "b"])

    def digest() -> str:
        return survey_sources(recipe_of(tmp_path, train=[{"path": str(corpus)}]), max_clip_s=None)[0].sha256

    found = digest()
    audio = [hashlib.sha256((corpus / f"audio/train-{n}.flac").read_bytes()).digest() for n in (0, 1)]
    expected = b"train-0\0[sad] a\0" + audio[0] + b"train-1\0b\0" + audio[1]
    assert found == hashlib.sha256(expected).hexdigest()
    lines = (corpus / "clips.jsonl").read_text()
    (corpus / "clips.jsonl").write_text(lines.replace("[sad] a", "[sad] A"))
    assert digest() != found
    (corpus / "clips.jsonl").write_text(lines)
    assert digest() == found
    soundfile.write(corpus / "audio/train-1.flac", tone(301, 1.5), RATE_HZ)
    assert digest() != found


def test_all_missing_folders_are_named_with_the_command_that_makes_them(tmp_path: Path) -> None:
    there = write_corpus(tmp_path / "there", ["a"])
    sources = [{"path": str(path)} for path in (tmp_path / "one", there, tmp_path / "two")]
    recipe = recipe_of(tmp_path, train=sources, made_by="python -m maker --output data")
    expected = f"2 of 3 corpora are missing: {tmp_path}/one, {tmp_path}/two (make them: python -m maker --output data)"
    for go in (lambda: run_recipe(recipe), lambda: make_plan(recipe, ("sft",))):
        with pytest.raises(RecipeError) as caught:
            go()
        assert str(caught.value) == expected
    unexplained = recipe.model_copy(update={"data": recipe.data.model_copy(update={"made_by": None})})
    with pytest.raises(RecipeError, match=r"data\.made_by in the recipe can name the command"):
        run_recipe(unexplained, resume=True)


@pytest.mark.parametrize("made_by", [None, "evoxtral corpus build corpus"])
def test_a_folder_that_a_command_makes_is_never_looked_for_on_the_hub(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_by: str | None
) -> None:
    datasets = pytest.importorskip("datasets")
    asked: list[str] = []

    def unknown(name: str) -> None:
        asked.append(name)
        raise FileNotFoundError(f"{name} is not on the hub")

    monkeypatch.setattr(datasets, "load_dataset", unknown)
    monkeypatch.chdir(tmp_path)
    recipe = recipe_of(tmp_path, train=[{"path": "corpus/dataset"}], made_by=made_by)
    expected = "neither a corpus folder nor" if made_by is None else f"1 of 1 corpora are missing: .*{made_by}"
    with pytest.raises(RecipeError, match=expected):
        survey_sources(recipe, max_clip_s=None)
    assert asked == (["corpus/dataset"] if made_by is None else [])


def test_the_stage_records_what_it_found_and_reads_it_before_any_model(tmp_path: Path) -> None:
    corpus = write_corpus(tmp_path / "corpus", ["[sad] a", "b"])
    told: list[str] = []
    recipe = recipe_of(tmp_path, train=[{"path": str(corpus)}])
    run_recipe(recipe, until="data", report=told.append)
    assert f"data: {corpus} (train): 2 clips, 0.00 h; 0 too long" in told
    (source,) = json.loads((tmp_path / "run" / "provenance.json").read_text())["stages"]["data"]["metrics"]["sources"]
    assert (source["clips"], source["audio_s"], source["tags"]) == (2, 2.5, {"sad": 1})
    for spoil in (lambda path: path.write_bytes(b"no audio"), Path.unlink):
        spoil(corpus / "audio" / "train-1.flac")
        with pytest.raises(RecipeError, match="clip train-1: its audio cannot be read"):
            survey_sources(recipe, max_clip_s=None)
