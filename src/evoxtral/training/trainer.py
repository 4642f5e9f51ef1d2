"""The trainer of every family: transformers' `Trainer` with batches made on the device, a wall clock and real scores.

Knows optimisation, checkpoints and evaluation by transcription; knows no family by name, no recipe stages and no
data sources.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object, send_to_device
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, SequentialSampler, Subset
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState

from evoxtral.training.batches import Batch
from evoxtral.training.objectives import Objective
from evoxtral.training.packing import Window
from evoxtral.training.quick_scores import Scorer
from evoxtral.training.recipe import Augmentation
from evoxtral.training.run_context import Report
from evoxtral.training.tracking import SampleLog
from evoxtral.training.trainee import Trainee


def cosine_with_warmup(progress: float, warmup: float) -> float:
    """Factor of the learning rate at a point of the run, both in [0, 1]: linear rise, then half a cosine down to 0."""
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (progress - warmup) / max(1 - warmup, 1e-9))))


class WallClock(TrainerCallback, ExportableState):  # type: ignore[misc]
    """Ends training when its minutes are used up; time before a kill counts, time between does not.

    Every process follows the clock of the first, so that all have one learning rate and stop together.
    """

    def __init__(self, budget_s: float | None) -> None:
        self.budget_s = budget_s
        self.elapsed_s = 0.0
        self._before_s = 0.0
        self._started_s: float | None = None

    @property
    def progress(self) -> float:
        """Share of the budget that is used up; 0 without one."""
        return self.elapsed_s / self.budget_s if self.budget_s is not None else 0.0

    def state(self) -> dict[str, Any]:
        return {"args": {"budget_s": self.budget_s}, "attributes": {"elapsed_s": self.elapsed_s}}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        saved = state.stateful_callbacks.get(type(self).__name__, {})
        self._before_s = saved.get("attributes", {}).get("elapsed_s", 0.0)
        self._started_s = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        assert self._started_s is not None
        self.elapsed_s = self._before_s + time.monotonic() - self._started_s
        if self.budget_s is None:
            return
        if torch.distributed.is_initialized():
            first = torch.tensor([self.elapsed_s], device=args.device)
            torch.distributed.broadcast(first, src=0)
            self.elapsed_s = first.item()
        if self.elapsed_s >= self.budget_s:
            control.should_training_stop = True
            control.should_save = True


class Reporter(TrainerCallback):  # type: ignore[misc]
    """Says in one line how training goes and how long it still takes, each time that the trainer logs."""

    def __init__(self, report: Report, windows_per_step: int, clock: WallClock) -> None:
        self._report = report
        self._windows_per_step = windows_per_step
        self._clock = clock
        self._last: tuple[int, float] | None = None

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        if not state.is_world_process_zero or logs is None:
            return
        now = time.monotonic()
        figures = {name: value for name, value in logs.items() if isinstance(value, int | float) and name != "epoch"}
        line = " ".join(f"{name} {value:.4g}" for name, value in figures.items())
        if "loss" in logs and self._last is not None and now > self._last[1]:
            rate = (state.global_step - self._last[0]) * self._windows_per_step / (now - self._last[1])
            progress = max(state.global_step / state.max_steps, self._clock.progress)
            left_s = self._clock.elapsed_s * (1 / progress - 1)
            line += f" windows/s {rate:.1f} left {left_s / 60:.1f} min"
        self._last = (state.global_step, now)
        self._report(f"step {state.global_step}/{state.max_steps} {line}")


class SpeechTrainer(Trainer):  # type: ignore[misc]
    """Trains one adapter on a plan of windows.

    Args:
        trainee: makes batches and logits.
        items: the whole run in order: windows, or what else `collate` takes.
        collate: makes a batch of items.
        validation: windows to transcribe at each evaluation; their texts are the references.
        objective: what is minimised.
        clock: ends the run; the learning rate follows it or the steps, whichever is further.
        warmup: share of the run in which the learning rate rises.
        scorer: what evaluation measures.
        max_new_tokens: limit on what one validation window may become.
        on_predictions: is given the predictions of each evaluation.

    Attributes:
        predictions: (reference, hypothesis) of each validation window at the last evaluation.
        scores: what the scorer gave for them.
        evaluated_step: the step at which that was.
    """

    control: TrainerControl

    def __init__(
        self,
        *,
        model: Any,
        args: TrainingArguments,
        trainee: Trainee,
        items: Any,
        collate: Callable[[Sequence[Any]], Batch],
        validation: Sequence[Window],
        objective: Objective,
        clock: WallClock,
        warmup: float,
        augmentation: Augmentation | None,
        scorer: Scorer,
        max_new_tokens: int,
        on_predictions: SampleLog | None = None,
        callbacks: Sequence[TrainerCallback] = (),
    ) -> None:
        self.trainee = trainee
        self.clock = clock
        self.predictions: list[tuple[str, str]] = []
        self.scores: dict[str, float] = {}
        self.evaluated_step = -1
        self._warmup = warmup
        self._augmentation = augmentation
        self._objective = objective
        self._scorer = scorer
        self._on_predictions = on_predictions
        self._max_new_tokens = max_new_tokens
        super().__init__(
            model=model,
            args=args,
            train_dataset=items,
            eval_dataset=list(validation),
            data_collator=collate,
            callbacks=[clock, *callbacks],
            # Tells the base class that the loss is already divided by all target tokens of a step.
            compute_loss_func=torch.nn.functional.cross_entropy,
        )

    def _get_train_sampler(self, train_dataset: Any = None) -> SequentialSampler:
        return SequentialSampler(self.train_dataset if train_dataset is None else train_dataset)

    def create_scheduler(self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None) -> LambdaLR:
        def factor(step: int) -> float:
            # Step 0 would stand still: each step has the rate of its end.
            return cosine_with_warmup(max((step + 1) / (num_training_steps + 1), self.clock.progress), self._warmup)

        self.lr_scheduler: LambdaLR | None
        if self.lr_scheduler is None:
            self.lr_scheduler = LambdaLR(self.optimizer if optimizer is None else optimizer, factor)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def floating_point_ops(self, inputs: Batch) -> int:
        """Not counted: the base class would walk over all parameters at every step."""
        return 0

    def get_batch_samples(
        self, epoch_iterator: Iterator[Batch], num_batches: int, device: torch.device
    ) -> tuple[list[Batch], torch.Tensor | None]:
        """The batches of one step, and the number of the objective's units in them over all processes."""
        batches = list(islice(epoch_iterator, num_batches))
        if not batches:
            return batches, None
        count = torch.stack([self._objective.count(batch).to(device) for batch in batches]).sum()
        return batches, self.accelerator.gather(count).sum()

    def compute_loss(
        self,
        model: Any,
        inputs: Batch,
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """This batch's part of the step's mean loss."""
        objective = self._objective
        output = self.trainee.token_logits(model, inputs, self._augmentation, with_base=objective.needs_base)
        assert num_items_in_batch is not None
        # Gradients are averaged over processes afterwards.
        loss: torch.Tensor = objective.total(output, inputs) / num_items_in_batch * self.accelerator.num_processes
        return loss

    def evaluate(
        self, eval_dataset: Sequence[Window] | None = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Transcribe the validation windows, greedily, and score the texts; each process takes its share."""
        started_s = time.monotonic()
        windows: Sequence[Window] = self.eval_dataset if eval_dataset is None else eval_dataset
        own = range(self.accelerator.process_index, len(windows), self.accelerator.num_processes)
        loader: DataLoader[Batch] = DataLoader(
            Subset(windows, own),  # type: ignore[arg-type]
            batch_size=self.args.per_device_eval_batch_size,
            collate_fn=self.trainee.collate,
        )
        model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
        model.eval()
        pairs: list[tuple[int, str]] = []
        for batch in loader:
            on_device = send_to_device(batch, self.args.device)
            with self.accelerator.autocast():
                texts = self.trainee.transcribe(model.get_base_model(), on_device, self._max_new_tokens)
            pairs += zip(own[len(pairs) :], texts, strict=False)
        if self.accelerator.num_processes > 1:
            pairs = sorted(gather_object(pairs))
        self.predictions = [(windows[index].text, text) for index, text in pairs]
        self.evaluated_step = self.state.global_step
        scores = self._scorer(*zip(*self.predictions, strict=True))
        self.scores = {name: float(value) for name, value in scores.items()}
        metrics = {f"{metric_key_prefix}_{name}": float(value) for name, value in self.scores.items()}
        metrics[f"{metric_key_prefix}_runtime"] = time.monotonic() - started_s
        self.log(metrics)
        if self._on_predictions is not None and self.is_world_process_zero():
            self._on_predictions(self.state.global_step, self.predictions)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def last_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end (the trainer's state is the last of its files)."""
    complete = [path.parent for path in folder.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda path: int(path.name.rpartition("-")[2]), default=None)
