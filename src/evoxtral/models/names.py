"""Which weights a name stands for, and the folder of the model that ships with the package.

Knows names, folders and file layouts; loads nothing. What is not there yet, `ModelStore` fetches.
"""

import re
from pathlib import Path

from evoxtral.errors import ModelError
from evoxtral.models.store import HUB_CACHE, ModelStore

EDGE_FOLDER = Path(__file__).parent / "edge"
"""The packaged CTranslate2 Whisper; `README.md` in it is its model card."""

EDGE_FILES = (
    "model.bin",
    "config.json",
    "vocabulary.json",
    "tokenizer.json",
    "preprocessor_config.json",
    "emotion.npz",
)

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
# A folder of weights has at least one of these.
_DESCRIPTIONS = ("config.json", "adapter_config.json", "params.json")

# In an address, what stands between :// and @ (RFC 3986, section 3.2.1); or USER:PASSWORD@ without a scheme.
_CREDENTIALS = re.compile(r"(?:(?<=://)\S*|^[^\s:]*:(?!//)\S*)@")


def without_credentials(name: str) -> str:
    """A name as messages and records may show it: an address's user name and password become ***."""
    return _CREDENTIALS.sub("***@", name)


def split_model_name(name: str, store: ModelStore = HUB_CACHE) -> tuple[str, str | None]:
    """Split "BASE+ADAPTER" into its names; the adapter is None where there is none. An existing path is never split."""
    if "+" not in name or Path(name).exists() or _in_store(name, store):
        return name, None
    base, _, adapter = name.partition("+")
    if not base or not adapter:
        raise ModelError(f"{without_credentials(name)!r}: a model and an adapter are written BASE+ADAPTER")
    return base, adapter


def resolve_model(name: str, store: ModelStore = HUB_CACHE) -> Path | str:
    """Where the weights of one name are: a local folder, or a hub id for `ModelStore.fetch`.

    Args:
        name: "edge", a folder of the store, any folder, or a hub id such as "mistralai/Voxtral-Mini-3B-2507"; an
            adapter's name likewise. Names of the form BASE+ADAPTER are split first (`split_model_name`).

    Raises:
        ModelError: nothing has this name, or the folder holds no model.
    """
    if name == "edge":
        missing = [file for file in EDGE_FILES if not (EDGE_FOLDER / file).is_file()]
        if missing:
            raise ModelError(
                f"the packaged model is incomplete: {', '.join(missing)} missing in {EDGE_FOLDER}",
                "pip install --force-reinstall evoxtral, or name another model",
            )
        return EDGE_FOLDER
    if (stored := _in_store(name, store)) is not None:
        return stored
    folder = Path(name).expanduser()
    if name and folder.is_dir():
        if not _holds_model(folder):
            raise ModelError(f"{folder}: holds no model", f"a model's folder has one of {', '.join(_DESCRIPTIONS)}")
        return folder
    if folder.is_file():
        raise ModelError(f"{folder}: is a file", "name the folder that holds the model")
    if _HUB_ID.fullmatch(name) and not name.startswith("."):
        return name
    where = "" if store.folder is None else f" in {store.folder}, nor elsewhere"
    shown = without_credentials(name)
    raise ModelError(
        f"{shown!r}: no such model{where}", 'models are named "edge", by folder, or by hub id (owner/name)'
    )


def _in_store(name: str, store: ModelStore) -> Path | None:
    """The model that lies under its name in the user's folder of models."""
    if store.folder is None or not name:
        return None
    folder = store.folder.expanduser() / name
    return folder if _holds_model(folder) else None


def _holds_model(folder: Path) -> bool:
    return any((folder / file).is_file() for file in _DESCRIPTIONS)
