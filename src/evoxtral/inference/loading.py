"""From a model's name to the engine that runs it."""

from functools import lru_cache
from pathlib import Path

from evoxtral.errors import ModelError
from evoxtral.inference.edge import EdgeEngine, is_edge_model
from evoxtral.inference.engine import TranscriptionEngine
from evoxtral.models import resolve_model


def load_engine(model: str = "edge", adapter: str | None = None) -> TranscriptionEngine:
    """Load what transcribes.

    Args:
        model: "edge", the folder of a CTranslate2 Whisper, or the address of an OpenAI-compatible API and the model's
            name there (http://HOST:PORT/v1#MODEL).
        adapter: not for CTranslate2 models, into which adapters are merged before they are converted.

    Raises:
        ModelError: no such model, or it is not of a kind that this can run.
    """
    if model.startswith(("http://", "https://")):
        if adapter is not None:
            raise ModelError(f"{model}: takes no adapter", "name what the server serves after the #")
        from evoxtral.inference.remote import RemoteEngine

        return RemoteEngine(model)
    where = resolve_model(model)
    if isinstance(where, Path) and is_edge_model(where):
        if adapter is not None:
            raise ModelError(
                f"{model}: a CTranslate2 model takes no adapter", "merge it into the base model and convert that"
            )
        return EdgeEngine(where, model=model)
    raise ModelError(f"{model}: is not a CTranslate2 Whisper model")


@lru_cache(maxsize=1)
def load_packaged_engine() -> EdgeEngine:
    """The packaged model, loaded once: the aligner of engines that cannot align."""
    return EdgeEngine(Path(resolve_model("edge")), model="edge")
