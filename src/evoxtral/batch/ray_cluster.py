"""A batch on a Ray cluster: Ray Data streams items through actors, each with an engine, and puts lost work elsewhere.

Recordings are fetched and decoded by tasks on the cluster's processors, so that actors with a GPU get sound; long and
damaged ones are decoded by the actor itself, in constant memory. What Ray gives up (a recording that kills its actor)
comes back alone in a further pass. Knows Ray; nothing of where results go.
"""

import json
import logging
import os
import socket
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from evoxtral.audio import SAMPLE_RATE_HZ, open_audio
from evoxtral.batch.inputs import BatchItem
from evoxtral.batch.results import BatchError, BatchResult
from evoxtral.batch.worker import WorkerSettings, recording_of, result_of
from evoxtral.errors import EvoxtralError
from evoxtral.inference.many import ManyTranscriber, Recording

# Longer ones are not sent as sound; so much takes 38 MB.
_MAX_DECODED_S = 600.0
_BLOCK_S = 10.0
# An actor's calls at a time and the recordings of each: together enough to fill the engine's batches. What a call found
# comes back when all of it is done, so that a call has few: they are lost with an actor.
_CALLS_AT_A_TIME = 8
_ITEMS_A_CALL = 8
_CONNECT_TIMEOUT_S = 10.0
# How often Ray tries a call again whose actor died.
_MOST_RETRIES = 2
# Passes over what did not come back; from the second on one recording a call.
_MOST_PASSES = 3


def transcribe_on_ray(
    items: Sequence[BatchItem], settings: WorkerSettings, address: str, workers: int, gpus_per_worker: float | None
) -> Iterator[list[BatchResult]]:
    """The results of all items, some at a time, as they come.

    Args:
        address: of a cluster (`ray://...`, `auto`), or "local" for one of this machine alone.
        workers: most actors; Ray starts them as there is work and room.
        gpus_per_worker: None for one, if the cluster has any.

    Raises:
        EvoxtralError: Ray is not installed, or no cluster is there.
    """
    try:
        import ray
        import ray.data
        from ray.exceptions import RayError
        from ray.util.annotations import RayDeprecationWarning
    except ImportError as error:
        raise EvoxtralError("a cluster needs Ray", "pip install 'evoxtral[ray]'") from error

    # Ray tells its own bookkeeping on standard error; what became of recordings is told by the batch.
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=RayDeprecationWarning)  # of `max_task_retries`, which has no other name
    here = not ray.is_initialized()
    if here:
        _check_reachable(address)
        try:
            ray.init(address=None if address == "local" else address, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise EvoxtralError(f"no Ray cluster at {address}: {reason}", "start one: ray start --head") from error
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.max_errored_blocks = -1  # what is given up comes again in the next pass
    try:
        gpus = gpus_per_worker if gpus_per_worker is not None else float("GPU" in ray.cluster_resources())
        left = {item.id: item for item in items}
        for number in range(_MOST_PASSES):
            if not left:
                return
            results = _one_pass(ray, [*left.values()], settings, workers, gpus, _ITEMS_A_CALL if number == 0 else 1)
            try:
                for result in results:
                    if left.pop(result.id, None) is not None:
                        yield [result]
            except RayError:
                continue  # even the bookkeeping of the pass failed: what is left is tried again
        yield [
            BatchResult(
                id=item.id,
                path=item.name,
                error=BatchError(
                    kind="WorkerDied",
                    message=f"{item.name}: did not come back from the cluster in {_MOST_PASSES} passes",
                    hint="look into Ray's logs; try it again with --retry-failed",
                ),
            )
            for item in left.values()
        ]
    finally:
        if here:
            ray.shutdown()


def _check_reachable(address: str) -> None:
    """Fail at once where nobody listens; Ray itself tries for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        raise EvoxtralError(f"no Ray cluster at {address}: {error}", "start one: ray start --head") from error


def _one_pass(
    ray: Any, items: Sequence[BatchItem], settings: WorkerSettings, workers: int, gpus: float, items_a_call: int
) -> Iterator[BatchResult]:
    rows = [{"item": _packed(item)} for item in items]
    blocks = max(1, -(-len(rows) // items_a_call))
    stream = (
        ray.data.from_items(rows, override_num_blocks=min(blocks, len(rows)))
        .map(_decode, num_cpus=1)
        .map_batches(
            _Actor,
            fn_constructor_args=(settings,),
            batch_size=items_a_call,
            batch_format="numpy",
            compute=ray.data.ActorPoolStrategy(
                min_size=1,
                max_size=max(1, workers),
                max_concurrent_calls_per_actor=_CALLS_AT_A_TIME,
                enable_true_multi_threading=True,
            ),
            num_gpus=gpus or None,
            num_cpus=None if gpus else 1,
            max_task_retries=_MOST_RETRIES,  # by default without end, also for what kills every actor
        )
    )
    for row in stream.iter_rows():
        yield BatchResult.model_validate_json(row["result"])


def _packed(item: BatchItem) -> str:
    return json.dumps({"id": item.id, "address": item.address, "row": item.row, "column": item.column})


def _decode(row: Mapping[str, Any]) -> dict[str, Any]:
    """A task: the item with its sound as float32 bytes, empty where the actor must decode it."""
    item = BatchItem(**json.loads(row["item"]))
    content = b""
    try:
        with item.opened() as source, open_audio(source, name=item.name) as reader:
            declared_s = reader.declared_duration_s
            if declared_s is not None and declared_s <= _MAX_DECODED_S:
                blocks, length = [], 0
                for block in reader.blocks(_BLOCK_S):
                    blocks.append(block)
                    length += len(block)
                    if length > _MAX_DECODED_S * SAMPLE_RATE_HZ:
                        break
                else:
                    # What has holes or notes is decoded where they are known.
                    if blocks and not reader.holes and not reader.notes:
                        content = np.concatenate(blocks).tobytes()
    except Exception:  # noqa: S110 - the actor meets the same error, and tells it
        pass
    return {"item": row["item"], "sound": content}


class _Actor:
    """A process of the cluster with an engine."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._transcriber = ManyTranscriber(settings.load(), settings.options, store=settings.store)

    def __call__(self, batch: Mapping[str, Any]) -> dict[str, Any]:
        items = {item.id: item for item in (BatchItem(**json.loads(packed)) for packed in batch["item"])}
        recordings = [
            _recording(item, bytes(sound)) for item, sound in zip(items.values(), batch["sound"], strict=True)
        ]
        results = [result_of(items[outcome.key], outcome) for outcome in self._transcriber.transcribe(recordings)]
        return {"result": np.array([result.model_dump_json() for result in results], dtype=object)}


def _recording(item: BatchItem, sound: bytes) -> Recording:
    if not sound:
        return recording_of(item)
    return Recording(item.id, item.name, lambda: nullcontext(np.frombuffer(sound, np.float32)))
