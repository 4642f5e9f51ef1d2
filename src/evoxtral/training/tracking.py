"""Experiment tracking: Weights & Biases, TensorBoard or none. Knows trackers and windows, nothing of training.

Losses, scores and checkpoints go through transformers' own callbacks; this opens and closes the run around them, and
adds what the model wrote for some validation clips, with their audio.
"""

import importlib.util
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.training.packing import Window
from evoxtral.training.recipe import Recipe
from evoxtral.training.run_context import Report, is_first_process

Predictions = Sequence[tuple[str, str]]
SampleLog = Callable[[int, Predictions], None]
"""Takes the step and (reference, hypothesis) of each validation window, at each evaluation."""

PROJECT = "evoxtral"


def prepare_tracker(recipe: Recipe, report: Report) -> None:
    """Make sure that the recipe's tracker is there, and tell it where its files go: to the recipe's output folder.

    Weights & Biases: checkpoints become artifacts and the project is named "evoxtral" unless `WANDB_LOG_MODEL` and
    `WANDB_PROJECT` say otherwise. Without a key all its runs, the bench's too, are kept in files, which `wandb sync`
    can upload later.

    Raises:
        ModelError: the tracker is not installed.
    """
    if recipe.tracker == "tensorboard":
        if importlib.util.find_spec("tensorboard") is None:
            raise ModelError("the recipe's tracker needs TensorBoard", "pip install 'evoxtral[train]'")
        # One place for all runs of a recipe, where `tensorboard --logdir` of the output folder finds it.
        os.environ["TENSORBOARD_LOGGING_DIR"] = str(recipe.output / "tensorboard")
    if recipe.tracker != "wandb" or not is_first_process():
        return
    try:
        import wandb
    except ImportError:
        raise ModelError("the recipe's tracker needs wandb", "pip install 'evoxtral[wandb]'") from None
    os.environ.setdefault("WANDB_PROJECT", PROJECT)
    os.environ.setdefault("WANDB_LOG_MODEL", "checkpoint")
    os.environ.setdefault("WANDB_DIR", str(recipe.output))
    if "WANDB_MODE" not in os.environ and not wandb.login(prompt=False, verify=False):
        os.environ["WANDB_MODE"] = "offline"
        wandb.teardown()  # it has read the environment already
        report(f"wandb: no key, so runs are kept in {recipe.output / 'wandb'} (`wandb login`, then `wandb sync`)")


@contextmanager
def tracked(recipe: Recipe, validation: Sequence[Window]) -> Iterator[SampleLog | None]:
    """Open the recipe's tracker, which `prepare_tracker` made sure of, for a stage; gives what logs sample predictions.

    None where the tracker, or this process, logs no samples.
    """
    if recipe.tracker != "wandb" or not is_first_process():
        yield None
        return
    import wandb

    tracker = wandb.init(name=recipe.name, config={"recipe": recipe.model_dump(mode="json")})

    def log(step: int, predictions: Predictions) -> None:
        chosen = list(zip(validation, predictions, strict=True))[: recipe.evaluation.samples]
        # Beside the table, because a run that is not uploaded does not keep sounds inside tables.
        sounds = [
            wandb.Audio(window.samples, sample_rate=SAMPLE_RATE_HZ, caption=f"said: {said} | written: {written}")
            for window, (said, written) in chosen
        ]
        table = wandb.Table(columns=["said", "written"], data=[list(texts) for _, texts in chosen])
        tracker.log({"eval/samples": sounds, "eval/predictions": table, "train/global_step": step})

    try:
        yield log
    finally:
        tracker.finish()
