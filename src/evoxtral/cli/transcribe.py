"""`evoxtral transcribe`: recordings in, transcripts out; standard output carries them and nothing else.

One bad recording never ends the call: whatever it does, it gets its line on standard error and the others are done.
"""

import contextlib
import io
import sys
import threading
from functools import partial
from pathlib import Path
from stat import S_ISFIFO
from typing import TYPE_CHECKING, BinaryIO

import click

from evoxtral.cli.options import ChosenModel, dialect_option, keywords_option, model_options, print_notes
from evoxtral.cli.progress import ShowProgress, progress_bar
from evoxtral.cli.transcripts import FORMATS, OutputFolder, StandardOutput, StandardOutputLostError, TranscriptOutput
from evoxtral.errors import AudioError, told_error

if TYPE_CHECKING:
    from collections.abc import Iterator

    from evoxtral.inference.inputs import Input
    from evoxtral.inference.progress import ProgressReport


@click.command()
@click.argument("paths", metavar="PATH...", nargs=-1, required=True)
@model_options()
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
@click.option(
    "--track",
    metavar="N",
    type=click.IntRange(min=1),
    help="Of several sound tracks the Nth; by default the default one, or if it is silent the first that is not.",
)
@keywords_option
@click.option("--channels", is_flag=True, help="Each channel is one speaker's: CHANNEL_1 and so on.")
@click.option(
    "--known-speaker",
    "known_speakers",
    metavar="NAME=FILE",
    multiple=True,
    help="A sample of a speaker's voice, 1 to 30 s; implies --diarize.",
)
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Spoken language (ISO 639-1).")
def command(
    paths: tuple[str, ...],
    chosen: ChosenModel,
    output_format: str,
    output_dir: Path | None,
    plain: bool,
    dialect: str,
    diarize: bool,
    min_speakers: int | None,
    max_speakers: int | None,
    track: int | None,
    keywords: tuple[str, ...],
    channels: bool,
    known_speakers: tuple[str, ...],
    language: str,
) -> int:
    """Turn recordings into text with audio tags.

    PATH is a file of audio or video, a folder of such files, an http or https address of one, or - for standard input.
    Without --output-dir the result goes to standard output; several recordings go there as txt or json. What could not
    be heard is said on standard error, and in the JSON. Exit code 1: some recordings failed, each is named; 2: all did.

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
    if output_dir is None and output_format == "all":
        raise click.UsageError("--format all needs --output-dir")
    if output_dir is None and len(inputs) > 1 and output_format not in ("txt", "json"):
        raise click.UsageError(f"several recordings as {output_format} need --output-dir")
    if dialect != "elevenlabs" and (plain or output_format not in ("txt", "json")):
        raise click.UsageError("--dialect is for tagged txt and json")

    from evoxtral.inference.diarization import voice_of
    from evoxtral.inference.formats import in_dialect, without_tags
    from evoxtral.inference.keywords import split_keywords
    from evoxtral.inference.many import ManyTranscriber, Recording
    from evoxtral.inference.options import TranscribeOptions

    voices = {}
    for sample in known_speakers:
        speaker, _, file = sample.partition("=")
        if not speaker or not file:
            raise click.UsageError(f"--known-speaker {sample}: is not NAME=FILE")
        voices[speaker] = voice_of(file)

    formats = FORMATS if output_format == "all" else (output_format,)
    options = TranscribeOptions(
        language=language,
        times=formats != ("txt",),
        diarize=diarize or bool(voices),
        min_speakers=min_speakers,
        max_speakers=max_speakers,
        track=track,
        keywords=split_keywords(keywords),
        channels=channels,
        known_speakers=voices,
    )
    output: TranscriptOutput = (
        OutputFolder(output_dir, formats) if output_dir else StandardOutput(output_format, len(inputs))
    )
    engine = chosen.load()
    failed = 0
    with (
        progress_bar("Transcribing", transient=True) as show,
        ManyTranscriber(engine, options, store=chosen.store) as transcriber,
    ):
        bar = _Bar(show, len(inputs))
        recordings = (
            Recording(
                item.path,
                item.name,
                partial(opened, item, offline=chosen.store.offline),
                on_progress=bar.progress_of(number, item),
            )
            for number, item in enumerate(inputs)
        )
        outcomes = transcriber.transcribe(recordings)
        for number, item in enumerate(inputs):
            try:
                result = next(outcomes).result
                with bar.hidden_at_end_of(number):
                    if isinstance(result, Exception):
                        raise result
                    for note in result.notes:
                        click.echo(f"evoxtral: {item.name}: {note}", err=True)
                    transcript, notes = in_dialect(without_tags(result) if plain else result, dialect)
                    print_notes(notes)
                    output.write(item, transcript)
            except StandardOutputLostError as error:
                # Whatever else were transcribed would be lost too.
                click.echo(f"evoxtral: {error}", err=True)
                return 2 if failed == number else 1
            except BrokenPipeError:
                raise
            except Exception as error:
                failed += 1
                with bar.hidden_at_end_of(number):
                    click.echo(f"evoxtral: {told_error(error, item.name, 'cannot be transcribed')}", err=True)
            except KeyboardInterrupt:
                output.finish()
                raise
    output.finish()
    return 0 if not failed else 2 if failed == len(inputs) else 1


@contextlib.contextmanager
def opened(item: "Input", *, offline: bool) -> "Iterator[str | BinaryIO]":
    """What to read: standard input, a pipe (which is read once), what is fetched, or the path as it is."""
    from evoxtral.inference.inputs import STANDARD_INPUT, is_address, mode_of

    if item.path == STANDARD_INPUT:
        if sys.stdin is None:
            raise AudioError("standard input: is closed")
        # Python closes its own reader in the end, and aborts where a thread still waits in that.
        raw = getattr(sys.stdin.buffer, "raw", None)
        yield sys.stdin.buffer if raw is None else io.BufferedReader(raw)
    elif is_address(item.path):
        if offline:
            raise AudioError(f"{item.name}: is an address, and offline nothing is fetched", "leave out --offline")
        from evoxtral.inference.fetching import fetched

        with fetched(item.path) as file:
            yield file
    elif S_ISFIFO(mode_of(item.path)):
        with Path(item.path).open("rb") as pipe:
            yield pipe
    else:
        yield item.path


class _Bar:
    """The progress of recordings that are transcribed side by side, each in a thread, as one bar."""

    def __init__(self, show: ShowProgress, inputs: int) -> None:
        self._show = show
        self._inputs = inputs
        self._shares: dict[int, float] = {}  # how much of each recording is done, by its number
        self._lock = threading.Lock()

    def progress_of(self, number: int, item: "Input") -> "ProgressReport":
        """Moves the bar by the sound of the recording that is done."""
        name = Path(item.name).name
        self._move(number, 0.0, name)

        def report(done_s: float, total_s: float | None) -> None:
            self._move(number, min(done_s / total_s, 1.0) if total_s else 0.0, name)

        return report

    def _move(self, number: int, share: float, name: str) -> None:
        with self._lock:
            self._shares[number] = share
            self._show(sum(self._shares.values()), self._inputs, name)

    @contextlib.contextmanager
    def hidden_at_end_of(self, number: int) -> "Iterator[None]":
        """A recording is over; nothing is shown while the block runs, so that something else can be written there."""
        with self._lock:
            self._shares[number] = 1.0
            self._show.hide()
            yield
