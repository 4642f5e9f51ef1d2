"""`evoxtral transcribe`: recordings in, transcripts out; standard output carries them and nothing else."""

import contextlib
import json
import os
import sys
from pathlib import Path
from stat import S_ISFIFO
from typing import TYPE_CHECKING, BinaryIO, Protocol

import click

from evoxtral.cli.options import compile_option, dialect_option, model_store, print_notes
from evoxtral.errors import AudioError, EvoxtralError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import rich.progress

    from evoxtral.inference.inputs import Input
    from evoxtral.inference.pipeline import ProgressReport
    from evoxtral.inference.transcript import Transcript
    from evoxtral.models import ModelStore

FORMATS = ("txt", "json", "srt", "vtt", "tsv")


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@click.option(
    "--model",
    metavar="M",
    default="edge",
    show_default=True,
    help="The packaged model edge, a folder, a hub id, or the address of a server: http://HOST:PORT/v1#MODEL.",
)
@click.option("--adapter", metavar="A", help="LoRA adapter of the model: a folder or a hub id.")
@model_store
@click.option(
    "--format",
    "output_format",
    type=click.Choice([*FORMATS, "all"]),
    default="txt",
    show_default=True,
    help="Tagged text; times, speakers and all; subtitles (srt, vtt); a table of segments.",
)
@click.option(
    "--output-dir",
    metavar="D",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write a file for each recording, named by it; talk.mp3 gives talk.txt.",
)
@click.option("--plain", is_flag=True, help="Leave out tags and emphasis.")
@dialect_option("--dialect", "How tags are written in txt and json.")
@click.option("--diarize", is_flag=True, help="Tell speakers apart; by pyannote.audio where it is installed.")
@click.option("--min-speakers", metavar="N", type=click.IntRange(min=1), help="With --diarize: at least so many.")
@click.option("--max-speakers", metavar="N", type=click.IntRange(min=1), help="With --diarize: at most so many.")
@compile_option
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Spoken language (ISO 639-1).")
def command(
    paths: tuple[str, ...],
    model: str,
    adapter: str | None,
    output_format: str,
    output_dir: Path | None,
    plain: bool,
    dialect: str,
    diarize: bool,
    min_speakers: int | None,
    max_speakers: int | None,
    language: str,
    compiled: bool,
    store: "ModelStore",
) -> int:
    """Turn recordings into text with audio tags.

    PATH is a file of audio or video, a folder of such files, or - for standard input. Without --output-dir the
    result goes to standard output; several recordings go there as txt or json. Exit code 1: some recordings failed,
    each is named; 2: all did.

    \b
    evoxtral transcribe talk.mp4
    evoxtral transcribe calls/ --diarize --format all --output-dir out
    """
    from evoxtral.inference.inputs import find_inputs

    if "" in paths:  # a script's variable that is not set; the empty path would be the current folder
        raise click.UsageError("a PATH is empty")
    inputs = find_inputs(paths)
    if not inputs:
        raise click.UsageError(f"no audio or video in {', '.join(paths)}")
    if not diarize and (min_speakers or max_speakers):
        raise click.UsageError("--min-speakers and --max-speakers need --diarize")
    if (min_speakers or 1) > (max_speakers or min_speakers or 1):
        raise click.UsageError("--min-speakers is more than --max-speakers")
    if output_dir is None and output_format == "all":
        raise click.UsageError("--format all needs --output-dir")
    if output_dir is None and len(inputs) > 1 and output_format not in ("txt", "json"):
        raise click.UsageError(f"several recordings as {output_format} need --output-dir")

    if dialect != "elevenlabs" and (plain or output_format not in ("txt", "json")):
        raise click.UsageError("--dialect is for tagged txt and json")

    from evoxtral.inference.engines.loading import load_engine
    from evoxtral.inference.formats import in_dialect, without_tags
    from evoxtral.inference.pipeline import transcribe

    formats = FORMATS if output_format == "all" else (output_format,)
    output: _Output = _Files(output_dir, formats) if output_dir else _StandardOutput(output_format, len(inputs))
    engine = load_engine(model, adapter, store=store, compiled=compiled)
    failed = 0
    bar = _ProgressBar(len(inputs))
    for number, item in enumerate(inputs):
        try:
            with _opened(item.path) as source:
                transcript = transcribe(
                    source,
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
            transcript, notes = in_dialect(without_tags(transcript) if plain else transcript, dialect)
            print_notes(notes)
            output.write(item, transcript)
        except _StandardOutputLostError as error:
            # Whatever else were transcribed would be lost too.
            click.echo(f"evoxtral: {error}", err=True)
            return 2 if failed == number else 1
        except EvoxtralError as error:
            bar.hide()
            failed += 1
            click.echo(f"evoxtral: {error}", err=True)
    output.finish()
    return 0 if not failed else 2 if failed == len(inputs) else 1


@contextlib.contextmanager
def _opened(path: str) -> "Iterator[str | BinaryIO]":
    """What to read: standard input, a pipe (which is read once), or the path as it is."""
    from evoxtral.inference.inputs import STANDARD_INPUT, mode_of

    if path == STANDARD_INPUT:
        if sys.stdin is None:
            raise AudioError("standard input: is closed")
        yield sys.stdin.buffer
    elif S_ISFIFO(mode_of(path)):
        with Path(path).open("rb") as pipe:
            yield pipe
    else:
        yield path


class _StandardOutputLostError(EvoxtralError):
    """Nothing more can be written to standard output."""


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
        stream = sys.stdout.buffer
        try:
            stream.write(_encoded(text))
            stream.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            # What is left in the buffer must not be tried again when Python ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
            raise _StandardOutputLostError(f"standard output: cannot be written: {error.strerror}") from error


class _Files(_Output):
    """Files named by their recordings, each whole or not there, written as soon as its recording is done."""

    def __init__(self, folder: Path, formats: tuple[str, ...]) -> None:
        self._folder = folder
        self._formats = formats
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvoxtralError(f"{folder}: cannot be made: {error.strerror}") from error

    def write(self, item: "Input", transcript: "Transcript") -> None:
        from evoxtral.inference.formats import WRITERS

        for name in self._formats:
            path = self._folder / f"{item.output}.{name}"
            partial = path.with_name(f".{path.name}.{os.getpid()}.part")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                partial.write_bytes(_encoded(WRITERS[name](transcript)))
                partial.replace(path)
            except OSError as error:
                with contextlib.suppress(OSError):
                    partial.unlink()
                raise EvoxtralError(f"{path}: cannot be written: {error.strerror}") from error


def _encoded(text: str) -> bytes:
    """UTF-8 whatever the locale says, for other programs too; a file's name may hold what is no character."""
    return text.encode("utf-8", "replace")


class _ProgressBar:
    """One bar for all recordings on a terminal's standard error; it moves inside each by the sound that is done."""

    def __init__(self, inputs: int) -> None:
        self._bar: rich.progress.Progress | None = None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

            name = TextColumn("{task.description}", markup=False)
            columns = (name, BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
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
