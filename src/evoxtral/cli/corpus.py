"""`evoxtral corpus`: the steps from scripts to a dataset, each on the folder that holds the corpus.

Knows the options and what to print; the steps themselves are in `evoxtral.corpus`.
"""

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from evoxtral.cli.options import dialect_option, model_store
from evoxtral.cli.progress import ShowProgress, progress_bar
from evoxtral.tts.registry import SPEECH_ENGINES

if TYPE_CHECKING:
    from evoxtral.corpus.gates import GateReport
    from evoxtral.corpus.synthesis import SynthesisReport
    from evoxtral.data.corpus_config import CorpusConfig
    from evoxtral.data.corpus_folder import CorpusFolder
    from evoxtral.models import ModelStore

_FOLDER = click.argument("folder", type=click.Path(file_okay=False, path_type=Path))


class _Group(click.Group):
    """Says in one line what the disk or the operating system refused."""

    def invoke(self, ctx: click.Context) -> Any:
        from evoxtral.errors import CorpusError

        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise CorpusError(
                f"{error.filename or 'a file'}: {error.strerror or error}", "mend that; the same command resumes"
            ) from error


@click.group(cls=_Group)
def command() -> None:
    """Make training data: scripts, speech, dataset.

    Every step takes the FOLDER that holds the corpus and reads its corpus.yaml; options change that file, so that a
    later step, or the same one after an interruption, sees them too (not those of a dry run). The folder can be moved.

    \b
    evoxtral corpus scripts my-corpus
    evoxtral corpus synthesize my-corpus
    evoxtral corpus validate my-corpus
    evoxtral corpus build my-corpus
    evoxtral corpus check my-corpus
    """


@command.command()
@_FOLDER
@click.option("--count", type=click.IntRange(1), help="Scripts that the corpus should have in all.  [default: 1000]")
@click.option("--seed", type=int, help="The same seed writes the same scripts.  [default: 0]")
@click.option("--writer", type=click.Choice(["grammar", "openai", "anthropic"]), help="[default: grammar, offline]")
@click.option("--model", help="Language model of the writer.")
@click.option("--base-url", help="OpenAI-compatible endpoint: Mistral, vLLM, Ollama ...")
@click.option("--api-key-variable", help="Environment variable that holds the endpoint's key.")
@click.option("--max-tokens", type=click.IntRange(1), help="Stop before so many tokens are spent; resumable.")
@click.option("--max-requests", type=click.IntRange(1), help="Stop after so many requests; resumable.")
@click.option("--concurrency", type=click.IntRange(1), help="Requests in flight at once.")
def scripts(folder: Path, **options: Any) -> None:
    """Write the scripts that are missing."""
    from evoxtral.corpus.missing_scripts import write_missing

    corpus, config = _open(folder, create=True, scripts=options)
    _remember(corpus, config, create=True)
    with progress_bar("Writing", with_rate=True) as show:
        report = write_missing(corpus, config.scripts, on_progress=show)
    click.echo(f"{folder}: {report.now} scripts, {report.now - report.before} of them new", err=True)
    for reason, count in report.given_up.most_common():
        click.echo(f"given up, {reason}: {count}", err=True)
    if report.stopped:
        click.echo(f"stopped: {report.stopped}", err=True)
    if report.given_up or report.stopped:
        sys.exit(1)


@command.command(name="import")
@_FOLDER
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--domain", default="conversation", show_default=True, help="Of scripts that do not name one.")
@dialect_option("--dialect", "How the texts write tags.")
@click.option("--any-voice", is_flag=True, help="Forget the voices that the objects name, which are another engine's.")
def import_(folder: Path, sources: tuple[Path, ...], domain: str, dialect: str, any_voice: bool) -> None:
    """Add scripts from SOURCES: files (or folders) with a JSON list, or lines, of objects with tagged_text or turns."""
    from evoxtral.corpus.importing import ALREADY_THERE, import_scripts
    from evoxtral.data.records import Domain

    if domain not in set(Domain):
        raise click.BadParameter(f"choose one of {', '.join(Domain)}", param_hint="--domain")
    corpus, config = _open(folder, create=True)
    _remember(corpus, config, create=True)
    with corpus.locked():
        report = import_scripts(
            sources,
            domain=Domain(domain),
            keep_voices=not any_voice,
            dialect=dialect,
            existing=corpus.read_scripts(),
        )
        corpus.append_scripts(report.scripts)
    click.echo(f"{folder}: {len(report.scripts)} scripts imported", err=True)
    for what, counts in (
        ("unknown tags, kept", report.unknown_tags),
        ("tags renamed", report.renamed_tags),
        (f"not as in {dialect}", report.dialect_notes),
        ("ids that were taken, renamed", report.renamed_ids),
        ("skipped", report.skipped),
    ):
        if counts:
            click.echo(f"{what}: {', '.join(f'{name} ({count})' for name, count in counts.most_common())}", err=True)
    if set(report.skipped) - {ALREADY_THERE}:
        sys.exit(1 if report.scripts else 2)


