"""The transcription engines that there are: one row each, found in the modules beside this one.

An engine is a module (or package) of this folder that defines `ENGINE`, an `EngineRow`; it imports nothing heavy until
its row is asked to probe or to load. `load_engine`, `doctor` and the command line read the rows and name no engine.
Knows rows; knows nothing of models, files or sound.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from evoxtral.errors import ModelError
from evoxtral.findings import Finding, is_importable
from evoxtral.inference.engines.protocol import TranscriptionEngine


@dataclass(frozen=True, slots=True)
class Weights:
    """Local weights that were named: the model's folder, and that of an adapter or None."""

    folder: Path
    adapter: Path | None = None


@dataclass(frozen=True, slots=True)
class EngineRequest:
    """What an engine is loaded for.

    Attributes:
        model: the model's name as the user gave it, which the transcript repeats.
        adapter: the adapter's name as the user gave it.
        weights: where the weights lie; None for engines that are named by `EngineRow.claims_name`.
        compiled: whether to compile what can be compiled.
        offline: whether the network must not be used.
        delay_ms: how long a model that writes while it hears listens on before it writes a word; None for its own.
    """

    model: str
    adapter: str | None = None
    weights: Weights | None = None
    compiled: bool = False
    offline: bool = False
    delay_ms: int | None = None


def _claims_no_name(name: str) -> bool:
    return False


def _claims_no_folder(folder: Path) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine.

    Attributes:
        name: what `doctor` calls it, and the key of the row.
        named_by: one line for the help of `--model`: what names a model of this engine.
        extra: the optional group of packages that it needs (`pip install 'evoxtral[EXTRA]'`); None: always there.
        probe: looks whether it can run here: at packages and devices; loads no model and calls nobody.
        load: makes the engine. Raises ModelError: a package is missing, or the model cannot be used.
        claims_name: whether a model's name is for this engine, no weights being on this machine (an address).
        claims_folder: whether a folder of weights is for this engine. Rows are asked in the order of `order`.
        takes_adapters: whether it merges adapters into weights.
        takes_delay: whether some of its models write while they hear.
        order: rows with a smaller number are asked and listed first.
    """

    name: str
    named_by: str
    extra: str | None
    probe: Callable[[], Finding]
    load: Callable[[EngineRequest], TranscriptionEngine]
    claims_name: Callable[[str], bool] = _claims_no_name
    claims_folder: Callable[[Path], bool] = _claims_no_folder
    takes_adapters: bool = False
    takes_delay: bool = False
    order: int = 50


def engines() -> tuple[EngineRow, ...]:
    """All rows in order: of the modules of this folder, and those that were registered."""
    package: Any = importlib.import_module(__package__)
    modules = (
        importlib.import_module(f"{__package__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    )
    rows = {row.name: row for module in modules if isinstance(row := getattr(module, "ENGINE", None), EngineRow)}
    return tuple(sorted((rows | _REGISTERED).values(), key=lambda row: (row.order, row.name)))


def register_engine(row: EngineRow) -> None:
    """Add an engine that is no module of this folder; one of the same name is replaced."""
    _REGISTERED[row.name] = row


def no_delay(model: str) -> ModelError:
    """The error for a model that has no delay to choose."""
    return ModelError(f"{model}: has no delay to choose", "only Voxtral Realtime models write while they hear")


def missing_packages(*modules: str) -> list[str]:
    """Which modules cannot be imported; imports none."""
    return [module for module in modules if not is_importable(module)]


_REGISTERED: dict[str, EngineRow] = {}
