"""One run of a recipe, as its stages see it: what was asked for, what is done, and how to report."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from evoxtral.training.provenance import Provenance
from evoxtral.training.recipe import Recipe
from evoxtral.training.scoring import Scorer

Report = Callable[[str], None]
Reward = Callable[[str, str], float]
"""How good a hypothesis is against its reference, both tagged texts; higher is better."""


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe under way.

    Attributes:
        record: what is finished.
        scorer: what evaluations measure.
        reward: what preferences are made by; None where the caller has none.
        report: is told in single lines how it goes.
    """

    recipe: Recipe
    record: Provenance
    scorer: Scorer
    reward: Reward | None
    report: Report

    @property
    def sft_adapter(self) -> Path:
        return self.recipe.output / "adapter"

    @property
    def preference_adapter(self) -> Path:
        return self.recipe.output / "adapter-preference"

    @property
    def final_adapter(self) -> Path:
        """The adapter of the last stage that trained one."""
        trained = self.record.stages.get("preference", {}).get("metrics", {}).get("steps", 0)
        return self.preference_adapter if trained else self.sft_adapter


def is_first_process() -> bool:
    """Whether this process writes the files; as torchrun and accelerate tell it, long before torch is imported."""
    return os.environ.get("RANK", "0") == "0"


def process_count() -> int:
    """Processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
