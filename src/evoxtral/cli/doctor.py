"""`evoxtral doctor`: prints what `evoxtral.doctor` found."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evoxtral.cli.options import model_dir_option

if TYPE_CHECKING:
    from rich.console import Console

    from evoxtral.doctor import Folder, Machine
    from evoxtral.findings import Finding

# section of the diagnosis -> heading, what is said of a thing that is there, and of one that is not
_SECTIONS = {
    "engines": ("Transcription engines (transcribe --model)", "ready", "missing"),
    "speakers": ("Telling speakers apart (transcribe --diarize)", "ready", "missing"),
    "voices": ("Voices (speak --voice)", "ready", "missing"),
    "server": ("Server", "ready", "missing"),
    "extras": ("Optional packages", "installed", "missing"),
    "keys": ("Keys", "set", "not set"),
}


@click.command()
@model_dir_option
@click.option("--format", "kind", type=click.Choice(["txt", "json"]), default="txt", show_default=True, help="Output.")
def command(model_dir: Path | None, kind: str) -> None:
    """Tell what this machine can run, and what would add each missing thing.

    Nothing is loaded, fetched or called, and no key is shown.
    """
    from evoxtral.doctor import diagnose
    from evoxtral.models import ModelStore

    found = diagnose(ModelStore(model_dir, offline=True))
    if kind == "json":
        click.echo(json.dumps(asdict(found), ensure_ascii=False, indent=2))
        return

    from rich.console import Console

    # Commands are to be copied whole: no line is broken.
    console = Console(soft_wrap=True, highlight=False, markup=False, emoji=False)
    _show_machine(console, found.machine)
    for section, (heading, there, not_there) in _SECTIONS.items():
        _show_findings(console, heading, getattr(found, section), there, not_there)
    _show_folders(console, found.folders)


def _show_machine(console: "Console", machine: "Machine") -> None:
    console.print("Machine", style="bold")
    console.print(f"  Evoxtral {machine.evoxtral}, Python {machine.python}, {machine.system}")
    memory = "" if machine.memory_bytes is None else f", {_size(machine.memory_bytes)} of memory"
    console.print(f"  {machine.cores} {'core' if machine.cores == 1 else 'cores'}{memory}")
    for gpu in machine.gpus:
        console.print(f"  {gpu.name}, {_size(gpu.memory_bytes)}")
        if gpu.remedy is not None:
            console.print(f"    -> {gpu.remedy}", style="cyan")
    if not machine.gpus:
        console.print("  no NVIDIA GPU")


def _show_findings(
    console: "Console", heading: str, findings: "tuple[Finding, ...]", there: str, not_there: str
) -> None:
    if not findings:
        return
    console.print(f"\n{heading}", style="bold")
    names = max(len(finding.name) for finding in findings)
    states = max(len(there), len(not_there))
    for finding in findings:
        console.print(f"  {finding.name:{names}}  ", end="")
        console.print(
            f"{there if finding.present else not_there:{states}}",
            style="green" if finding.present else "yellow",
            end="",
        )
        console.print(f"  {finding.detail}" if finding.detail else "")
        if finding.remedy is not None:
            console.print(f"  {'':{names}}  {'':{states}}  -> {finding.remedy}", style="cyan")


def _show_folders(console: "Console", folders: "tuple[Folder, ...]") -> None:
    console.print("\nFolders", style="bold")
    names = max(len(folder.name) for folder in folders)
    for folder in folders:
        console.print(f"  {folder.name:{names}}  {_size(folder.size_bytes):>9}  {folder.path}")
        for model in folder.models:
            console.print(f"  {'':{names}}  {'':9}  {model}")


def _size(count: float) -> str:
    """Bytes in the unit that leaves few digits."""
    for unit in ("B", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.0f} {unit}"
        count /= 1024
    return f"{count:.1f} GiB"
