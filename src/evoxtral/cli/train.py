"""`evoxtral train`: a recipe from the command line."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evoxtral.errors import ModelError

if TYPE_CHECKING:
    from evoxtral.training.recipe import Recipe
    from evoxtral.training.run_context import Form


@click.command()
@click.argument("recipe", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("changes", nargs=-1, metavar="[NAME=VALUE]...")
@click.option("--dry-run", is_flag=True, help="Read the data and print the plan; load no model, write nothing.")
@click.option(
    "--resume", is_flag=True, help="Continue a run: finished stages that the recipe still describes are skipped."
)
@click.option("--until", metavar="STAGE", help="Stop after this stage, such as sft.")
def command(recipe: Path, dry_run: bool, resume: bool, until: str | None, changes: tuple[str, ...]) -> None:
    """Run a training RECIPE (YAML), with some of its values replaced (optimisation.max_steps=100).

    The result, with its record, lies in the recipe's output folder; each trial of a W&B sweep has its own there.
    """
    from evoxtral.training import load_recipe, plan_recipe, run_recipe

    settings = load_recipe(recipe, dict(_change(text) for text in changes))
    if "WANDB_SWEEP_ID" in os.environ and "WANDB_RUN_ID" in os.environ:
        settings = settings.model_copy(update={"output": settings.output / os.environ["WANDB_RUN_ID"]})
    if dry_run:
        for line in plan_recipe(settings).lines:
            click.echo(line)
        return
    try:
        from transformers.utils import logging
    except ImportError:
        raise ModelError("training needs PyTorch and transformers", "pip install 'evoxtral[train]'") from None

    logging.disable_progress_bar()  # its bars for loading weights show up in logs
    run_recipe(
        settings,
        resume=resume,
        until=until,
        reward=_reward,
        measure=_measure,
        write_card=_write_card,
        report=lambda line: click.echo(line, err=True),
    )
    click.echo(settings.output)


def _measure(recipe: "Recipe", adapter: Path, folder: Path) -> dict[str, float]:
    from evoxtral.bench import Section, describe_system, load_testset, log_to_wandb, run_model, score, write_report

    assert recipe.bench is not None
    testset = load_testset() if recipe.bench.testset is None else load_testset(recipe.bench.testset)
    language = recipe.language or "en"
    predictions = run_model(
        testset, folder / "predictions.jsonl", model=recipe.base_source, adapter=str(adapter), language=language
    )
    texts = {prediction.id: prediction.text for prediction in predictions}
    report = score(testset.references, texts, baseline_texts=testset.training_texts)
    system = describe_system(predictions, name=f"{recipe.name} ({adapter.name})")
    write_report(folder, [Section(report, system, testset=testset)])
    if recipe.tracker == "wandb":
        log_to_wandb(report, system, project=os.environ["WANDB_PROJECT"], html=folder / "report.html", testset=testset)
    return {name: figure.value for name, figure in report.figures.items() if figure.value is not None}


def _write_card(record: Mapping[str, Any], form: "Form", folder: Path, measured: Path | None) -> None:
    from evoxtral.hub.model_card import BenchOutput, model_card

    bench = None if measured is None else BenchOutput.read(measured, record)
    model_card(record, bench, form=form, name=folder.name).save(folder / "README.md")


def _reward(reference: str, hypothesis: str) -> float:
    from evoxtral.bench import reward

    return float(reward(reference, hypothesis))


def _change(text: str) -> tuple[str, Any]:
    from evoxtral.data.yaml_files import parse_yaml
    from evoxtral.errors import RecipeError

    name, equals, value = text.partition("=")
    if not equals:
        raise click.UsageError(f"{text!r} is not NAME=VALUE")
    return name, parse_yaml(value, RecipeError, name=name)
