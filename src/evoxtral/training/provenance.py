"""Where weights come from: configuration, seed, code, packages, machine and metrics, in one JSON file beside them."""

import json
import platform
import subprocess
import sys
import time
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import evoxtral
from evoxtral.data.files import write_atomically
from evoxtral.training.changes import recipe_digest
from evoxtral.training.recipe import Recipe

FILE_NAME = "provenance.json"
_POLL_S = 0.5
_PACKAGES = (
    "accelerate",
    "bitsandbytes",
    "ctranslate2",
    "evoxtral",
    "numpy",
    "peft",
    "tokenizers",
    "torch",
    "transformers",
)


class Provenance:
    """The record of one run. Each finished stage is written down at once, so it is also what a resume goes by.

    Args:
        recipe: the run's recipe; its output folder holds the file.
    """

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._path = recipe.output / FILE_NAME
        self._content: dict[str, Any] = {"stages": self._written_stages()}
        self._content["recipe"] = recipe.model_dump(mode="json")
        self._content["seed"] = recipe.seed

    @property
    def content(self) -> Mapping[str, Any]:
        """All of it, as it is written."""
        return self._content

    @property
    def stages(self) -> dict[str, Any]:
        """Finished stages by name, each with its metrics."""
        stages: dict[str, Any] = self._content["stages"]
        return stages

    def wait_for(self, stage: str) -> None:
        """Wait until another process has finished a stage and written it down."""
        while stage not in self.stages:
            time.sleep(_POLL_S)
            self._content["stages"] = self._written_stages()

    def finish(
        self, stage: str, metrics: dict[str, Any], *, outdated: Collection[str] = (), write: bool = True
    ) -> None:
        """Record that a stage ended, with the code and machine that ran it; one process of many writes it down.

        Args:
            outdated: stages that were built on what the stage made before, and are no longer finished.
        """
        for name in outdated:
            self.stages.pop(name, None)
        self.stages[stage] = {
            "recipe_sha256": recipe_digest(self._recipe, stage),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            "metrics": metrics,
            "git_revision": git_revision(),
            "packages": package_versions(),
            "machine": machine(),
        }
        if not write:
            return
        write_atomically(self._path, (json.dumps(self._content, indent=2) + "\n").encode())

    def _written_stages(self) -> dict[str, Any]:
        """Finished stages as they were written down, less those that the recipe describes no more."""
        if not self._path.is_file():
            return {}
        written: dict[str, Any] = json.loads(self._path.read_text(encoding="utf-8"))["stages"]
        return {
            name: stage
            for name, stage in written.items()
            if stage.get("recipe_sha256") == recipe_digest(self._recipe, name)
        }


def git_revision() -> str | None:
    """Commit of the checkout that this package runs from, with "+changes" if it differs from it; None elsewhere."""
    folder = Path(evoxtral.__file__).parent

    def git(*arguments: str) -> str:
        return subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--", str(folder)) else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def package_versions() -> dict[str, str]:
    """Versions of the packages that shape a result; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    found.setdefault("evoxtral", evoxtral.__version__)
    return found


def machine() -> str:
    """The device that trains, in words."""
    if "torch" in sys.modules:
        import torch

        if torch.cuda.is_available():
            return f"{torch.cuda.device_count()} x {torch.cuda.get_device_name()}"
    return f"{platform.machine()} CPU"
