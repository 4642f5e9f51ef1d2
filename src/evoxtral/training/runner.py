"""Runs a recipe: stages in order, each skipped where it is finished, each resumed where it was killed.

    sft     adapter/   supervised fine-tuning; checkpoints/ while it runs
    merge   merged/    base + adapter as plain weights, Hugging Face format
    export  export/    CTranslate2 model (where the recipe asks for one)

Beside them: `recipe.yaml`, `provenance.json` and `predictions.jsonl` (the validation clips at the last evaluation).
"""

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

import yaml

from evoxtral.errors import RecipeError
from evoxtral.training.clips import TrainingClip, load_clips
from evoxtral.training.provenance import Provenance
from evoxtral.training.recipe import Recipe
from evoxtral.training.scoring import Scorer, quick_scores
from evoxtral.training.windows import Window, WindowPlan

Report = Callable[[str], None]
# Each worker holds two batches ahead in shared memory (60 MB each for 64 windows of 30 s).
_MOST_WORKERS = 8
_LOGS_A_RUN = 100
# What published checkpoints take, for plans made without loading one.
_MAX_WINDOW_S = {"whisper": 30.0, "voxtral": None}
_PACKED_S = 30.0
# A resumed stage continues only a run that these sections shaped alike.
_SHAPING = ("family", "base", "language", "seed", "data", "lora", "optimisation", "packing", "augmentation")


def stages(recipe: Recipe) -> list[str]:
    """Names of the recipe's stages, in order."""
    return ["sft", "merge", *(["export"] if recipe.export else [])]


def run_recipe(
    recipe: Recipe,
    *,
    resume: bool = False,
    until: str | None = None,
    scorer: Scorer = quick_scores,
    report: Report = lambda line: None,
) -> Provenance:
    """Carry out a recipe.

    Args:
        resume: continue a run whose output folder exists; without it such a folder is an error.
        until: the last stage to run; None for all.
        scorer: what evaluations measure.
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
        names = [*takewhile(lambda name: name != until, names), until]
    first = _is_first_process()
    if first:
        _claim(recipe, resume)
    record = Provenance(recipe)
    for name in names:
        if not first and name not in _SHARED_STAGES:
            continue
        if name in record.stages:
            report(f"{name}: done before")
            continue
        report(f"{name}: starting")
        metrics = _STAGES[name](recipe, scorer, report)
        if first:
            record.finish(name, metrics)
    return record


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would do: `lines` for people, and the figures behind them."""

    clips: int
    audio_s: float
    left_out: int
    windows: int
    windows_per_epoch: int
    steps: int
    stages: tuple[str, ...]

    @property
    def lines(self) -> list[str]:
        return [
            f"stages: {', '.join(self.stages)}",
            f"training clips: {self.clips} ({self.audio_s / 3600:.2f} h), {self.left_out} left out as too long",
            f"windows: {self.windows} ({self.windows_per_epoch} an epoch)",
            f"steps: {self.steps}",
        ]


def plan_recipe(recipe: Recipe, processes: int = 1) -> Plan:
    """Read the data and work out windows and steps, without loading a model."""
    max_window_s = _MAX_WINDOW_S[recipe.family]
    clips, left_out = load_clips(recipe.data.train, max_clip_s=max_window_s)
    windows = _plan_windows(recipe, clips, max_window_s, processes)
    return Plan(
        clips=len(clips),
        audio_s=sum(clip.duration_s for clip in clips),
        left_out=left_out,
        windows=len(windows),
        windows_per_epoch=windows.windows_per_epoch,
        steps=math.ceil(len(windows) / _windows_per_step(recipe, processes)),
        stages=tuple(stages(recipe)),
    )


def _windows_per_step(recipe: Recipe, processes: int) -> int:
    return recipe.optimisation.batch_size * recipe.optimisation.accumulation * processes


def _plan_windows(recipe: Recipe, clips: list[TrainingClip], max_window_s: float | None, processes: int) -> WindowPlan:
    most = recipe.optimisation.max_steps
    return WindowPlan(
        clips,
        recipe.packing,
        seed=recipe.seed,
        window_s=max_window_s or _PACKED_S,
        # Voxtral's sequences grow with their audio and text; Whisper's windows are all of one length.
        grouped=_windows_per_step(recipe, processes) if recipe.family == "voxtral" else 1,
        epochs=recipe.optimisation.epochs,
        max_windows=None if most is None else most * _windows_per_step(recipe, processes),
        speed_probability=recipe.augmentation.speed,
    )


def _is_first_process() -> bool:
    # As torchrun and accelerate set it, long before torch is imported.
    return os.environ.get("RANK", "0") == "0"


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


