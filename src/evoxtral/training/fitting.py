"""Sets up the trainer for a stage: devices, precision, loaders, checkpoints, logs, trackers. Knows no data sources."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainingArguments

from evoxtral.cpu import usable_cores
from evoxtral.training.adapters import set_alpha
from evoxtral.training.batches import Batch
from evoxtral.training.objectives import Objective
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Augmentation, Optimisation, Recipe
from evoxtral.training.run_context import Run, process_count
from evoxtral.training.tracking import tracked
from evoxtral.training.trainee import Trainee
from evoxtral.training.trainer import Reporter, SpeechTrainer, WallClock, last_checkpoint

# Each worker holds two batches ahead in shared memory (60 MB each for 64 windows of 30 s).
_MOST_WORKERS = 8
_LOGS_A_RUN = 100


@dataclass(frozen=True, slots=True)
class Material:
    """What a stage trains on.

    Attributes:
        items: the whole run in order; one item is what `collate` takes a batch of.
        validation: windows that evaluations transcribe.
        augmentation: changes of the sound, or None.
    """

    items: Any
    collate: Callable[[Sequence[Any]], Batch]
    validation: Sequence[Window]
    augmentation: Augmentation | None = None


def fit(
    run: Run,
    trainee: Trainee,
    model: Any,
    material: Material,
    objective: Objective,
    choice: Optimisation,
    checkpoints: Path,
) -> dict[str, Any]:
    """Train `model`, continuing from the newest complete checkpoint if there is one, and evaluate it at the end.

    The adapter comes out, and is evaluated, at the strength that the recipe releases.

    Returns:
        Steps, items, loss, time, and the scores on the validation windows.
    """
    recipe = run.recipe
    torch.set_float32_matmul_precision("high")
    per_step = choice.batch_size * choice.accumulation * process_count()
    steps = math.ceil(len(material.items) / per_step)
    clock = WallClock(None if choice.max_minutes is None else choice.max_minutes * 60)
    checkpoint = last_checkpoint(checkpoints)
    if checkpoint is not None:
        run.report(f"continuing from {checkpoint.name}")
    with tracked(recipe, material.validation) as on_predictions:
        trainer = SpeechTrainer(
            model=model,
            args=_arguments(recipe, choice, checkpoints, steps, evaluated=bool(material.validation)),
            trainee=trainee,
            items=material.items,
            collate=material.collate,
            validation=material.validation,
            objective=objective,
            clock=clock,
            warmup=choice.warmup,
            augmentation=material.augmentation,
            scorer=run.scorer,
            max_new_tokens=recipe.evaluation.max_new_tokens,
            on_predictions=on_predictions,
            callbacks=[Reporter(run.report, per_step, clock)],
        )
        # It would print each log to standard output, which is not for progress.
        trainer.remove_callback(PrinterCallback)
        result = trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
        metrics: dict[str, Any] = {
            "steps": result.global_step,
            "items": result.global_step * per_step,
            "train_loss": result.training_loss,
            "elapsed_s": round(clock.elapsed_s, 1),
            "trained_parameters": sum(weight.numel() for weight in model.parameters() if weight.requires_grad),
        }
        rescaled = set_alpha(model, recipe.lora.released_alpha)
        if material.validation:
            if rescaled or trainer.evaluated_step != result.global_step:
                trainer.evaluate()
            metrics["validation"] = trainer.scores
            metrics["predictions"] = trainer.predictions
    return metrics


def _arguments(
    recipe: Recipe, choice: Optimisation, checkpoints: Path, steps: int, *, evaluated: bool
) -> TrainingArguments:
    on_gpu = torch.cuda.is_available()
    workers = choice.workers
    if workers is None:
        workers = min(_MOST_WORKERS, usable_cores() // process_count()) if on_gpu else 0
    return TrainingArguments(
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
        eval_strategy="steps" if evaluated and recipe.evaluation.every_steps else "no",
        eval_steps=recipe.evaluation.every_steps,
        per_device_eval_batch_size=recipe.evaluation.batch_size,
        save_strategy="steps",
        save_steps=recipe.checkpoints.every_steps,
        save_total_limit=recipe.checkpoints.keep,
        logging_steps=max(1, steps // _LOGS_A_RUN),
        logging_first_step=True,
        logging_nan_inf_filter=False,  # would wait for the device at every step
        disable_tqdm=True,
        report_to=recipe.tracker,
        run_name=recipe.name,
        remove_unused_columns=False,
        label_names=["labels"],
        ddp_find_unused_parameters=False,
    )
