"""`evoxtral bench`: run, score, compare and report from the command line.

Knows options and files; what is measured, and how, stands in `evoxtral.bench`.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from evoxtral.cli.options import dialect_option, model_store, print_notes
from evoxtral.cli.progress import progress_bar
from evoxtral.tags.dialect_table import DIALECTS
from evoxtral.tags.dialects import DialectText, Note, read, write
from evoxtral.tts.registry import SPEECH_ENGINES

if TYPE_CHECKING:
    from evoxtral.bench.public_sets import DatasetSource
    from evoxtral.bench.report import Section
    from evoxtral.bench.scoring import Report
    from evoxtral.bench.testset import TestSet
    from evoxtral.data.records import Prediction, Reference
    from evoxtral.models import ModelStore

Record = TypeVar("Record", "Reference", "Prediction")

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)

_test_set = click.option(
    "--test-set", metavar="NAME|PATH", help="real or synthetic, which ship, or a folder.  [default: both]"
)
_allow_missing = click.option(
    "--allow-missing", is_flag=True, help="Score missing hypotheses as empty, and ignore superfluous ones."
)
_format = click.option(
    "--format", "kind", type=click.Choice(["markdown", "json"]), default="markdown", show_default=True
)
_resamples = click.option("--resamples", default=1000, show_default=True, help="Bootstrap resamples of scripts.")
_seed = click.option("--seed", default=0, show_default=True, help="Of the bootstrap.")
_PATH = click.Path(exists=True, path_type=Path)
_wandb = click.option("--wandb", "project", metavar="PROJECT", help="Also log to this Weights & Biases project.")


def _dataset(function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of a Hugging Face dataset; it gets what they say as one argument, `dataset`."""

    @click.option("--dataset", "name", metavar="NAME", help="Hugging Face dataset instead: hub id or folder.")
    @click.option("--config", help="Of the dataset.")
    @click.option("--split", default="test", show_default=True, help="Of the dataset; test[:100] takes some.")
    @click.option("--audio-column", help="Of the dataset.  [default: the one with audio]")
    @click.option("--text-column", help="Of the dataset.  [default: tagged_text, sentence, text or transcript]")
    @dialect_option("--dialect", "How the dataset writes tags.")
    @wraps(function)
    def with_dataset(*arguments: Any, name: str | None, **options: Any) -> Any:
        from evoxtral.bench.public_sets import DatasetSource

        columns = {key: options.pop(key) for key in ("config", "split", "audio_column", "text_column", "dialect")}
        if name is not None and options["test_set"] is not None:
            raise click.UsageError("--dataset and --test-set exclude each other")
        return function(*arguments, dataset=None if name is None else DatasetSource(name, **columns), **options)

    return with_dataset


@click.group()
def command() -> None:
    """Measure tagged transcription: words, tags, their places, and what is made up."""


