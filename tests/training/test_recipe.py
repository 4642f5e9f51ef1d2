import re
from pathlib import Path

import pytest
import yaml

from evoxtral.cli.main import main
from evoxtral.errors import RecipeError
from evoxtral.training.recipe import load_recipe

RECIPES = Path(__file__).parents[2] / "recipes"
SMALLEST = {
    "name": "a",
    "family": "whisper",
    "base": "openai/whisper-base",
    "output": "runs/a",
    "data": {"train": [{"path": "corpus"}]},
}


def write(folder: Path, **changes: object) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(SMALLEST | changes))
    return path


def test_defaults_are_those_of_the_specification(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    assert (recipe.lora.rank, recipe.lora.alpha, recipe.lora.dropout) == (64, 128, 0.05)
    assert (recipe.optimisation.epochs, recipe.optimisation.neftune_alpha) == (1, 5)
    assert recipe.optimisation.precision == "bf16"
    assert recipe.base_source == "openai/whisper-base"


def test_values_can_be_replaced_by_dotted_name(tmp_path: Path) -> None:
    changes = {"optimisation.max_minutes": 3, "seed": 5, "base_folder": "/models/base"}
    recipe = load_recipe(write(tmp_path), changes)
    assert (recipe.optimisation.max_minutes, recipe.seed, recipe.base_source) == (3, 5, "/models/base")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lora": {"rank": 0}}, "lora.rank"),
        ({"learning_rate": 1}, "learning_rate"),
        ({"data": {"train": []}}, "data.train"),
        ({"optimisation": {"warmup": 1.5}}, "optimisation.warmup"),
        ({"family": "voxtral", "lora": {"adapt_encoder": True}}, "lora.adapt_encoder"),
        ({"family": "voxtral", "export": {"quantization": "int8"}}, "CTranslate2 knows no Voxtral"),
    ],
)
def test_what_breaks_a_rule_is_named(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(tmp_path, **changes))


def test_unreadable_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="no such recipe"):
        load_recipe(tmp_path / "missing.yaml")
    (tmp_path / "list.yaml").write_text("- a\n")
    with pytest.raises(RecipeError, match="mapping"):
        load_recipe(tmp_path / "list.yaml")
    (tmp_path / "broken.yaml").write_text("a: [")
    with pytest.raises(RecipeError, match=r"broken\.yaml.*not YAML"):
        load_recipe(tmp_path / "broken.yaml")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("seed: 1\nseed: 2", "line 9: the key seed stands in line 8 already"),
        ("language: no", 'line 8: no would be read as true or false: quote it \\("no"\\)'),
        ("seed: 2026-11-27", "line 8: 2026-11-27 would be read as a date"),
        ("seed: " + "9" * 5000, "line 8: a number of 5,000 characters"),
        ("lora: " + "[" * 5000, "nested too deeply|not YAML"),
        ("license: https://me:sk-secret@host/x", "license holds a user name or password"),
    ],
)
def test_what_yaml_would_guess_at_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str, message: str
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(yaml.safe_dump(SMALLEST, default_flow_style=None, sort_keys=False) + line + "\n")
    with pytest.raises(SystemExit, match="2"):
        main(["train", str(path), "--dry-run"])
    (told,) = capsys.readouterr().err.splitlines()
    assert re.search(message, told)
    assert len(told) < 400


def test_a_password_is_not_recorded(tmp_path: Path) -> None:
    for changes in (
        {"base": "https://me:sk-secret@host/whisper"},
        {"data": {"train": [{"path": "https://me:sk-secret@host/corpus"}]}},
    ):
        with pytest.raises(RecipeError, match="holds a user name or password") as caught:
            load_recipe(write(tmp_path, **changes))
        assert "secret" not in str(caught.value)


@pytest.mark.parametrize("path", sorted(RECIPES.rglob("*.yaml")), ids=lambda path: path.name)
def test_every_recipe_in_the_repository_is_valid_and_says_how_to_run_it(path: Path) -> None:
    assert f"recipes/{path.relative_to(RECIPES)}" in path.read_text().splitlines()[0]
    if "sweep" not in path.name:
        load_recipe(path)
