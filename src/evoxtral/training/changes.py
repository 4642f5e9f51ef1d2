"""Which stages a change of the recipe touches: what makes a finished stage old, and what a resume must refuse.

    name, bench                                        the bench's stages and the cards
    license                                            the cards
    dataset of a source                                data and the cards
    preference                                         the preference stage and all that is made of its adapter
    export                                             the export and its card
    base_folder, output, tracker, checkpoints, data.made_by, optimisation.workers, evaluation but max_new_tokens
                                                       nothing: they say where and how, not what comes out
    everything else                                    the supervised stage, whose weights are never overwritten

Knows recipes and names of stages; runs nothing.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from evoxtral.training.recipe import Recipe

USES: Final[dict[str, tuple[str, ...]]] = {
    "bench": ("sft",),
    "preference": ("sft",),
    "bench-preference": ("preference",),
    "merge": ("sft", "preference"),
    "export": ("merge",),
    "card": ("data", "sft", "bench", "preference", "bench-preference", "merge", "export"),
}
"""Whose work a stage uses. The bench only decides whether the preference stage is needed."""

# The first pattern that matches a field's whole dotted name says what it touches.
_TOUCHED: Final[tuple[tuple[str, tuple[str, ...]], ...]] = (
    (r"base_folder|output|tracker|checkpoints\..*|data\.made_by|optimisation\.workers", ()),
    (r"evaluation\.(every_steps|batch_size|samples)", ()),
    (r"(data|preference)\..*\.dataset", ("data",)),
    (r"name", ("bench", "bench-preference", "card")),
    (r"bench(\..*)?", ("bench", "bench-preference")),
    (r"license", ("card",)),
    (r"preference\.sources(\..*)?", ("data", "preference")),
    (r"preference(\..*)?", ("preference",)),
    (r"export(\..*)?", ("export",)),
    (r"family|data\..*", ("data", "sft")),
    (r".*", ("sft",)),
)


def outdated_by(stage: str) -> set[str]:
    """Stages that use what a stage makes, directly or not."""
    found = {name for name, used in USES.items() if stage in used}
    return found.union(*(outdated_by(name) for name in found))


def recipe_digest(recipe: Recipe, stage: str) -> str:
    """SHA-256 over the fields that a stage's result depends on, its own and those of the stages that it uses."""
    used = {name for name in _all_stages() if stage in outdated_by(name)} | {stage}
    fields = {field: value for field, value in _leaves(_dumped(recipe)) if used.intersection(_touched(field))}
    return hashlib.sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()


def describe_changes(old: Mapping[str, Any], new: Recipe, stage: str) -> list[str]:
    """What differs between a written recipe and another in the fields that touch a stage: "field old -> new"."""
    before, after = dict(_leaves(old)), dict(_leaves(_dumped(new)))
    fields = [*after, *(field for field in before if field not in after)]
    return [
        f"{field} {_shown(before, field)} -> {_shown(after, field)}"
        for field in fields
        if before.get(field) != after.get(field) and stage in _touched(field)
    ]


def _all_stages() -> Iterable[str]:
    return {name for stage, used in USES.items() for name in (stage, *used)}


def _touched(field: str) -> tuple[str, ...]:
    return next(stages for pattern, stages in _TOUCHED if re.fullmatch(pattern, field))


def _dumped(recipe: Recipe) -> dict[str, Any]:
    return recipe.model_dump(mode="json")


def _leaves(content: Any, field: str = "") -> Iterator[tuple[str, Any]]:
    """All values with their dotted names; an empty list holds none."""
    if isinstance(content, Mapping | list):
        for name, value in content.items() if isinstance(content, Mapping) else enumerate(content):
            yield from _leaves(value, f"{field}.{name}" if field else str(name))
    else:
        yield field, content


def _shown(fields: Mapping[str, Any], field: str) -> str:
    return "nothing" if field not in fields else " ".join(str(fields[field]).split())[:60]
