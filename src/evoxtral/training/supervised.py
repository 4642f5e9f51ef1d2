"""The supervised stage: an adapter learns to write the tagged texts of the training clips."""

import json
from typing import Any

from transformers import set_seed

from evoxtral.training.adapters import add_adapter, save_adapter
from evoxtral.training.clips import load_clips
from evoxtral.training.dry_run import plan_windows
from evoxtral.training.family import load_family
from evoxtral.training.fitting import Material, fit
from evoxtral.training.objectives import TokenCrossEntropy
from evoxtral.training.packing import Window
from evoxtral.training.run_context import Run, is_first_process, process_count


def train_supervised(run: Run) -> dict[str, Any]:
    """The stage: writes `adapter/` and, with validation clips, `predictions.jsonl`."""
    recipe, choice = run.recipe, run.recipe.optimisation
    set_seed(recipe.seed)
    family = load_family(recipe)
    model = add_adapter(family, recipe.lora)
    if choice.checkpointing:
        family.checkpoint_activations()
    if choice.compile:
        family.compile()
    trainable, total = model.get_nb_trainable_parameters()
    run.report(f"{trainable:,} of {total:,} parameters are trained")
    clips, left_out = load_clips(recipe.data.train, max_clip_s=family.max_window_s)
    hours = sum(clip.duration_s for clip in clips) / 3600
    run.report(f"{len(clips)} training clips, {hours:.2f} h; {left_out} too long")
    windows = plan_windows(recipe, clips, family.max_window_s, process_count())
    validation: list[Window] = []
    if recipe.data.validation:
        heard, left_out = load_clips(recipe.data.validation, max_clip_s=family.max_window_s)
        run.report(f"{len(heard)} validation clips; {left_out} too long")
        validation = [Window(clip.samples, clip.text) for clip in heard]
    changes = recipe.augmentation
    augmentation = changes if any(changes.model_dump(exclude={"speed"}).values()) else None
    material = Material(windows, family.collate, validation, augmentation)
    metrics = fit(run, family, model, material, TokenCrossEntropy(choice.anchor), choice, recipe.output / "checkpoints")
    if is_first_process():
        if validation:
            with (recipe.output / "predictions.jsonl").open("w", encoding="utf-8") as lines:
                for reference, hypothesis in metrics.pop("predictions"):
                    line = {"reference": reference, "hypothesis": hypothesis}
                    lines.write(json.dumps(line, ensure_ascii=False) + "\n")
        save_adapter(model, recipe.base, run.sft_adapter)
    return metrics