def _sft(recipe: Recipe, scorer: Scorer, report: Report) -> dict[str, Any]:
    # Set before any tokenizer is used: loader processes are forked after that.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    import torch
    from transformers import TrainingArguments, set_seed

    from evoxtral.training.adapters import add_adapter, save_adapter
    from evoxtral.training.family import load_family
    from evoxtral.training.trainer import Reporter, SpeechTrainer, WallClock, last_checkpoint

    choice = recipe.optimisation
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    set_seed(recipe.seed)
    torch.set_float32_matmul_precision("high")
    family = load_family(recipe)
    model = add_adapter(family, recipe.lora)
    if choice.checkpointing:
        family.checkpoint_activations()
    if choice.compile:
        family.compile()
    trainable, total = model.get_nb_trainable_parameters()
    report(f"{trainable:,} of {total:,} parameters are trained")
    clips, left_out = load_clips(recipe.data.train, max_clip_s=family.max_window_s)
    report(f"{len(clips)} training clips, {sum(clip.duration_s for clip in clips) / 3600:.2f} h; {left_out} too long")
    windows = _plan_windows(recipe, clips, family.max_window_s, processes)
    validation: list[Window] = []
    if recipe.data.validation:
        heard, left_out = load_clips(recipe.data.validation, max_clip_s=family.max_window_s)
        report(f"{len(heard)} validation clips; {left_out} too long")
        validation = [Window(clip.samples, clip.text) for clip in heard]

    on_gpu = torch.cuda.is_available()
    steps = math.ceil(len(windows) / _windows_per_step(recipe, processes))
    checkpoints = recipe.output / "checkpoints"
    workers = choice.workers
    if workers is None:
        workers = min(_MOST_WORKERS, (os.cpu_count() or 1) // max(1, processes)) if on_gpu else 0
    arguments = TrainingArguments(
        output_dir=str(checkpoints),
        seed=recipe.seed,
        max_steps=steps,
        per_device_train_batch_size=choice.batch_size,
        gradient_accumulation_steps=choice.accumulation,
        learning_rate=choice.learning_rate,
        weight_decay=choice.weight_decay,
        max_grad_norm=choice.max_grad_norm,
        optim="adamw_torch_fused",
        neftune_noise_alpha=choice.neftune_alpha or None,
        bf16=choice.precision == "bf16",
        use_cpu=not on_gpu,
        dataloader_num_workers=workers,
        dataloader_pin_memory=on_gpu,
        eval_strategy="steps" if validation and recipe.evaluation.every_steps else "no",
        eval_steps=recipe.evaluation.every_steps,
        per_device_eval_batch_size=recipe.evaluation.batch_size,
        save_strategy="steps",
        save_steps=recipe.checkpoints.every_steps,
        save_total_limit=recipe.checkpoints.keep,
        logging_steps=max(1, steps // _LOGS_A_RUN),
        logging_first_step=True,
        disable_tqdm=True,
        report_to="none" if recipe.tracker == "none" else recipe.tracker,
        run_name=recipe.name,
        remove_unused_columns=False,
        logging_nan_inf_filter=False,  # would wait for the device at every step
        label_names=["labels"],
        ddp_find_unused_parameters=False,
    )
    clock = WallClock(None if choice.max_minutes is None else choice.max_minutes * 60)
    changes = recipe.augmentation
    trainer = SpeechTrainer(
        model=model,
        args=arguments,
        family=family,
        windows=windows,
        validation=validation,
        clock=clock,
        warmup=choice.warmup,
        augmentation=changes if any(changes.model_dump(exclude={"speed"}).values()) else None,
        scorer=scorer,
        max_new_tokens=recipe.evaluation.max_new_tokens,
        callbacks=[Reporter(report, _windows_per_step(recipe, processes))],
    )
    _silence_default_progress(trainer)
    checkpoint = last_checkpoint(checkpoints)
    if checkpoint is not None:
        report(f"continuing from {checkpoint.name}")
    result = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    metrics: dict[str, Any] = {
        "steps": result.global_step,
        "windows": result.global_step * _windows_per_step(recipe, processes),
        "train_loss": result.training_loss,
        "elapsed_s": round(clock.elapsed_s, 1),
        "trained_parameters": trainable,
    }
    if validation:
        if trainer.evaluated_step != result.global_step:
            trainer.evaluate()
        metrics["validation"] = trainer.scores
    if _is_first_process():
        if validation:
            _write_predictions(recipe.output / "predictions.jsonl", trainer.predictions)
        save_adapter(model, recipe.base, recipe.output / "adapter")
    return metrics


def _silence_default_progress(trainer: Any) -> None:
    """The trainer's own printing of logs goes to standard output, which is not for progress."""
    from transformers import PrinterCallback

    trainer.remove_callback(PrinterCallback)


def _write_predictions(path: Path, predictions: list[tuple[str, str]]) -> None:
    with path.open("w", encoding="utf-8") as lines:
        for reference, hypothesis in predictions:
            lines.write(json.dumps({"reference": reference, "hypothesis": hypothesis}, ensure_ascii=False) + "\n")


def _merge(recipe: Recipe, scorer: Scorer, report: Report) -> dict[str, Any]:
    from evoxtral.training.adapters import merge_adapter
    from evoxtral.training.family import load_family

    merge_adapter(load_family(recipe), recipe.output / "adapter", recipe.output / "merged")
    return {}


def _export(recipe: Recipe, scorer: Scorer, report: Report) -> dict[str, Any]:
    from evoxtral.training.export import export_ctranslate2

    assert recipe.export is not None
    folder = recipe.output / "export"
    export_ctranslate2(recipe.output / "merged", folder, base=recipe.base, quantization=recipe.export.quantization)
    size = sum(path.stat().st_size for path in folder.iterdir())
    report(f"export: {size / 1e6:.1f} MB in {folder}")
    return {"bytes": size}


# Stages that all processes of a distributed run work on together; the first does the others alone.
_SHARED_STAGES = ("sft",)
_STAGES: dict[str, Callable[[Recipe, Scorer, Report], dict[str, Any]]] = {
    "sft": _sft,
    "merge": _merge,
    "export": _export,
}