@command.command()
@_FOLDER
@click.option("--engine", type=click.Choice(list(SPEECH_ENGINES)), help="[default: local, offline]")
@click.option("--voice", "voices", multiple=True, help="A voice to use; repeat it. Default: all of the engine.")
@click.option("--takes", type=click.IntRange(1), help="Clips of each script, with different voices.  [default: 1]")
@click.option("--seed", type=int, help="The same seed speaks the same takes.  [default: 0]")
@click.option("--workers", type=click.IntRange(1), help="Processes of the local engine.  [default: all cores]")
@click.option("--max-characters", type=click.IntRange(1), help="Budget of a paid engine; it stops before, resumable.")
@click.option("--holdout-voice", "holdout_voices", multiple=True, help="A voice for the test split only; repeat it.")
@click.option("--dry-run", is_flag=True, help="Print what would be made and cost; change nothing.")
@model_store
def synthesize(
    folder: Path, holdout_voices: tuple[str, ...], dry_run: bool, store: "ModelStore", **options: Any
) -> None:
    """Speak the scripts that have no clip yet."""
    from evoxtral.corpus.synthesis import plan
    from evoxtral.corpus.synthesis import synthesize as speak
    from evoxtral.data.splits import divide_by_voices
    from evoxtral.tts import load_speech_engine

    load_engine = partial(load_speech_engine, store=store)
    corpus, config = _open(folder, synthesis=options, dataset={"holdout_voices": holdout_voices})
    voices = config.synthesis.voices
    if config.dataset.holdout_voices and not voices:
        engine = load_engine(config.synthesis.engine, **config.synthesis.engine_options)
        voices = tuple(voice.name for voice in engine.voices())
    parts = divide_by_voices(corpus.read_scripts(), voices, config)
    plans = [plan(corpus, settings, scripts=part, load_engine=load_engine) for part, settings in parts]
    if dry_run:
        for made in plans:
            click.echo(f"{len(made.to_make)} of {len(made.takes)} clips to make, {made.characters:,} characters to pay")
        return
    _remember(corpus, config)  # only now that the engine and its voices are known to be there
    failed = False
    for part, settings in parts:
        with progress_bar("Speaking") as show:
            tell = partial(_show_synthesis, show)
            report = speak(corpus, settings, scripts=part, on_progress=tell, load_engine=load_engine)
        click.echo(f"{folder}: {report.done} of {report.total} clips, {report.made} made now", err=True)
        for clip, reason in report.failures.items():
            click.echo(f"{clip}: {reason}", err=True)
        if report.stopped:
            click.echo(f"stopped: {report.stopped}", err=True)
        failed = failed or bool(report.failures or report.stopped)
    if failed:
        sys.exit(1)


@command.command()
@_FOLDER
@click.option(
    "--listener", help='Model that transcribes the clips back; "none" checks the signal only. [default: edge]'
)
@click.option("--max-wer", type=click.FloatRange(0, min_open=True), help="Highest word error rate.  [default: 0.5]")
@click.option("--workers", type=click.IntRange(1), help="Threads that measure clips.  [default: by cores]")
def validate(folder: Path, listener: str | None, **options: Any) -> None:
    """Check each clip, and set bad ones aside with the reason (set_aside.jsonl)."""
    from evoxtral.corpus.validation import validate as validate_clips
    from evoxtral.inference import load_engine

    corpus, config = _open(folder, validation={"listener": listener, **options})
    settings = config.validation
    engine = None if settings.listener == "none" else load_engine(settings.listener)
    _remember(corpus, config)
    with progress_bar("Checking", with_rate=True) as show:
        report = validate_clips(corpus, settings, listener=engine, on_progress=show)
    wer = "" if report.wer is None else f", word error rate {report.wer:.1%}"
    click.echo(f"{report.total} clips, {report.total - len(report.set_aside)} good{wer}", err=True)
    for reason, count in report.reasons.most_common():
        click.echo(f"set aside as {reason}: {count}", err=True)


