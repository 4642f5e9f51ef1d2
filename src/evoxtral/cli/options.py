"""Options that several commands share."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evoxtral.tags.dialect_table import DIALECTS
from evoxtral.tags.dialects import Note, count_notes

if TYPE_CHECKING:
    from evoxtral.inference.engines.protocol import TranscriptionEngine
    from evoxtral.models import ModelStore

model_dir_option = click.option(
    "--model-dir",
    metavar="D",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of models, by name, and of what comes from the hub.  [default: the hub's cache]",
)

keywords_option = click.option(
    "--keywords",
    metavar="WORDS",
    multiple=True,
    help="Names and terms that are likely, between commas; for their spelling, where they are said.",
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
    return _with_model_store("store")(command)


def _with_model_store(argument: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        @model_dir_option
        @click.option("--offline", is_flag=True, help="Use no network: only models that are here.")
        @wraps(command)
        def with_store(*arguments: Any, model_dir: Path | None, offline: bool, **options: Any) -> Any:
            from evoxtral.models import ModelStore

            return command(*arguments, **{argument: ModelStore(model_dir, offline)}, **options)

        return with_store

    return give


@dataclass(frozen=True, slots=True)
class ChosenModel:
    """What transcribes, as the options name it."""

    model: str
    adapter: str | None
    compiled: bool
    delay_ms: int | None
    store: "ModelStore"

    def load(self) -> "TranscriptionEngine":
        """Load it; errors as of `load_engine`."""
        from evoxtral.inference import load_engine

        return load_engine(self.model, self.adapter, store=self.store, compiled=self.compiled, delay_ms=self.delay_ms)


class _ModelOption(click.Option):
    """An option whose help comes from the engines' rows, which are looked for only when it is shown."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        from evoxtral.inference.engines.registry import engines

        self.help = f"What transcribes: {'; '.join(row.named_by for row in engines())}."
        return super().get_help_record(ctx)


def model_options(default: str = "edge") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command --model and what goes with it; it gets that as one argument, `chosen`."""

    def give(command: Callable[..., Any]) -> Callable[..., Any]:
        @click.option("--model", metavar="M", default=default, show_default=True, cls=_ModelOption)
        @click.option("--adapter", metavar="A", help="LoRA adapter of the model: a folder or a hub id.")
        @_with_model_store("models")  # a command may have a --store of another kind
        @click.option(
            "--compile",
            "compiled",
            is_flag=True,
            help="Voxtral on a GPU: compile first (about ten seconds), for faster batches.",
        )
        @click.option(
            "--delay",
            "delay_ms",
            type=int,
            metavar="MS",
            help="Voxtral Realtime: listen on for so long before a word is written, 80 to 2400 in steps of 80."
            "  [default: the model's]",
        )
        @wraps(command)
        def with_model(
            *arguments: Any,
            model: str,
            adapter: str | None,
            compiled: bool,
            delay_ms: int | None,
            models: "ModelStore",
            **options: Any,
        ) -> Any:
            return command(*arguments, chosen=ChosenModel(model, adapter, compiled, delay_ms, models), **options)

        return with_model

    return give
