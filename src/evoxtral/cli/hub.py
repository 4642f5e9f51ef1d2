"""`evoxtral hub`: weights and datasets to the Hugging Face Hub, their cards, and exports for other programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evoxtral.cli.options import model_store

if TYPE_CHECKING:
    from evoxtral.models import ModelStore

_FORMATS = ("vllm", "hf", "ctranslate2", "gguf")


@click.group()
def command() -> None:
    """Publish on the Hugging Face Hub, and export for other programs."""


@command.command()
@click.argument("model")
@click.option("--format", "form", type=click.Choice(_FORMATS), required=True, help="What will load it.")
@click.option(
    "-o", "--output", type=click.Path(file_okay=False, path_type=Path), required=True, help="New folder to write."
)
@click.option("--base", metavar="M", help="Use this base, not the one that the adapter names.")
@click.option("--as-adapter", is_flag=True, help="vllm: do not merge; write an adapter whose keys vLLM binds.")
@click.option("--quantization", default="int8", show_default=True, help="ctranslate2: compute type of the weights.")
@model_store
def export(
    model: str,
    form: str,
    output: Path,
    base: str | None,
    as_adapter: bool,
    quantization: str,
    store: "ModelStore",
) -> None:
    """Write MODEL (a folder, a hub id or BASE+ADAPTER; adapters are merged) in another format."""
    from evoxtral.hub.exporting import export as write

    written = write(model, output, form, base=base, as_adapter=as_adapter, quantization=quantization, store=store)
    click.echo(written.folder)
    for line in written.use:
        click.echo(line, err=True)


@command.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.argument("repository", metavar="OWNER/NAME")
@click.option("--public", is_flag=True, help="Make a new repository public.")
@click.option("--yes", is_flag=True, help="Upload without asking.")
@click.option("--dry-run", is_flag=True, help="Show what would be uploaded, and stop.")
def push(folder: Path, repository: str, public: bool, yes: bool, dry_run: bool) -> None:
    """Upload FOLDER (adapter, model, export or dataset) to the Hub; done again, it goes on where it stopped."""
    from evoxtral.hub.publishing import plan_upload, upload

    plan = plan_upload(folder)
    kind = "dataset" if plan.repo_type == "dataset" else "model"
    visibility = "public" if public else "private"
    click.echo(f"{folder} to {repository}, a {visibility} {kind} repository if it is new:", err=True)
    for file in plan.files:
        click.echo(f"  {_size(file.size):>10}  {file.path}", err=True)
    click.echo(f"  {_size(plan.size):>10}  in {len(plan.files)} files", err=True)
    if dry_run:
        return
    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("Nobody can be asked here: add --yes to upload.")
        click.confirm("Upload?", abort=True, err=True)
    click.echo(upload(plan, repository, private=not public))


@command.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--name", metavar="OWNER/NAME", help="What users will call it.  [default: the folder's name]")
@click.option(
    "--run",
    type=click.Path(file_okay=False, path_type=Path),
    help="Output folder of the training run.  [default: near]",
)
@click.option(
    "--bench", type=click.Path(file_okay=False, path_type=Path), help="Report of the bench.  [default: the run's]"
)
def card(folder: Path, name: str | None, run: Path | None, bench: Path | None) -> None:
    """Write FOLDER's README.md again, from the record of its training and the files of its bench."""
    from evoxtral.hub.model_card import write_model_card

    click.echo(write_model_card(folder, name=name, run=run, bench=bench))


def _size(size: int) -> str:
    """Bytes as people read them, in powers of 1000."""
    value, units = float(size), ["B", "kB", "MB", "GB", "TB"]
    while value >= 1000 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if units[0] == "B" else f"{value:.1f} {units[0]}"