@command.command()
@_test_set
@_dataset
@click.option("--model", default="edge", show_default=True, help="Built-in name, folder, hub id or server's address.")
@click.option("--adapter", help="LoRA adapter: folder or hub id.")
@model_store
@click.option("--language", default="en", show_default=True)
@click.option("-o", "--output-dir", type=_FOLDER, help="For predictions and report.  [default: bench-MODEL]")
@click.option("--round-trip", is_flag=True, help="Speak the transcripts again and compare the sound (slow).")
@click.option("--engine", type=click.Choice(list(SPEECH_ENGINES)), default="local", show_default=True)
@click.option("--voice", help="Voice of the round trip.  [default: each recording's own, where the engine has it]")
@_format
@_resamples
@_seed
@_wandb
def run(
    test_set: str | None,
    dataset: "DatasetSource | None",
    model: str,
    adapter: str | None,
    language: str,
    output_dir: Path | None,
    round_trip: bool,
    engine: str,
    voice: str | None,
    kind: str,
    resamples: int,
    seed: int,
    project: str | None,
    store: "ModelStore",
) -> None:
    """Transcribe benchmark sets or a dataset, score the predictions and write a report.

    Both sets that ship are run unless one is named: real recordings first, then synthetic ones, each in a folder of its
    name beside one report of both. Predictions are kept there: the same command goes on after a kill, and scores anew
    without the model.
    """
    from evoxtral.bench.predicting import run_model
    from evoxtral.bench.report import Section
    from evoxtral.bench.summary import describe_system
    from evoxtral.bench.testset import PACKAGED, TITLES

    if store.offline and (project or (round_trip and SPEECH_ENGINES[engine].needs_network)):
        raise click.UsageError("--offline goes with neither --wandb nor an --engine that needs the network")
    if store.offline and dataset is not None and not Path(dataset.name).exists():
        raise click.UsageError(f"--offline: {dataset.name} is not on this machine")
    folder = output_dir or Path(f"bench-{Path(model).name}")
    if dataset is not None:
        chosen = {"": _export(dataset, folder / "testset")}
    elif test_set is not None:
        chosen = {"": _load(test_set)}
    else:
        chosen = {name: _load(name) for name in PACKAGED}
    sections = []
    for name, testset in chosen.items():
        place = folder / name
        with progress_bar(f"Transcribing {TITLES.get(name, '').lower()}".strip()) as tell:
            predictions = run_model(
                testset,
                place / "predictions.jsonl",
                model=model,
                adapter=adapter,
                language=language,
                store=store,
                on_progress=tell,
            )
        spoken = None
        if round_trip:
            from evoxtral.bench.roundtrip import round_trip as speak_again
            from evoxtral.tts import load_speech_engine

            hypotheses = {prediction.id: prediction.text for prediction in predictions}
            with progress_bar("Speaking") as tell:
                speaker = load_speech_engine(engine, store=store)
                result = speak_again(testset, hypotheses, speaker, place, voice=voice, on_progress=tell)
            spoken = result, place
        scores = _score(testset, predictions, resamples=resamples, seed=seed, baselines=True)
        sections.append(Section(scores, describe_system(predictions), name, TITLES.get(name, ""), testset, spoken))
    _publish(folder, sections, project=project)
    if kind != "json":
        click.echo((folder / "summary.md").read_text("utf-8"), nl=False)
    elif len(chosen) > 1:
        both = {name: json.loads((folder / name / "scores.json").read_text("utf-8")) for name in chosen}
        click.echo(json.dumps(both, indent=1, ensure_ascii=False))
    else:
        click.echo((folder / "scores.json").read_text("utf-8"), nl=False)


@command.command()
@click.option("--reference", type=_FILE, required=True, help='JSON lines {"id", "text"}: what was said.')
@click.option("--hypothesis", type=_FILE, required=True, help='JSON lines {"id", "text"}: what a system wrote.')
@_allow_missing
@click.option(
    "--baselines",
    is_flag=True,
    help="Also score baselines that never listen, learnt from training.jsonl beside the references.",
)
@dialect_option("--dialect", "How the hypotheses write tags.")
@dialect_option("--reference-dialect", "How the references write tags.")
@click.option(
    "--scorer",
    type=click.Choice(["evoxtral", "wesr"]),
    default="evoxtral",
    show_default=True,
    help="wesr: WESR-Bench's own, by tag and by its seven classes.",
)
@_format
@_resamples
@_seed
def score(
    reference: Path,
    hypothesis: Path,
    allow_missing: bool,
    baselines: bool,
    dialect: str,
    reference_dialect: str,
    scorer: str,
    kind: str,
    resamples: int,
    seed: int,
) -> None:
    """Score tagged texts of any system against references; no model or audio is needed."""
    from evoxtral.bench.summary import describe_system, markdown_summary

    testset, predictions = _load(str(reference)), _read(hypothesis)
    if scorer == "wesr":
        if baselines:
            raise click.UsageError("--baselines goes with the evoxtral scorer only")
        said = _in_dialect(testset.references, reference_dialect, "wesr")
        heard = {line.id: line.text for line in _in_dialect(predictions, dialect, "wesr")}
        options = {"allow_missing": allow_missing, "resamples": resamples, "seed": seed}
        _show_wesr(said, heard, kind, options)
        return
    testset = replace(testset, references=tuple(_in_dialect(testset.references, reference_dialect)))
    predictions = _in_dialect(predictions, dialect)
    scores = _score(
        testset, predictions, allow_missing=allow_missing, resamples=resamples, seed=seed, baselines=baselines
    )
    system = describe_system(predictions)
    if kind == "json":
        named = scores.to_json() | {"system": {"name": system.name}}
        click.echo(json.dumps(named, indent=1, ensure_ascii=False))
    else:
        click.echo(markdown_summary(scores, system), nl=False)


