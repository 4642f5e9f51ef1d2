"""Options that several commands share."""

from collections.abc import Callable, Iterable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from evoxtral.tags.dialect_table import DIALECTS
from evoxtral.tags.dialects import Note, count_notes

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


def dialect_option(name: str, help: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """An option that names a dialect of tags; ours where it is not given."""
    return click.option(name, type=click.Choice(list(DIALECTS)), default="elevenlabs", show_default=True, help=help)


def print_notes(notes: Iterable[Note]) -> None:
    """Say on standard error what did not come through from a dialect to another."""
    counts = count_notes(notes)
    if counts:
        click.echo(f"tags: {', '.join(f'{what} ({count})' for what, count in counts.most_common())}", err=True)


def model_store(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command --model-dir and --offline; it gets what they say as one argument, `store`."""

    @model_dir_option
    @click.option("--offline", is_flag=True, help="Use no network: only models that are here.")
    @wraps(command)
    def with_store(*arguments: Any, model_dir: Path | None, offline: bool, **options: Any) -> Any:
        from evoxtral.models import ModelStore

        return command(*arguments, store=ModelStore(model_dir, offline), **options)

    return with_store
