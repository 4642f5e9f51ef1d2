"""From a model's name to the engine that runs it."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from evoxtral.errors import ModelError
from evoxtral.inference.engines.edge import EdgeEngine, is_edge_model
from evoxtral.inference.engines.protocol import TranscriptionEngine
from evoxtral.models import HUB_CACHE, ModelStore, resolve_model, split_model_name


def load_engine(
    model: str = "edge", adapter: str | None = None, *, store: ModelStore = HUB_CACHE, compiled: bool = False
) -> TranscriptionEngine:
    """Load what transcribes.

    Args:
        model: "edge"; folder or hub id of a Voxtral, a Whisper, a CTranslate2 Whisper or an adapter, or BASE+ADAPTER;
            or the address of an OpenAI-compatible API with the name of a model there (http://HOST:PORT/v1#MODEL).
        adapter: folder or hub id of an adapter. Not for CTranslate2 models, into which adapters are merged before
            they are converted.
        store: where models are looked up and fetched to.
        compiled: let PyTorch compile what it runs; the other engines have nothing to compile.

    Raises:
        ModelError: no such model, or it is not of a kind that this can run.
    """
    if model.startswith(("http://", "https://")):
        if store.offline:
            raise ModelError(f"{model}: is an address, and offline none is called", "name a model on this machine")
        if adapter is not None:
            raise ModelError(f"{model}: takes no adapter", "name what the server serves after the #")
        from evoxtral.inference.engines.remote import RemoteEngine

        return RemoteEngine(model)
    base, named = split_model_name(model, store)
    if named is not None and adapter is not None:
        raise ModelError(f"{model}: names an adapter already", f"leave out {adapter}")
    folder = _folder_of(base, store)
    adapter = named or adapter
    if is_edge_model(folder):
        if adapter is not None:
            raise ModelError(
                f"{base}: a CTranslate2 model takes no adapter", "merge it into the base model and convert that"
            )
        return EdgeEngine(folder, model=model)
    try:
        from evoxtral.inference.engines.torch_engine import TorchEngine, base_of_adapter
    except ImportError as error:
        raise ModelError(f"{model}: needs PyTorch", "pip install 'evoxtral[train]', or use the model edge") from error
    merged = None if adapter is None else _folder_of(adapter, store)
    if adapter is None and (named := base_of_adapter(folder)) is not None:
        folder, merged = _folder_of(named, store), folder
    return TorchEngine(str(folder), model=model, adapter=None if merged is None else str(merged), compiled=compiled)


def _folder_of(name: str, store: ModelStore) -> Path:
    where = resolve_model(name, store)
    return where if isinstance(where, Path) else store.fetch(where, with_torch=find_spec("torch") is not None)


@lru_cache(maxsize=1)
def load_packaged_engine() -> EdgeEngine:
    """The packaged model, loaded once: the aligner of engines that cannot align."""
    return EdgeEngine(Path(resolve_model("edge")), model="edge")
