"""`evoxtral batch`: very many recordings into files of transcripts; called again, it goes on where it was."""

from typing import TYPE_CHECKING

import click

from evoxtral.cli.options import ChosenModel, model_options
from evoxtral.cli.progress import progress_bar

if TYPE_CHECKING:
    from evoxtral.batch import BatchSummary
    from evoxtral.batch.results import BatchResult

_HOUR_S = 3600.0
# So many failures are named on standard error; all of them are in the output.
_MOST_NAMED = 20


@click.command()
@click.argument("source", metavar="INPUT")
@click.argument("target", metavar="OUTPUT")
@model_options()
@click.option("--format", "form", type=click.Choice(["jsonl", "parquet"]), default="jsonl", show_default=True)
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Spoken language (ISO 639-1).")
@click.option("--no-times", is_flag=True, help="No times of words, tags and segments: less work.")
@click.option(
    "--workers",
    metavar="N",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes (or with --ray at most so many actors), each with the whole model.",
)
@click.option("--ray", "ray_address", metavar="ADDRESS", help="A Ray cluster: its address, auto, or local.")
@click.option(
    "--gpus-per-worker",
    metavar="G",
    type=click.FloatRange(min=0),
    help="With --ray.  [default: 1 where the cluster has GPUs]",
)
@click.option("--retry-failed", is_flag=True, help="Try again what an earlier call failed at.")
@click.option(
    "--price-per-hour",
    metavar="P",
    type=click.FloatRange(min=0),
    help="Of the machines together; the cost is then shown.",
)
def command(
    source: str,
    target: str,
    chosen: ChosenModel,
    form: str,
    language: str,
    no_times: bool,
    workers: int,
    ray_address: str | None,
    gpus_per_worker: float | None,
    retry_failed: bool,
    price_per_hour: float | None,
) -> int:
    """Transcribe very many recordings.

    INPUT is a folder, a pattern such as 'calls/*.mp3', a manifest (.jsonl, .csv, .tsv, .txt), a Parquet table, or the
    address of any of them in an object store (s3://, gs://, ...). OUTPUT is a folder or such an address; it gets parts
    with a line for each recording: {"id", "path", "transcript", "error"}. Killed or stopped at any moment, the same
    command goes on: what is finished is not done again. Exit code 1: some recordings failed.

    \b
    evoxtral batch calls/ transcripts/
    evoxtral batch s3://bucket/calls/ s3://bucket/transcripts --model MODEL --ray auto --workers 8 --format parquet
    """
    if gpus_per_worker is not None and ray_address is None:
        raise click.UsageError("--gpus-per-worker is for --ray")

    from evoxtral.batch import BatchSettings, run_batch
    from evoxtral.batch.worker import WorkerSettings
    from evoxtral.inference.options import TranscribeOptions

    settings = BatchSettings(
        worker=WorkerSettings(
            model=chosen.model,
            adapter=chosen.adapter,
            compiled=chosen.compiled,
            delay_ms=chosen.delay_ms,
            model_dir=chosen.store.folder,
            offline=chosen.store.offline,
            options=TranscribeOptions(language=language, times=not no_times),
        ),
        form="parquet" if form == "parquet" else "jsonl",
        workers=workers,
        ray_address=ray_address,
        gpus_per_worker=gpus_per_worker,
        retry_failed=retry_failed,
        price_per_hour=price_per_hour,
    )
    named = 0
    with progress_bar("Transcribing", transient=True) as show:

        def on_progress(summary: "BatchSummary") -> None:
            show(summary.before + summary.done + summary.failed, summary.recordings, _rate(summary))

        def on_failure(result: "BatchResult") -> None:
            nonlocal named
            named += 1
            if named <= _MOST_NAMED and result.error is not None:
                show.hide()
                hint = f" ({result.error.hint})" if result.error.hint else ""
                click.echo(f"evoxtral: {result.error.message}{hint}", err=True)

        summary = run_batch(source, target, settings, on_progress=on_progress, on_failure=on_failure)
    if named > _MOST_NAMED:
        click.echo(f"evoxtral: and {named - _MOST_NAMED} more; the output names them all", err=True)
    click.echo(_told(summary), err=True)
    if not summary.failed:
        return 0
    return 1 if summary.done or summary.before else 2


def _rate(summary: "BatchSummary") -> str:
    parts = [f"{summary.audio_s / _HOUR_S:.1f} h", f"{summary.speed:.0f}x real time"]
    if summary.cost is not None:
        parts.append(f"cost {summary.cost:.2f}")
    return ", ".join(parts)


def _told(summary: "BatchSummary") -> str:
    parts = [f"{summary.done} transcribed ({_rate(summary)})"]
    if summary.failed:
        parts.append(f"{summary.failed} failed")
    if summary.before:
        parts.append(f"{summary.before} finished before")
    if summary.cost_per_audio_hour is not None:
        parts.append(f"{summary.cost_per_audio_hour:.4f} an hour of sound")
    return "; ".join(parts)
