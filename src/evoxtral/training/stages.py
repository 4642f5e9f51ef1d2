"""Runs a recipe: stages in order, each skipped where it is finished, each resumed where it was killed.

    data                                    counts of every corpus, and a digest of its content
    sft               adapter/              supervised fine-tuning; checkpoints/ while it runs; predictions.jsonl
    bench             bench/                Evoxtral-Bench of that adapter
    preference        adapter-preference/   ORPO, SimPO or RAFT on the model's own samples
    bench-preference  bench-preference/     the bench again, if there was a pass
    merge             merged/               base + last adapter as plain weights, Hugging Face format
    export            export/               CTranslate2 model
    card              */README.md           a model card in each folder of weights

A recipe without a section has not its stages. Beside them: `recipe.yaml` and `provenance.json`. Knows neither the bench
nor its metrics: whoever runs a recipe passes them in.
"""

import gc
import sys
from collections.abc import Callable
from dataclasses import asdict
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from evoxtral.errors import RecipeError
from evoxtral.training.dry_run import MAX_WINDOW_S, Plan, make_plan
from evoxtral.training.provenance import Provenance
from evoxtral.training.quick_scores import Scorer, quick_scores
from evoxtral.training.recipe import Recipe
from evoxtral.training.run_context import Measure, Report, Reward, Run, is_first_process, process_count
from evoxtral.training.survey import survey_sources
from evoxtral.training.tracking import prepare_tracker

_TOLD = ("wer", "tags.f1", "hallucination.per_100_words_plain")
# A resumed stage continues only a run that these sections shaped alike.
_SHAPING = ("family", "base", "language", "seed", "data", "lora", "optimisation", "packing", "augmentation")


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
    report: Report = lambda line: None,
) -> Provenance:
    """Carry out a recipe.

    Args:
        resume: continue a run whose output folder exists; without it such a folder is an error.
        until: the last stage to run; None for all.
        scorer: what evaluations measure.
        reward: what the preference stage goes by.
        measure: runs the bench.
        report: is told in single lines how it goes.

    Returns:
        The run's record, with the metrics of each stage.

    Raises:
        RecipeError: the output folder is taken, or was made by another recipe; clips are missing or malformed.
        ModelError: the base or a needed package is missing.
    """
    names = stages(recipe)
    if until is not None:
        if until not in names:
            raise RecipeError(f"no stage {until!r} in this recipe", f"stages: {', '.join(names)}")
        names = (*takewhile(lambda name: name != until, names), until)
    first = is_first_process()
    if first:
        _claim(recipe, resume)
    prepare_tracker(recipe, report)
    record = Provenance(recipe)
    run = Run(recipe, record, scorer, reward, measure, report)
    for name in names:
        if not first and name not in _SHARED_STAGES:
            record.wait_for(name)  # what it finds may decide what the next stage does
            continue
        if name in record.stages:
            report(f"{name}: done before")
            continue
        report(f"{name}: starting")
        metrics = _STAGES[name](run)
        record.finish(name, metrics, outdated=_outdated_by(name), write=first)
        _free_memory()
    return record


def _outdated_by(stage: str) -> set[str]:
    """Stages that use what the stage makes, directly or not. The bench only decides whether later ones are needed."""
    found = {name for name, used in _USES.items() if stage in used}
    return found.union(*(_outdated_by(name) for name in found))


def _claim(recipe: Recipe, resume: bool) -> None:
    """Take the output folder for this recipe, or make sure that it belongs to it."""
    path = recipe.output / "recipe.yaml"
    wanted = recipe.model_dump(mode="json")
    if path.is_file():
        if not resume:
            raise RecipeError(f"{recipe.output}: holds a run already", "--resume continues it; output names another")
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
        started = (recipe.output / "checkpoints").is_dir() and not (recipe.output / "adapter").is_dir()
        differing = [name for name in _SHAPING if found.get(name) != wanted[name]]
        if started and differing:
            raise RecipeError(
                f"{recipe.output}: was begun with another {', '.join(differing)}", "output names another folder"
            )
    recipe.output.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(wanted, sort_keys=False), encoding="utf-8")


def _free_memory() -> None:
    """What a stage held on the device is in the way of the next, which loads its own model."""
    gc.collect()
    if "torch" in sys.modules:
        import torch

        torch.cuda.empty_cache()


def _data(run: Run) -> dict[str, Any]:
    surveys = survey_sources(run.recipe, max_clip_s=MAX_WINDOW_S[run.recipe.family])
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
    from evoxtral.training.family import load_family

    recipe = run.recipe
    merge_adapter(load_family(recipe), run.final_adapter, recipe.output / "merged", alpha=recipe.lora.released_alpha)
    return {"adapter": run.final_adapter.name}


def _export(run: Run) -> dict[str, Any]:
    from evoxtral.training.export import export_ctranslate2

    recipe, folder = run.recipe, run.recipe.output / "export"
    assert recipe.export is not None
    export_ctranslate2(recipe.output / "merged", folder, base=recipe.base, quantization=recipe.export.quantization)
    size = sum(path.stat().st_size for path in folder.iterdir())
    run.report(f"export: {size / 1e6:.1f} MB in {folder}")
    return {"bytes": size}


def _card(run: Run) -> dict[str, Any]:
    from evoxtral.training.card import BenchOutput, Form, model_card

    recipe = run.recipe
    measured = recipe.output / ("bench-preference" if run.preference_trained else "bench")
    bench = None
    if recipe.bench is not None and (measured / "scores.json").is_file():
        testset = "the set in the package" if recipe.bench.testset is None else recipe.bench.testset.name
        bench = BenchOutput.read(measured, testset)
    folders: dict[Form, Path] = {"adapter": run.final_adapter, "merged": recipe.output / "merged"}
    if recipe.export is not None:
        folders["export"] = recipe.output / "export"
    for form, folder in folders.items():
        model_card(run.record.content, bench, form=form, name=str(folder)).save(folder / "README.md")
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
# Whose work a stage uses. A preference stage that is added to a finished run makes its merged weights old.
_USES: dict[str, tuple[str, ...]] = {
    "bench": ("sft",),
    "preference": ("sft",),
    "bench-preference": ("preference",),
    "merge": ("sft", "preference"),
    "export": ("merge",),
    "card": ("data", "sft", "bench", "preference", "bench-preference", "merge", "export"),
}
# Stages that all processes of a distributed run work on together; the first does the others alone.
_SHARED_STAGES = ("sft", "preference")
