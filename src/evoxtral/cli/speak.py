"""`evoxtral speak`: tagged text in, an audio file out. Knows the engines' names and nothing of how they speak."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from evoxtral.cli.options import dialect_option, model_store, print_notes
from evoxtral.tags.dialects import read
from evoxtral.tts.registry import DEFAULT_ENGINE, SPEECH_ENGINES

if TYPE_CHECKING:
    from evoxtral.models import ModelStore

_MAX_NAME_CHARACTERS = 255  # a longer argument cannot be the name of a file


@click.command()
@click.argument("text", required=False)
@click.option("--engine", type=click.Choice(list(SPEECH_ENGINES)), default=DEFAULT_ENGINE, show_default=True)
@click.option("--voice", help="A voice of the engine; see --list-voices.")
@click.option("--seed", default=0, show_default=True, help="The same seed speaks the same take.")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path), help="Audio file to write; kind by suffix."
)
@dialect_option("--dialect", "How the text writes tags.")
@click.option("--list-voices", is_flag=True, help="Print the voices that can be used now, and stop.")
@model_store
def command(
    text: str | None,
    engine: str,
    voice: str | None,
    seed: int,
    output: Path | None,
    dialect: str,
    list_voices: bool,
    store: "ModelStore",
) -> None:
    """Speak TEXT: tagged text, a text file, or - for standard input.

    \b
    evoxtral speak "[whispers] Don't move. [pause] [shouts] RUN!" --output run.wav
    """
    from evoxtral.tts import load_speech_engine

    if list_voices:
        for known in load_speech_engine(engine, store=store).voices():
            click.echo(f"{known.name:28}{known.description}")
        return
    if text is None:
        raise click.UsageError("Missing argument 'TEXT'.")
    if output is None:
        raise click.UsageError("Missing option '--output'.")
    from evoxtral.audio import check_target, write_audio

    check_target(output)
    tagged = read(_read(text), dialect)
    print_notes(tagged.notes)
    speech = load_speech_engine(engine, store=store).speak(tagged.text, voice=voice, seed=seed)
    write_audio(output, speech.samples, speech.sample_rate_hz)
    for note in speech.notes:
        click.echo(note, err=True)
    click.echo(
        f"{output}: {speech.duration_s:.1f} s, engine {speech.engine}, voice {speech.voice}, seed {seed}", err=True
    )


def _read(text: str) -> str:
    """The text itself, or what the file of that name or standard input holds."""
    if text == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    if len(text) <= _MAX_NAME_CHARACTERS and "\n" not in text and "\0" not in text:
        path = Path(text)
        try:
            if path.is_file():
                return path.read_text(encoding="utf-8", errors="replace")
        except OSError as error:
            raise click.UsageError(f"{text}: {error.strerror}") from error
    return text
