"""The supervised stage: an adapter learns to write the tagged texts of the training clips."""

import json
from typing import Any

from transformers import set_seed

from evoxtral.data.files import write_atomically
from evoxtral.training.adapters import add_adapter, save_adapter
from evoxtral.training.clips import load_clips
from evoxtral.training.dry_run import plan_windows
from evoxtral.training.fitting import Material, fit
from evoxtral.training.objectives import TokenCrossEntropy
from evoxtral.training.packing import Window
from evoxtral.training.run_context import Run, is_first_process, process_count
from evoxtral.training.trainee import load_trainee


def train_supervised(run: Run) -> dict[str, Any]:
    """The stage: writes `adapter/` and, with validation clips, `predictions.jsonl`."""
    recipe, choice = run.recipe, run.recipe.optimisation
    set_seed(recipe.seed)
    trainee = load_trainee(recipe)
    model = add_adapter(trainee, recipe.lora)
    if choice.checkpointing:
        trainee.checkpoint_activations()
    if choice.compile:
        trainee.compile()
    trainable, total = model.get_nb_trainable_parameters()
    run.report(f"{trainable:,} of {total:,} parameters are trained")
    clips, left_out = load_clips(recipe.data.train, max_clip_s=trainee.max_window_s)
    hours = sum(clip.duration_s for clip in clips) / 3600
    run.report(f"{len(clips)} training clips, {hours:.2f} h; {left_out} too long")
    windows = plan_windows(recipe, clips, trainee.max_window_s, process_count())
    validation: list[Window] = []
    if recipe.data.validation:
        heard, left_out = load_clips(recipe.data.validation, max_clip_s=trainee.max_window_s)
        run.report(f"{len(heard)} validation clips; {left_out} too long")
        validation = [Window(clip.samples, clip.text) for clip in heard]
    changes = recipe.augmentation
    augmentation = changes if any(changes.model_dump(exclude={"speed"}).values()) else None
    material = Material(windows, trainee.collate, validation, augmentation)
    objective = TokenCrossEntropy(choice.anchor)
    metrics = fit(run, trainee, model, material, objective, choice, recipe.output / "checkpoints")
    if is_first_process():
        if validation:
            pairs = [{"reference": said, "hypothesis": heard} for said, heard in metrics.pop("predictions")]
            content = "".join(json.dumps(pair, ensure_ascii=False) + "\n" for pair in pairs)
            write_atomically(recipe.output / "predictions.jsonl", content.encode())
        save_adapter(model, recipe.base, run.sft_adapter)
    return metrics
