"""Runs a recipe: stages in order, each skipped where it is finished, each resumed where it was killed.

    data                                    counts of every corpus, and a digest of its content
    sft               adapter/              supervised fine-tuning; checkpoints/ while it runs; predictions.jsonl
                                            heard/, where what the frozen encoder made of clips is kept
    bench             bench/                Evoxtral-Bench of that adapter
    preference        adapter-preference/   ORPO, SimPO or RAFT on the model's own samples
    bench-preference  bench-preference/     the bench again, if there was a pass
    merge             merged/               base + last adapter as plain weights, Hugging Face format
    export            export/               CTranslate2 model
    card              */README.md           a model card in each folder of weights

A recipe without a section has not its stages. Beside them: `recipe.yaml` and `provenance.json`. Knows neither
the bench and its metrics nor the hub and its cards: whoever runs a recipe passes them in.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from evoxtral.data.files import write_atomically
from evoxtral.data.yaml_files import read_yaml
from evoxtral.errors import RecipeError
from evoxtral.models.families.registry import find_family
from evoxtral.models.four_bit import check_four_bit
from evoxtral.training.base_model import check_base
from evoxtral.training.changes import describe_changes, outdated_by
from evoxtral.training.dry_run import Plan, make_plan
from evoxtral.training.provenance import Provenance
from evoxtral.training.quick_scores import Scorer, quick_scores
from evoxtral.training.recipe import Recipe
from evoxtral.training.run_context import (
    Form,
    Measure,
    Report,
    Reward,
    Run,
    WriteCard,
    is_first_process,
    process_count,
)
from evoxtral.training.survey import check_sources, survey_sources
from evoxtral.training.tracking import prepare_tracker

_MOST_TOLD = 5  # changes in one line
_TOLD = ("wer", "tags.f1", "hallucination.per_100_words_plain")


def stages(recipe: Recipe) -> tuple[str, ...]:
    """Names of the recipe's stages, in order."""
    wanted = {
        "bench": recipe.bench is not None,
        "preference": recipe.preference is not None,
        "bench-preference": recipe.bench is not None and recipe.preference is not None,
        "export": recipe.export is not None,
    }
    return tuple(name for name in _STAGES if wanted.get(name, True))


def plan_recipe(recipe: Recipe) -> Plan:
    """What `run_recipe` would do, with as many processes; reads texts and headers and loads no model."""
    return make_plan(recipe, stages(recipe), process_count())


def run_recipe(
    recipe: Recipe,
    *,
    resume: bool = False,
    until: str | None = None,
    scorer: Scorer = quick_scores,
    reward: Reward | None = None,
    measure: Measure | None = None,
    write_card: WriteCard | None = None,
    report: Report = lambda line: None,
) -> Provenance:
    """Carry out a recipe.

    Args:
        resume: continue a run whose output folder exists; without it such a folder is an error. Where the recipe has
            changed, the finished stages that the change touches are done again (see `changes`).
        until: the last stage to run; None for all.
        scorer: what evaluations measure.
        reward: what the preference stage goes by.
        measure: runs the bench.
        write_card: writes a model card.
        report: is told in single lines how it goes.

    Returns:
        The run's record, with the metrics of each stage.

    Raises:
        RecipeError: the output folder is taken, or holds weights that another recipe trained; clips are missing or
            malformed.
        ModelError: the base or a needed package is missing, or the base is of a type that no family has.
    """
    names = stages(recipe)
    if until is not None:
        if until not in names:
            raise RecipeError(f"no stage {until!r} in this recipe", f"stages: {', '.join(names)}")
        names = (*takewhile(lambda name: name != until, names), until)
    first = is_first_process()
    record = Provenance(recipe)
    if "sft" in names and "sft" not in record.stages:
        # Before clips are read, and before anything is written.
        check_sources(recipe)
        family = check_base(recipe)
        if recipe.lora.four_bit_base:
            check_four_bit(family)
    if first:
        _claim(recipe, resume, report)
    prepare_tracker(recipe, report)
    run = Run(recipe, record, scorer, reward, measure, write_card, report)
    for name in names:
        if not first and name not in _SHARED_STAGES:
            record.wait_for(name)  # what it finds may decide what the next stage does
            continue
        if name in record.stages:
            report(f"{name}: done before")
            continue
        report(f"{name}: starting")
        metrics = _STAGES[name](run)
        record.finish(name, metrics, outdated=outdated_by(name), write=first)
        _free_memory()
    return record


