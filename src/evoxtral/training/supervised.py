"""The supervised stage: an adapter learns to write the tagged texts of the training clips."""

import json
import shutil
from collections.abc import Sequence
from typing import Any

from transformers import set_seed

from evoxtral.data.files import write_atomically
from evoxtral.inference.engines.loading import load_packaged_engine
from evoxtral.training.adapters import add_adapter, save_adapter
from evoxtral.training.clips import TrainingClip, load_clips
from evoxtral.training.dry_run import plan_windows
from evoxtral.training.fitting import Material, fit
from evoxtral.training.objectives import TokenCrossEntropy
from evoxtral.training.packing import Window, WindowPlan
from evoxtral.training.run_context import Run, is_first_process, process_count
from evoxtral.training.trainee import Trainee, load_trainee
from evoxtral.training.word_ends import with_ends


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
    clips = _with_ends(run, trainee, clips)
    windows = plan_windows(recipe, clips, trainee.max_window_s, process_count())
    validation: list[Window] = []
    heard: list[TrainingClip] = []
    if recipe.data.validation:
        heard, left_out = load_clips(recipe.data.validation, max_clip_s=trainee.max_window_s)
        run.report(f"{len(heard)} validation clips; {left_out} too long")
        heard = _with_ends(run, trainee, heard)
        validation = [Window(clip.samples, clip.text, clip.ends_s) for clip in heard]
    _keep_heard(run, trainee, windows, [*clips, *heard])
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


def _with_ends(run: Run, trainee: Trainee, clips: list[TrainingClip]) -> list[TrainingClip]:
    """The clips, with the times of their words where the model's targets need them."""
    if not trainee.writes_frames:
        return clips
    return with_ends(clips, load_packaged_engine(), language=run.recipe.language or "en", report=run.report)


def _keep_heard(run: Run, trainee: Trainee, windows: WindowPlan, clips: Sequence[TrainingClip]) -> None:
    """Have a frozen encoder's outputs kept on disk where the same sound comes again; else tell why they are not."""
    window_bytes = trainee.heard_bytes
    if window_bytes is None:
        return
    folder = run.recipe.output / "heard"
    encoder_windows = sum(max(1, -(-len(clip.samples) // trainee.speech.window_samples)) for clip in clips)
    needed, free = encoder_windows * window_bytes, shutil.disk_usage(run.recipe.output).free
    if any(run.recipe.augmentation.model_dump().values()):
        reason = "augmentation changes what is heard"
    elif run.recipe.packing.probability:
        reason = "packing puts each clip into another window each time"
    elif len(windows) <= windows.windows_per_epoch:
        reason = "one epoch hears each clip once"
    elif needed > free / 2:
        reason = f"they would take {needed / 1e9:.1f} GB of the {free / 1e9:.1f} GB that are free"
    else:
        run.report(f"the encoder's outputs are kept in {folder}: about {needed / 1e9:.1f} GB")
        trainee.keep_heard(folder)
        return
    run.report(f"the encoder's outputs are not kept: {reason}")
