"""From a model's name to the engine that runs it."""

from functools import lru_cache
from pathlib import Path

from evoxtral.errors import ModelError
from evoxtral.inference.edge import EdgeEngine, is_edge_model
from evoxtral.inference.engine import TranscriptionEngine
from evoxtral.models import resolve_model, split_model_name


def load_engine(model: str = "edge", adapter: str | None = None) -> TranscriptionEngine:
    """Load what transcribes.

    Args:
        model: "edge"; the folder of a CTranslate2 Whisper; folder or hub id of a Voxtral, a Whisper or an adapter of
            one, or BASE+ADAPTER; or the address of an OpenAI-compatible API with the name of a model there
            (http://HOST:PORT/v1#MODEL).
        adapter: folder or hub id of an adapter. Not for CTranslate2 models, into which adapters are merged before
            they are converted.

    Raises:
        ModelError: no such model, or it is not of a kind that this can run.
    """
    if model.startswith(("http://", "https://")):
        if adapter is not None:
            raise ModelError(f"{model}: takes no adapter", "name what the server serves after the #")
        from evoxtral.inference.remote import RemoteEngine

        return RemoteEngine(model)
    base, named = split_model_name(model)
    if named is not None and adapter is not None:
        raise ModelError(f"{model}: names an adapter already", f"leave out {adapter}")
    where = resolve_model(base)
    adapter = named or adapter
    if isinstance(where, Path) and is_edge_model(where):
        if adapter is not None:
            raise ModelError(
                f"{base}: a CTranslate2 model takes no adapter", "merge it into the base model and convert that"
            )
        return EdgeEngine(where, model=model)
    return _load_torch_engine(str(where), model, adapter)


def _load_torch_engine(where: str, model: str, adapter: str | None) -> TranscriptionEngine:
    try:
        from evoxtral.inference.torch_engine import TorchEngine, base_of_adapter
    except ImportError as error:
        raise ModelError(f"{model}: needs PyTorch", "pip install 'evoxtral[train]', or use the model edge") from error
    if adapter is None and (base := base_of_adapter(Path(where))) is not None:
        where, adapter = base, where
    if adapter is not None:
        adapter = str(resolve_model(adapter))
    return TorchEngine(where, model=model, adapter=adapter)


@lru_cache(maxsize=1)
def load_packaged_engine() -> EdgeEngine:
    """The packaged model, loaded once: the aligner of engines that cannot align."""
    return EdgeEngine(Path(resolve_model("edge")), model="edge")
