"""One run of a recipe, as its stages see it: what was asked for, what is done, and how to report."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from evoxtral.training.provenance import Provenance
from evoxtral.training.quick_scores import Scorer
from evoxtral.training.recipe import Recipe

Report = Callable[[str], None]
Reward = Callable[[str, str], float]
"""How good a hypothesis is against its reference, both tagged texts; higher is better."""
Measure = Callable[[Recipe, Path, Path], dict[str, float]]
"""Runs the bench of a recipe: takes an adapter's folder and the folder to report into, gives the figures by name."""
Form = Literal["adapter", "merged", "export"]
"""What a folder of a run's weights holds."""
WriteCard = Callable[[Mapping[str, Any], Form, Path, Path | None], None]
"""Writes the model card of a folder of weights: takes the run's record (`provenance.json`), the form, the folder, and
the folder of the bench's report about these very weights, if there is one."""


@dataclass(frozen=True, slots=True)
class Run:
    """A recipe under way.

    Attributes:
        record: what is finished.
        scorer: what evaluations measure.
        reward: what preferences are made by; None where the caller has none.
        measure: runs the bench; None where the caller has none.
        write_card: writes a model card; None where the caller has none.
        report: is told in single lines how it goes.
    """

    recipe: Recipe
    record: Provenance
    scorer: Scorer
    reward: Reward | None
    measure: Measure | None
    write_card: WriteCard | None
    report: Report

    @property
    def sft_adapter(self) -> Path:
        return self.recipe.output / "adapter"

    @property
    def preference_adapter(self) -> Path:
        return self.recipe.output / "adapter-preference"

    @property
    def preference_trained(self) -> bool:
        """Whether the preference stage ran and was needed."""
        return bool(self.metrics("preference").get("steps"))

    @property
    def final_adapter(self) -> Path:
        """The adapter of the last stage that trained one."""
        return self.preference_adapter if self.preference_trained else self.sft_adapter

    def metrics(self, stage: str) -> dict[str, Any]:
        """What a finished stage measured; nothing of a stage that is not finished."""
        found: dict[str, Any] = self.record.stages.get(stage, {}).get("metrics", {})
        return found


def is_first_process() -> bool:
    """Whether this process writes the files; as torchrun and accelerate tell it, long before torch is imported."""
    return os.environ.get("RANK", "0") == "0"


def process_count() -> int:
    """Processes that train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))
