"""Models: what names stand for, how weights come here, and what each family of them is like.

    names      "edge", folders, hub ids, BASE+ADAPTER     store      the folder of models; the only client of the hub
    families   what differs between kinds of models       log_mel    what they hear
    checkpoints  from a name to weights in memory, with adapters

Knows nothing of what models are used for: transcribing and training lie above.
"""

from evoxtral.models.names import EDGE_FILES, EDGE_FOLDER, resolve_model, split_model_name, without_credentials
from evoxtral.models.store import HUB_CACHE, ModelStore

__all__ = [
    "EDGE_FILES",
    "EDGE_FOLDER",
    "HUB_CACHE",
    "ModelStore",
    "resolve_model",
    "split_model_name",
    "without_credentials",
]
