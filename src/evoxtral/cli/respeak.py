"""`evoxtral respeak`: a recording in, expressive speech out, and the transcript beside it.

Knows options, bars and files; nothing of how it is done.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evoxtral.cli.options import ChosenModel, model_options
from evoxtral.cli.progress import progress_bar
from evoxtral.cli.transcribe import opened
from evoxtral.errors import EvoxtralError
from evoxtral.tts.registry import DEFAULT_ENGINE, SPEECH_ENGINES

if TYPE_CHECKING:
    from evoxtral.inference.transcript import Transcript
    from evoxtral.respeaking import Respoken


@click.command()
@click.argument("source", metavar="IN")
@click.option(
    "-o",
    "--output",
    required=True,
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Audio file to write; kind by suffix. OUT with .json gets the transcript.",
)
@click.option("--engine", type=click.Choice(list(SPEECH_ENGINES)), default=DEFAULT_ENGINE, show_default=True)
@click.option("--voice", help="A voice of the engine; see evoxtral speak --list-voices.")
@click.option("--seed", default=0, show_default=True, help="The same seed speaks the same take.")
@click.option("--keep-timing", is_flag=True, help="Start each sentence where the recording's starts.")
@model_options()
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Spoken language (ISO 639-1).")
def command(
    source: str,
    output: Path,
    engine: str,
    voice: str | None,
    seed: int,
    keep_timing: bool,
    chosen: ChosenModel,
    language: str,
) -> None:
    """Transcribe a recording and speak the transcript with its delivery.

    IN is a file of audio or video, an http or https address of one, - for standard input, or the transcript (.json)
    that an earlier call wrote: correct its text, and only the sentences that changed are spoken again.

    \b
    evoxtral respeak talk.m4a --output talk-again.wav
    evoxtral respeak talk-again.json --output talk-again.wav
    """
    from evoxtral.audio import check_target, write_audio
    from evoxtral.respeaking import speak_transcript
    from evoxtral.tts import load_speech_engine
    from evoxtral.tts.speech_engine import RemoteSpeechEngine

    check_target(output)
    if Path(source).absolute() == output.absolute():
        raise EvoxtralError(f"{output}: is the recording itself", "name another --output")
    speaker = load_speech_engine(engine, store=chosen.store)
    transcript = _transcript(source, chosen, language)
    with progress_bar("Speaking", transient=True) as show:
        respoken = speak_transcript(
            transcript, speaker, voice=voice, seed=seed, in_time=keep_timing, cache=_cache(), on_progress=show
        )
    write_audio(output, respoken.samples, respoken.sample_rate_hz)
    _write_transcript(output.with_suffix(".json"), source, respoken)
    for note in respoken.notes:
        click.echo(f"evoxtral: {source}: {note}", err=True)
    known = sum(sentence.cached for sentence in respoken.sentences)
    said = [
        f"{respoken.duration_s:.1f} s, {len(respoken.sentences)} sentences ({known} spoken before)",
        f"engine {respoken.engine}, voice {respoken.voice}, seed {seed}",
    ]
    if isinstance(speaker, RemoteSpeechEngine):
        said.append(f"charged {speaker.charged_characters:,} characters")
    click.echo(f"{output}: {', '.join(said)}", err=True)


def _transcript(source: str, chosen: ChosenModel, language: str) -> "Transcript":
    """What the file holds, or what is heard in the recording."""
    from evoxtral.inference.inputs import find_inputs
    from evoxtral.inference.options import TranscribeOptions
    from evoxtral.inference.pipeline import transcribe
    from evoxtral.inference.transcript_files import read_transcript

    if source.lower().endswith(".json"):
        return read_transcript(Path(source))
    inputs = find_inputs([source]) if source else []
    if len(inputs) != 1 or Path(source).is_dir():
        raise click.UsageError(f"IN is one recording, not {source or 'empty'}")
    with progress_bar("Transcribing", transient=True) as show, opened(inputs[0], offline=chosen.store.offline) as file:
        transcript = transcribe(
            file,
            name=inputs[0].name,
            engine=chosen.load(),
            options=TranscribeOptions(language=language),
            store=chosen.store,
            on_progress=lambda done_s, total_s: show(done_s, total_s, "s"),
        )
    for note in transcript.notes:
        click.echo(f"evoxtral: {inputs[0].name}: {note}", err=True)
    return transcript


def _cache() -> Any:
    from platformdirs import user_cache_path

    from evoxtral.respeaking import SentenceCache
    from evoxtral.settings import read_settings

    folder = read_settings().speech_cache
    return SentenceCache((user_cache_path("evoxtral", appauthor=False) if folder is None else folder) / "sentences")


def _write_transcript(path: Path, source: str, respoken: "Respoken") -> None:
    """The transcript with who spoke it; a file that is corrected and read again keeps what else stands in it."""
    from evoxtral.data.files import write_atomically

    document = respoken.transcript.to_json() | {"respoken": respoken.to_json()}
    if Path(source).absolute() == path.absolute():
        document = json.loads(path.read_bytes()) | document
    content = json.dumps(document, ensure_ascii=False, indent=2) + "\n"
    try:
        write_atomically(path, content.encode("utf-8", "replace"))
    except OSError as error:
        raise EvoxtralError(f"{path}: cannot be written: {error.strerror}") from error