def _claim(recipe: Recipe, resume: bool, report: Report) -> None:
    """Take the output folder for this recipe, or make sure that the weights in it are described by it."""
    path = recipe.output / "recipe.yaml"
    if path.is_file():
        if not resume:
            raise RecipeError(f"{recipe.output}: holds a run already", "--resume continues it; output names another")
        before = read_yaml(path, RecipeError)
        trained = (recipe.output / "checkpoints").is_dir() or (recipe.output / "adapter").is_dir()
        if trained and (differing := describe_changes(before, recipe, "sft")):
            raise RecipeError(
                f"{recipe.output}: was trained by another recipe: {', '.join(differing[:_MOST_TOLD])}"
                + (f" and {len(differing) - _MOST_TOLD} more" if len(differing) > _MOST_TOLD else ""),
                "undo that, or let output name another folder",
            )
        for stage in stages(recipe):
            for change in describe_changes(before, recipe, stage):
                report(f"recipe: {change}: {stage} is done again, if it was done, with what uses it")
    content = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    write_atomically(path, content.encode())


def _free_memory() -> None:
    """What a stage held on the device is in the way of the next, which loads its own model."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        torch.cuda.empty_cache()


def _data(run: Run) -> dict[str, Any]:
    surveys = survey_sources(run.recipe, max_clip_s=find_family(run.recipe.family).max_window_s)
    for found in surveys:
        hours = found.audio_s / 3600
        run.report(f"data: {found.path} ({found.role}): {found.clips} clips, {hours:.2f} h; {found.too_long} too long")
    return {"sources": [asdict(found) for found in surveys]}


def _sft(run: Run) -> dict[str, Any]:
    from evoxtral.training.supervised import train_supervised

    return train_supervised(run)


def _preference(run: Run) -> dict[str, Any]:
    from evoxtral.training.preference import train_preference

    return train_preference(run)


def _bench(run: Run) -> dict[str, Any]:
    return _measured(run, run.sft_adapter, "bench")


def _bench_preference(run: Run) -> dict[str, Any]:
    return _measured(run, run.preference_adapter, "bench-preference") if run.preference_trained else {}


def _measured(run: Run, adapter: Path, folder: str) -> dict[str, Any]:
    if run.measure is None:
        raise RecipeError("the recipe asks for the bench, which is not there", "run it through `evoxtral train`")
    figures = run.measure(run.recipe, adapter, run.recipe.output / folder)
    run.report(f"{folder}: " + " ".join(f"{name} {figures[name]:.4g}" for name in _TOLD if name in figures))
    return dict(figures)


def _merge(run: Run) -> dict[str, Any]:
    from evoxtral.training.adapters import merge_adapter
    from evoxtral.training.trainee import load_trainee

    recipe = run.recipe
    base = load_trainee(recipe, whole=True)
    merge_adapter(base, run.final_adapter, recipe.output / "merged", alpha=recipe.lora.released_alpha)
    return {"adapter": run.final_adapter.name}


def _export(run: Run) -> dict[str, Any]:
    from evoxtral.training.export import export_ctranslate2

    recipe, folder = run.recipe, run.recipe.output / "export"
    assert recipe.export is not None
    heads = find_family(recipe.family).alignment_heads.get(recipe.base.rpartition("/")[2])
    export_ctranslate2(recipe.output / "merged", folder, heads=heads, quantization=recipe.export.quantization)
    size = sum(path.stat().st_size for path in folder.iterdir())
    run.report(f"export: {size / 1e6:.1f} MB in {folder}")
    return {"bytes": size}


def _card(run: Run) -> dict[str, Any]:
    if run.write_card is None:
        run.report("card: nobody writes cards; `evoxtral train` does")
        return {"cards": []}
    recipe = run.recipe
    measured = recipe.output / ("bench-preference" if run.preference_trained else "bench")
    was_measured = recipe.bench is not None and (measured / "scores.json").is_file()
    folders: dict[Form, Path] = {"adapter": run.final_adapter, "merged": recipe.output / "merged"}
    if recipe.export is not None:
        folders["export"] = recipe.output / "export"
    for form, folder in folders.items():
        run.write_card(run.record.content, form, folder, measured if was_measured else None)
    return {"cards": [folder.name for folder in folders.values()]}


# Torch and its kin are imported by the stages, not by planning.
_STAGES: dict[str, Callable[[Run], dict[str, Any]]] = {
    "data": _data,
    "sft": _sft,
    "bench": _bench,
    "preference": _preference,
    "bench-preference": _bench_preference,
    "merge": _merge,
    "export": _export,
    "card": _card,
}
# Stages that all processes of a distributed run work on together; the first does the others alone.
_SHARED_STAGES = ("sft", "preference")
