"""Options that several commands share."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

model_dir_option = click.option(
    "--model-dir",
    metavar="D",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of models, by name, and of what comes from the hub.  [default: the hub's cache]",
)


compile_option = click.option(
    "--compile",
    "compiled",
    is_flag=True,
    help="Voxtral on a GPU: compile first (about ten seconds), for faster batches.",
)


def model_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --model-dir and --offline; it gets what they say as one argument, `store`."""

    @model_dir_option
    @click.option("--offline", is_flag=True, help="Use no network: only models that are here.")
    @wraps(command)
    def with_store(*arguments: Any, model_dir: Path | None, offline: bool, **options: Any) -> Any:
        from evoxtral.models import ModelStore

        return command(*arguments, store=ModelStore(model_dir, offline), **options)

    return with_store