@command.command()
@click.argument("hypotheses", nargs=-1, type=_FILE, required=True)
@click.option("--reference", metavar="NAME|PATH", help="References.  [default: the set that ships with these clips]")
@_allow_missing
@_format
@_resamples
@_seed
def compare(
    hypotheses: tuple[Path, ...], reference: str | None, allow_missing: bool, kind: str, resamples: int, seed: int
) -> None:
    """Put HYPOTHESES, files of predictions, side by side; the first is the baseline of differences and p-values."""
    from evoxtral.bench.comparing import compare as compare_systems
    from evoxtral.bench.summary import comparison_table

    systems = {
        name: {prediction.id: prediction.text for prediction in _read(path)}
        for name, path in zip(_distinct_names(hypotheses), hypotheses, strict=True)
    }
    testset = _load(reference) if reference is not None else _set_of(next(iter(systems.values())))
    comparison = compare_systems(
        testset.references, systems, allow_missing=allow_missing, resamples=resamples, seed=seed
    )
    if kind == "json":
        click.echo(json.dumps(comparison.to_json(), indent=1, ensure_ascii=False))
    else:
        click.echo(comparison_table(comparison), nl=False)


@command.command()
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@_test_set
@_allow_missing
@_resamples
@_seed
@_wandb
def report(
    folder: Path, test_set: str | None, allow_missing: bool, resamples: int, seed: int, project: str | None
) -> None:
    """Write the report of FOLDER anew: from its predictions.jsonl, and its round trip if it has one.

    Predictions of any system will do: JSON lines {"id", "text"}. A folder with `real` and `synthetic` in it, as `run`
    writes it, gets one report of both.
    """
    from evoxtral.bench.report import Section
    from evoxtral.bench.summary import describe_system
    from evoxtral.bench.testset import PACKAGED, TITLES

    parts = [name for name in PACKAGED if (folder / name / "predictions.jsonl").is_file()] if test_set is None else []
    sections = []
    for name in parts or [""]:
        place = folder / name
        predictions = _read(place / "predictions.jsonl")
        if name or test_set is not None:
            testset = _load(name or test_set)
        else:
            testset = _set_of({prediction.id for prediction in predictions})
        spoken = None
        if (place / "roundtrip.jsonl").exists():
            from evoxtral.bench.roundtrip import read_round_trip

            spoken = read_round_trip(place), place
        scores = _score(
            testset, predictions, allow_missing=allow_missing, resamples=resamples, seed=seed, baselines=True
        )
        sections.append(Section(scores, describe_system(predictions), name, TITLES.get(name, ""), testset, spoken))
    _publish(folder, sections, project=project)


@command.command("import")
@click.argument("vendor", metavar="SERVICE")
@click.argument("responses", nargs=-1, type=_PATH, required=True)
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Predictions.")
@click.option("--name", help="Of the model, for reports.  [default: the service's]")
@click.option(
    "--dialect",
    type=click.Choice(list(DIALECTS)),
    help="How its tags are written, if it was asked for another way than its own.",
)
def import_responses(
    vendor: str, responses: tuple[Path, ...], output: Path, name: str | None, dialect: str | None
) -> None:
    """Make predictions of what another SERVICE answered, to be scored like any other.

    RESPONSES are its answers as JSON: files named by the clips' ids, folders of them, or JSON lines
    {"id", "response"}. Services: scribe, deepgram, gemini, openai (and all that answer like it), evoxtral.
    """
    from evoxtral.bench.vendors import VENDORS, read_responses
    from evoxtral.data.files import write_atomically

    if vendor not in VENDORS:
        raise click.BadParameter(f"{vendor!r} is none of {', '.join(VENDORS)}", param_hint="SERVICE")
    predictions, notes = read_responses(responses, vendor, name=name, dialect=dialect)
    write_atomically(output, "".join(line.model_dump_json(exclude_none=True) + "\n" for line in predictions).encode())
    print_notes(notes)
    click.echo(f"{output}: {len(predictions)} predictions", err=True)


@command.command()
@click.argument("sources", nargs=-1, type=_PATH, required=True, metavar="FOLDERS...")
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    default=Path("index.html"),
    show_default=True,
    help="Page to write.",
)
def leaderboard(sources: tuple[Path, ...], output: Path) -> None:
    """Write a static page that ranks systems: FOLDERS that `run` or `report` wrote, or files of scores as JSON."""
    from evoxtral.bench.leaderboard import write_leaderboard

    boards = write_leaderboard(sources, output)
    sets = "1 test set" if len(boards) == 1 else f"{len(boards)} test sets"
    click.echo(f"{output}: {sum(len(board.entries) for board in boards)} rows, {sets}", err=True)


