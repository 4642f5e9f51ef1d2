"""The model families that there are: found in the modules beside this one, and looked up by name or by `model_type`.

Knows rows and configuration files; imports no torch and loads nothing.
"""

import importlib
import json
import pkgutil
from pathlib import Path
from typing import Any

from evoxtral.errors import ModelError
from evoxtral.models.families.protocol import Family

_REGISTERED: dict[str, Family] = {}


def families() -> tuple[Family, ...]:
    """All rows by name: of the modules of this folder, and those that were registered."""
    package: Any = importlib.import_module(__package__)
    modules = (
        importlib.import_module(f"{__package__}.{found.name}") for found in pkgutil.iter_modules(package.__path__)
    )
    rows = {row.name: row for module in modules if isinstance(row := getattr(module, "FAMILY", None), Family)}
    return tuple(sorted((rows | _REGISTERED).values(), key=lambda row: row.name))


def register_family(row: Family) -> None:
    """Add a family that is no module of this folder; one of the same name is replaced."""
    _REGISTERED[row.name] = row


def find_family(name: str) -> Family:
    """The family of a name.

    Raises:
        ModelError: there is none.
    """
    for row in families():
        if row.name == name:
            return row
    raise ModelError(f"there is no model family {name!r}", f"families: {', '.join(row.name for row in families())}")


def family_in(folder: Path, *, name: str) -> Family | None:
    """The family of the model whose config.json lies in a folder; None if that names no type, or is not there.

    Args:
        name: what messages call the model.

    Raises:
        ModelError: the file is damaged, or the model is of a type that no family has.
    """
    path = folder / "config.json"
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        kind = content.get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{folder}: cannot be loaded: config.json is damaged", "check that it is whole, and of the kind meant"
        ) from error
    if kind is None:
        return None
    for row in families():
        if kind in row.model_types:
            return row
    *titles, last = (row.title for row in families())
    raise ModelError(f"{name}: is a {kind} model", f"{', '.join(titles)} and {last} models can be run")
