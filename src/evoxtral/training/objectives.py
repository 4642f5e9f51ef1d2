"""What training minimises: a sum over something that can be counted beforehand, so that a step's loss is its mean.

The trainer divides by the count over all batches and processes of a step, so results do not depend on how it is cut.
"""

from collections.abc import Callable
from typing import Protocol

import torch

from evoxtral.training.batches import IGNORED, Batch, TokenLogits
from evoxtral.training.losses import divergence, mean_log_probabilities

PairLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


class Objective(Protocol):
    """A loss that is a mean over the units of a step."""

    needs_base: bool
    """Whether it looks at what the model without its adapter says."""

    def count(self, batch: Batch) -> torch.Tensor:
        """Units in a batch, an integer of no dimensions."""
        ...

    def total(self, output: TokenLogits, batch: Batch) -> torch.Tensor:
        """Sum of the units' losses."""
        ...


class TokenCrossEntropy:
    """Supervised fine-tuning: cross entropy, its units the target tokens. Every token weighs the same.

    Args:
        anchor: weight of the divergence from the base model's predictions on windows with words and no tags, so that
            plain speech stays what it was (learning without forgetting, arXiv 1606.09282).
    """

    def __init__(self, anchor: float = 0.0) -> None:
        self._anchor = anchor
        self.needs_base = anchor > 0

    def count(self, batch: Batch) -> torch.Tensor:
        count: torch.Tensor = (batch["labels"] != IGNORED).sum()
        return count

    def total(self, output: TokenLogits, batch: Batch) -> torch.Tensor:
        logits, targets = output.logits.flatten(0, 1).float(), output.targets.flatten()
        total = torch.nn.functional.cross_entropy(logits, targets, ignore_index=IGNORED, reduction="sum")
        if output.base_logits is not None:
            plain = batch["plain"]
            each = divergence(output.logits[plain], output.base_logits)
            total = total + self._anchor * (each * (output.targets[plain] != IGNORED)).sum()
        return total


class PairPreference:
    """A preference loss; its units are a batch's pairs: the first half of its rows chosen, the second rejected."""

    needs_base = False

    def __init__(self, loss: PairLoss) -> None:
        self._loss = loss

    def count(self, batch: Batch) -> torch.Tensor:
        return torch.tensor(len(batch["labels"]) // 2)

    def total(self, output: TokenLogits, batch: Batch) -> torch.Tensor:
        chosen, rejected = mean_log_probabilities(output.logits, output.targets).chunk(2)
        return self._loss(chosen, rejected).sum()