@command.command()
@click.argument("corpora", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("-o", "--output-dir", type=_FOLDER, required=True, help="Benchmark set to write.")
@click.option(
    "--training",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Corpus from which the baselines learn; then all clips of CORPORA are taken.",
)
@click.option("--max-bytes", default=8_000_000, show_default=True, help="Size of all audio together.")
@click.option("--seed", default=0, show_default=True, help="Which clips are taken.")
def export(corpora: tuple[Path, ...], output_dir: Path, training: tuple[Path, ...], max_bytes: int, seed: int) -> None:
    """Make a benchmark set of the test splits of CORPORA: Opus clips, references, and texts for the baselines."""
    from evoxtral.bench.testset import export_testset

    testset = export_testset(corpora, output_dir, max_bytes, training=training, seed=seed)
    minutes = sum(reference.duration_s or 0 for reference in testset.references) / 60
    click.echo(f"{output_dir}: {len(testset.references)} clips, {minutes:.1f} minutes", err=True)


def _load(name: str | None) -> "TestSet":
    from evoxtral.bench.testset import find_testset, load_testset

    return load_testset() if name is None else load_testset(find_testset(name))


def _set_of(ids: Collection[str]) -> "TestSet":
    from evoxtral.bench.testset import packaged_set_of

    return _load(packaged_set_of(ids))


def _export(source: "DatasetSource", folder: Path) -> "TestSet":
    from evoxtral.bench.public_sets import export_dataset

    testset, notes = export_dataset(source, folder)
    print_notes(notes)
    return testset


def _in_dialect(records: "Sequence[Record]", dialect: str, wanted: str = "elevenlabs") -> "list[Record]":
    """References or predictions with their texts in the wanted dialect; says what did not come through."""
    if dialect == wanted:
        return list(records)
    notes: list[Note] = []
    converted = []
    for record in records:
        ours: DialectText = read(record.text, dialect)
        theirs: DialectText = write(ours.text, wanted)
        notes += [*ours.notes, *theirs.notes]
        converted.append(record.model_copy(update={"text": theirs.text}))
    print_notes(notes)
    return converted


def _show_wesr(references: "Sequence[Reference]", texts: dict[str, str], kind: str, options: dict[str, Any]) -> None:
    from evoxtral.bench.wesr import score_wesr

    tags = score_wesr(references, texts, **options)
    classes = score_wesr(references, texts, by_class=True, **options)
    if kind == "json":
        scores = {"scorer": "wesr", "tags": tags.to_json(), "classes": classes.to_json()}
        click.echo(json.dumps(scores, indent=1, ensure_ascii=False))
    else:
        click.echo(f"{tags.to_markdown()}\n{classes.to_markdown()}", nl=False)


def _read(path: Path) -> "list[Prediction]":
    from evoxtral.data.json_lines import read_records
    from evoxtral.data.records import Prediction

    return read_records(path, Prediction)


def _score(
    testset: "TestSet",
    predictions: "Sequence[Prediction]",
    *,
    baselines: bool,
    resamples: int,
    seed: int,
    allow_missing: bool = False,
) -> "Report":
    from evoxtral.bench.scoring import score as score_texts
    from evoxtral.bench.testset import PACKAGED_FOLDER

    texts = testset.training_texts
    if baselines and texts is None and (PACKAGED_FOLDER / "training.jsonl").is_file():
        texts = _load(None).training_texts
    return score_texts(
        testset.references,
        {prediction.id: prediction.text for prediction in predictions},
        allow_missing=allow_missing,
        resamples=resamples,
        seed=seed,
        baseline_texts=(texts or ()) if baselines else None,
        base_texts=testset.base_texts if baselines else None,
    )


def _publish(folder: Path, sections: "Sequence[Section]", *, project: str | None) -> None:
    """Write one report of the sections, log it if there is a project, and say where it is."""
    from evoxtral.bench.report import write_report

    write_report(folder, sections)
    if project is not None:
        from evoxtral.bench.wandb_log import log_to_wandb

        for section in sections:
            html = folder / "report.html"
            log_to_wandb(section.report, section.system, project=project, html=html, testset=section.testset)
    click.echo(f"report: {folder / 'report.html'}", err=True)


def _distinct_names(paths: Sequence[Path]) -> list[str]:
    """Short names for files: their own where they differ, else with the folder, or the one above."""
    for depth in (1, 2, 3):
        names = ["/".join(path.with_suffix("").parts[-depth:]) for path in paths]
        if len(set(names)) == len(names):
            return names
    raise click.UsageError("The files of hypotheses need different names, or folders with different names.")
