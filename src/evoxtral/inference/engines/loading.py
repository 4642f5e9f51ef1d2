"""From a model's name to the engine that runs it."""

from functools import lru_cache
from pathlib import Path

from evoxtral.errors import ModelError
from evoxtral.inference.engines.edge import EdgeEngine
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.inference.engines.registry import (
    EngineRequest,
    EngineRow,
    Weights,
    engines,
    missing_packages,
    no_delay,
)
from evoxtral.models import HUB_CACHE, ModelStore, resolve_model, split_model_name
from evoxtral.models.checkpoints import base_of_adapter, describe_checkpoint, fetch_checkpoint


def load_engine(
    model: str = "edge",
    adapter: str | None = None,
    *,
    store: ModelStore = HUB_CACHE,
    compiled: bool = False,
    delay_ms: int | None = None,
) -> TranscriptionEngine:
    """Load what transcribes.

    Args:
        model: "edge"; folder or hub id of a Voxtral, a Whisper, a CTranslate2 Whisper or an adapter, or BASE+ADAPTER;
            or what else a row of the registry claims, such as the address of an OpenAI-compatible API with the name of
            a model there (http://HOST:PORT/v1#MODEL).
        adapter: folder or hub id of an adapter. Not for CTranslate2 models, into which adapters are merged before
            they are converted.
        store: where models are looked up and fetched to. Of the hub, a model's configuration is fetched first, and its
            weights only if an engine can run it.
        compiled: let PyTorch compile what it runs; the other engines have nothing to compile.
        delay_ms: how long a Voxtral Realtime listens on before it writes a word, 80 to 2400 ms in steps of 80.

    Raises:
        ModelError: no such model, or it is not of a kind that this can run.
    """
    rows = engines()
    for row in rows:
        if row.claims_name(model):
            _check_delay(row, model, delay_ms)
            return row.load(EngineRequest(model, adapter, compiled=compiled, offline=store.offline))
    base, named = split_model_name(model, store)
    if named is not None and adapter is not None:
        raise ModelError(f"{model}: names an adapter already", f"leave out {adapter}")
    adapter = named or adapter
    described = describe_checkpoint(base, store)
    if adapter is None and (its_base := base_of_adapter(described)) is not None:
        base, adapter = its_base, base
        describe_checkpoint(base, store)
    with_torch = not missing_packages("torch")
    folder = fetch_checkpoint(base, store, with_torch=with_torch)
    found = next((row for row in rows if row.claims_folder(folder)), None)
    if found is None:
        raise ModelError(f"{model}: is in no format that can be run", "Hugging Face's and CTranslate2's formats can")
    if adapter is not None and not found.takes_adapters:
        raise ModelError(
            f"{base}: a model of the engine {found.name} takes no adapter", "merge it into the base model first"
        )
    _check_delay(found, model, delay_ms)
    merged = None if adapter is None else fetch_checkpoint(adapter, store, with_torch=with_torch)
    request = EngineRequest(model, adapter, Weights(folder, merged), compiled, store.offline, delay_ms)
    return found.load(request)


def _check_delay(row: EngineRow, model: str, delay_ms: int | None) -> None:
    if delay_ms is not None and not row.takes_delay:
        raise no_delay(model)


@lru_cache(maxsize=1)
def load_packaged_engine() -> EdgeEngine:
    """The packaged model, loaded once: the aligner of engines that cannot align."""
    return EdgeEngine(Path(resolve_model("edge")), model="edge")