@command.command()
@_FOLDER
@click.option("--push", "repository", metavar="OWNER/NAME", help="Then upload it to the Hugging Face Hub.")
@click.option("--public", is_flag=True, help="Make the uploaded dataset public.")
def build(folder: Path, repository: str | None, public: bool) -> None:
    """Build the Hugging Face dataset (FOLDER/dataset) from all good clips."""
    try:
        from evoxtral.corpus.dataset import build as build_dataset
        from evoxtral.corpus.dataset import features

        features()
    except ImportError as error:
        raise click.UsageError(f"{error.name} is missing: pip install 'evoxtral[corpus]'") from error
    from evoxtral.hub.dataset_card import dataset_card
    from evoxtral.hub.publishing import plan_upload, upload

    corpus, config = _open(folder)
    if not corpus.set_aside_path.exists():
        click.echo("note: the clips were not validated", err=True)
    with progress_bar("Writing", with_rate=True) as show:
        report = build_dataset(corpus, config, write_card=dataset_card, on_progress=show)
    for split, clips in report.clips.items():
        hours = sum(clip.duration_s for clip in clips) / 3600
        click.echo(f"{split}: {len(clips)} clips, {hours:.2f} hours", err=True)
    for reason, count in report.left_out.items():
        if count:
            click.echo(f"left out, {reason}: {count}", err=True)
    click.echo(upload(plan_upload(report.folder), repository, private=not public) if repository else report.folder)


@command.command()
@_FOLDER
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
def check(folder: Path, form: str) -> None:
    """Measure the corpus against its targets; exit code 1 where one is missed."""
    from evoxtral.corpus.gates import check as check_gates
    from evoxtral.errors import CorpusError

    corpus, _ = _open(folder)
    written = corpus.read_scripts()
    if not written:
        raise CorpusError(f"{folder} has no scripts", f"write some: evoxtral corpus scripts {folder}")
    with progress_bar("Comparing", with_rate=True) as show:
        report = check_gates(written, corpus.read_clips(), on_progress=show)
    if form == "json":
        click.echo(json.dumps(report.to_json(), indent=2))
    else:
        _print_table(report)
    sys.exit(0 if report.passed else 1)


def _print_table(report: "GateReport") -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("gate", "target", "measured", "verdict", title=f"{report.scripts} scripts")
    for gate in report.gates:
        verdict = Text("ok", "green") if gate.passed else Text("MISSED", "bold red")
        table.add_row(Text(gate.name), gate.target, Text(gate.measured), verdict)
    # Piped, the table is as wide as it needs to be.
    Console(width=None if sys.stdout.isatty() else 140).print(table)
    diversity = report.diversity
    click.echo(
        f"{diversity.words} words, {diversity.types} different (type-token ratio {diversity.type_token_ratio:.3f}), "
        f"distinct pairs {diversity.distinct_2:.3f}, triples {diversity.distinct_3:.3f}, "
        f"{diversity.mean_words:.1f} words a script"
    )


def _open(folder: Path, *, create: bool = False, **changes: dict[str, Any]) -> tuple["CorpusFolder", "CorpusConfig"]:
    """The folder and its configuration as the options that were given change it; `_remember` keeps that."""
    from pydantic import ValidationError

    from evoxtral.data.corpus_config import CorpusConfig
    from evoxtral.data.corpus_folder import CorpusFolder
    from evoxtral.errors import CorpusError

    if not create and not folder.is_dir():
        raise CorpusError(f"there is no folder {folder}", f"begin with: evoxtral corpus scripts {folder}")
    corpus = CorpusFolder(folder)
    config = corpus.read_config()
    given = {
        section: {name: value for name, value in options.items() if value not in (None, ())}
        for section, options in changes.items()
    }
    values = config.model_dump()
    for section, options in given.items():
        values[section].update(options)
    try:
        changed = CorpusConfig.model_validate(values)
    except ValidationError as error:
        raise CorpusError(f"{corpus.config_path}: {error.errors()[0]['msg']}") from error
    return corpus, changed


def _remember(corpus: "CorpusFolder", config: "CorpusConfig", *, create: bool = False) -> None:
    """Keep a changed configuration, so that the same command without its options resumes."""
    if corpus.read_config() != config or (create and not corpus.config_path.exists()):
        corpus.write_config(config)


def _show_synthesis(show: ShowProgress, report: "SynthesisReport") -> None:
    notes = [f"{report.clips_per_s:.1f} clips/s"] if report.made else []
    if report.characters:
        notes.append(f"{report.characters:,} characters")
    if report.failures:
        notes.append(f"{len(report.failures)} failed")
    show(report.done, report.total, " · ".join(notes))
