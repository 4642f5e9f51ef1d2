"""`evoxtral transcribe`: recordings in, transcripts out; standard output carries them and nothing else."""

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from evoxtral.cli.options import model_store

if TYPE_CHECKING:
    import rich.progress

    from evoxtral.inference.inputs import Input
    from evoxtral.inference.pipeline import ProgressReport
    from evoxtral.inference.transcript import Transcript
    from evoxtral.models import ModelStore

FORMATS = ("txt", "json", "srt", "vtt", "tsv")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option("--model", default="edge", show_default=True, help="Model: edge, a folder or a hub id.")
@click.option("--adapter", metavar="A", help="LoRA adapter: a folder or a hub id.")
@model_store
@click.option(
    "--format", "output_format", type=click.Choice([*FORMATS, "all"]), default="txt", show_default=True, help="Output."
)
@click.option("--output-dir", type=click.Path(file_okay=False, path_type=Path), help="Write files, named by input.")
@click.option("--plain", is_flag=True, help="Leave out tags and emphasis.")
@click.option("--diarize", is_flag=True, help="Tell speakers apart.")
@click.option("--min-speakers", type=click.IntRange(min=1), help="With --diarize: at least so many.")
@click.option("--max-speakers", type=click.IntRange(min=1), help="With --diarize: at most so many.")
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Spoken language (ISO 639-1).")
def command(
    paths: tuple[str, ...],
    model: str,
    adapter: str | None,
    output_format: str,
    output_dir: Path | None,
    plain: bool,
    diarize: bool,
    min_speakers: int | None,
    max_speakers: int | None,
    language: str,
    store: "ModelStore",
) -> int:
    """Turn recordings into text with audio tags.

    PATH is a file of audio or video, a folder of such files, or - for standard input. Without --output-dir the
    result goes to standard output; several recordings go there as txt or json.
    """
    from evoxtral.errors import EvoxtralError
    from evoxtral.inference.inputs import STANDARD_INPUT, find_inputs

    inputs = find_inputs(paths)
    if not inputs:
        raise click.UsageError(f"no audio or video in {', '.join(paths)}")
    if (min_speakers or 1) > (max_speakers or min_speakers or 1):
        raise click.UsageError("--min-speakers is more than --max-speakers")
    if output_dir is None and output_format == "all":
        raise click.UsageError("--format all needs --output-dir")
    if output_dir is None and len(inputs) > 1 and output_format not in ("txt", "json"):
        raise click.UsageError(f"several recordings as {output_format} need --output-dir")

    from evoxtral.inference.formats import without_tags
    from evoxtral.inference.loading import load_engine
    from evoxtral.inference.pipeline import transcribe

    engine = load_engine(model, adapter, store=store)
    formats = FORMATS if output_format == "all" else (output_format,)
    output: _Output = _Files(output_dir, formats) if output_dir else _StandardOutput(output_format, len(inputs))
    failed = 0
    bar = _ProgressBar(len(inputs))
    for number, item in enumerate(inputs):
        try:
            transcript = transcribe(
                sys.stdin.buffer if item.path == STANDARD_INPUT else item.path,
                name=item.path,
                engine=engine,
                language=language,
                times=formats != ("txt",),
                diarize=diarize,
                min_speakers=min_speakers,
                max_speakers=max_speakers,
                store=store,
                on_progress=bar.follow(number, item.path),
            )
            bar.hide()
            output.write(item, without_tags(transcript) if plain else transcript)
        except EvoxtralError as error:
            bar.hide()
            failed += 1
            click.echo(f"evoxtral: {error}", err=True)
    output.finish()
    return 0 if not failed else 2 if failed == len(inputs) else 1


class _Output(Protocol):
    def write(self, item: "Input", transcript: "Transcript") -> None:
        """Put out the transcript of one recording."""

    def finish(self) -> None:
        """After the last recording."""
        return


class _StandardOutput(_Output):
    """Text, with a heading for each of several recordings; a JSON object, or a list for several."""

    def __init__(self, output_format: str, inputs: int) -> None:
        self._format = output_format
        self._several = inputs > 1
        self._written = 0

    def write(self, item: "Input", transcript: "Transcript") -> None:
        from evoxtral.inference.formats import WRITERS

        text = WRITERS[self._format](transcript)
        if self._several and self._format == "json":
            text = ("[\n" if self._written == 0 else ",\n") + json.dumps(transcript.to_json(), ensure_ascii=False)
        elif self._several:
            text = ("\n" if self._written else "") + f"==> {item.path} <==\n{text}"
        self._written += 1
        self._put(text)

    def finish(self) -> None:
        if self._several and self._format == "json":
            self._put("\n]\n" if self._written else "[]\n")

    @staticmethod
    def _put(text: str) -> None:
        # UTF-8 whatever the locale says: this is for other programs too.
        stream = sys.stdout.buffer
        stream.write(text.encode())
        stream.flush()


class _Files(_Output):
    """Files named by their recordings, each whole or not there, written as soon as its recording is done."""

    def __init__(self, folder: Path, formats: tuple[str, ...]) -> None:
        self._folder = folder
        self._formats = formats

    def write(self, item: "Input", transcript: "Transcript") -> None:
        from evoxtral.errors import EvoxtralError
        from evoxtral.inference.formats import WRITERS

        for name in self._formats:
            path = self._folder / f"{item.output}.{name}"
            partial = path.with_name(f".{path.name}.{os.getpid()}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(WRITERS[name](transcript).encode())
                partial.replace(path)
            except OSError as error:
                with contextlib.suppress(OSError):
                    partial.unlink()
                raise EvoxtralError(f"{path}: cannot be written: {error.strerror}") from error


class _ProgressBar:
    """One bar for all recordings on a terminal's standard error; it moves inside each by the sound that is done."""

    def __init__(self, inputs: int) -> None:
        self._bar: rich.progress.Progress | None = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
            console = Console(stderr=True)
            self._bar = Progress(*columns, console=console, transient=True, redirect_stdout=False)
            self._task = self._bar.add_task("", total=inputs)

    def follow(self, number: int, name: str) -> "ProgressReport | None":
        """Show recording `number`; gives what `transcribe` is to report to."""
        bar = self._bar
        if bar is None:
            return None
        bar.start()
        bar.update(self._task, completed=number, description=Path(name).name)

        def report(done_s: float, total_s: float | None) -> None:
            bar.update(self._task, completed=number + (min(done_s / total_s, 1.0) if total_s else 0.0))

        return report

    def hide(self) -> None:
        """Clear the bar's line, so that something else can be written there."""
        if self._bar is not None:
            self._bar.stop()
