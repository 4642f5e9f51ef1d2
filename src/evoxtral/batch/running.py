"""One batch from its input to its output: what is finished is left out, the rest is given to workers, results are kept.

Only this process writes results, so that none is written twice: whoever dies, an item is either finished or done again.
Knows who works and where results go by name only.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from evoxtral.batch.inputs import BatchItem, read_items
from evoxtral.batch.processes import transcribe_in_processes
from evoxtral.batch.results import BatchResult, Format, open_results
from evoxtral.batch.worker import WorkerSettings
from evoxtral.models.names import without_credentials

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class BatchSettings:
    """How a batch is run.

    Attributes:
        worker: model and options.
        form: of the closed parts.
        workers: processes on this machine, or actors on a Ray cluster.
        ray_address: of the cluster; "local" starts one here; None for processes without Ray.
        gpus_per_worker: on a Ray cluster; None for one where the cluster has any.
        retry_failed: try again what failed before.
        price_per_hour: of all machines together, in whatever currency; None if nobody wants to know.
    """

    worker: WorkerSettings = field(default_factory=WorkerSettings)
    form: Format = "jsonl"
    workers: int = 1
    ray_address: str | None = None
    gpus_per_worker: float | None = None
    retry_failed: bool = False
    price_per_hour: float | None = None


@dataclass
class BatchSummary:
    """How far a batch is.

    Attributes:
        recordings: of the input.
        before: finished by an earlier call.
        done, failed: by this call.
        audio_s, wall_s: sound transcribed by this call, and how long it took so far.
        failures: failed recordings of this call by the error's class.
        price_per_hour: see `BatchSettings`.
    """

    recordings: int
    before: int = 0
    done: int = 0
    failed: int = 0
    audio_s: float = 0.0
    wall_s: float = 0.0
    failures: Counter[str] = field(default_factory=Counter)
    price_per_hour: float | None = None

    @property
    def speed(self) -> float:
        """Seconds of sound a second."""
        return self.audio_s / self.wall_s if self.wall_s else 0.0

    @property
    def cost(self) -> float | None:
        """Of this call so far."""
        return None if self.price_per_hour is None else self.price_per_hour * self.wall_s / _HOUR_S

    @property
    def cost_per_audio_hour(self) -> float | None:
        return None if self.cost is None or not self.audio_s else self.cost / (self.audio_s / _HOUR_S)

    def to_json(self) -> dict[str, Any]:
        """As `summary.json` has it."""
        return {
            "recordings": self.recordings,
            "finished_before": self.before,
            "done": self.done,
            "failed": self.failed,
            "failures": dict(self.failures),
            "audio_h": round(self.audio_s / _HOUR_S, 6),
            "wall_s": round(self.wall_s, 2),
            "audio_s_per_s": round(self.speed, 2),
            "cost": self.cost,
            "cost_per_audio_hour": self.cost_per_audio_hour,
        }


def run_batch(
    source: str,
    target: str,
    settings: BatchSettings | None = None,
    *,
    on_progress: Callable[[BatchSummary], None] = lambda summary: None,
    on_failure: Callable[[BatchResult], None] = lambda result: None,
) -> BatchSummary:
    """Transcribe all recordings of `source` into `target`; called again, it goes on.

    Args:
        source: see `evoxtral.batch.inputs.read_items`.
        target: folder or address for the results, which `evoxtral.batch.results.read_results` reads.
        on_progress: told of the batch now and then; the summary changes while it runs.
        on_failure: given each recording that failed.

    Raises:
        EvoxtralError: nothing to read, nowhere to write, or the model cannot be loaded.
    """
    settings = settings or BatchSettings()
    items = list(read_items(source))
    worker = settings.worker
    depends_on = {
        "model": without_credentials(worker.model),
        "adapter": None if worker.adapter is None else without_credentials(worker.adapter),
        "language": worker.options.language,
        "times": worker.options.times,
    }
    started_s = time.monotonic()
    with open_results(target, settings.form, depends_on) as writer:
        finished = writer.finished(with_failed=not settings.retry_failed)
        left = [item for item in items if item.id not in finished]
        summary = BatchSummary(len(items), len(items) - len(left), price_per_hour=settings.price_per_hour)
        on_progress(summary)
        for results in _work(left, settings):
            writer.add(results)
            _count(summary, results, on_failure)
            summary.wall_s = time.monotonic() - started_s
            on_progress(summary)
        summary.wall_s = time.monotonic() - started_s
        writer.close(summary.to_json())
    return summary


def _work(left: Sequence[BatchItem], settings: BatchSettings) -> Iterator[Sequence[BatchResult]]:
    if not left:
        return iter(())
    if settings.ray_address is None:
        return transcribe_in_processes(left, settings.worker, settings.workers)
    from evoxtral.batch.ray_cluster import transcribe_on_ray

    return transcribe_on_ray(left, settings.worker, settings.ray_address, settings.workers, settings.gpus_per_worker)


def _count(summary: BatchSummary, results: Iterable[BatchResult], on_failure: Callable[[BatchResult], None]) -> None:
    for result in results:
        if result.error is not None:
            summary.failed += 1
            summary.failures[result.error.kind] += 1
            on_failure(result)
        elif result.transcript is not None:
            summary.done += 1
            summary.audio_s += result.transcript["duration_s"]
