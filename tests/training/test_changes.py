"""What a changed recipe does to a finished run: nothing, some stages again, or a refusal that names the difference."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from evoxtral.errors import RecipeError
from evoxtral.training.changes import describe_changes, recipe_digest
from evoxtral.training.recipe import Recipe, load_recipe
from evoxtral.training.stages import run_recipe
from tiny_models import write_corpus

STAGES = ("data", "sft", "bench", "preference", "bench-preference", "merge", "export", "card")
RECIPE: dict[str, Any] = {
    "name": "a",
    "family": "whisper",
    "base": "openai/whisper-base",
    "output": "runs/a",
    "data": {"train": [{"path": "corpus"}]},
    "bench": {},
    "preference": {},
    "export": {},
}


@pytest.mark.parametrize(
    ("changes", "touched"),
    [
        ({"lora": {"rank": 8}}, set(STAGES) - {"data"}),
        ({"data": {"train": [{"path": "other"}]}}, set(STAGES)),
        ({"data": {"train": [{"path": "corpus", "dataset": "a/b"}]}}, {"data", "card"}),
        ({"preference": {"method": "simpo"}}, {"preference", "bench-preference", "merge", "export", "card"}),
        ({"preference": None}, {"preference", "bench-preference", "merge", "export", "card"}),
        ({"bench": {"testset": "set"}}, {"bench", "bench-preference", "card"}),
        ({"export": {"quantization": "float32"}}, {"export", "card"}),
        ({"license": "mit"}, {"card"}),
        ({"base_folder": "x", "tracker": "wandb", "optimisation": {"workers": 2}, "output": "runs/b"}, set()),
    ],
)
def test_a_change_touches_what_is_made_by_it(changes: dict[str, Any], touched: set[str]) -> None:
    before, after = Recipe.model_validate(RECIPE), Recipe.model_validate(RECIPE | changes)
    assert {name for name in STAGES if recipe_digest(before, name) != recipe_digest(after, name)} == touched


def test_every_field_of_a_recipe_is_told_by_its_dotted_name() -> None:
    changed = Recipe.model_validate(RECIPE | {"seed": 3, "packing": {"empty": 0.25}})
    before = Recipe.model_validate(RECIPE).model_dump(mode="json")
    assert describe_changes(before, changed, "sft") == ["seed 0 -> 3", "packing.empty 0.0 -> 0.25"]
    assert describe_changes(before, changed, "export") == []


def finished(folder: Path, base: Path) -> Recipe:
    corpus = write_corpus(folder / "corpus", ["[sad] a", "b"])
    content = RECIPE | {
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [{"path": str(corpus)}]},
        "lora": {"rank": 2},
        "optimisation": {"batch_size": 2, "precision": "float32"},
        "bench": None,
        "preference": None,
        "export": {"quantization": "float32"},
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    recipe = load_recipe(folder / "recipe.yaml")
    run_recipe(recipe)
    return recipe


def test_a_resume_redoes_what_changed_and_refuses_to_overwrite_weights(tiny_whisper: Path, tmp_path: Path) -> None:
    recipe = finished(tmp_path, tiny_whisper)
    written = (recipe.output / "recipe.yaml").read_bytes()
    adapter = (recipe.output / "adapter" / "adapter_model.safetensors").read_bytes()

    other = load_recipe(tmp_path / "recipe.yaml", {"optimisation.learning_rate": 0.5, "lora.rank": 4})
    with pytest.raises(
        RecipeError, match=r"by another recipe: lora\.rank 2 -> 4, optimisation\.learning_rate"
    ) as caught:
        run_recipe(other, resume=True)
    assert "0.0001 -> 0.5" in str(caught.value)
    assert (recipe.output / "recipe.yaml").read_bytes() == written

    smaller = load_recipe(tmp_path / "recipe.yaml", {"export.quantization": "int8"})
    told: list[str] = []
    run_recipe(smaller, resume=True, report=told.append)
    assert [line for line in told if line.endswith((": starting", ": done before"))] == [
        "data: done before",
        "sft: done before",
        "merge: done before",
        "export: starting",
        "card: starting",
    ]
    assert any("export.quantization float32 -> int8" in line for line in told)
    assert yaml.safe_load((recipe.output / "recipe.yaml").read_text())["export"] == {"quantization": "int8"}
    record = json.loads((recipe.output / "provenance.json").read_text())
    assert record["recipe"]["export"] == {"quantization": "int8"}
    assert (recipe.output / "adapter" / "adapter_model.safetensors").read_bytes() == adapter
