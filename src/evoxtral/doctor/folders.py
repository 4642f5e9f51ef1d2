"""Folders that fill up by use: where they are, how large, and which models are in them."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISLNK

from evoxtral.models import EDGE_FOLDER, ModelStore
from evoxtral.settings import read_settings


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder that fills up by use; `models` are those of the hub or of the user in it."""

    name: str
    path: str
    size_bytes: int
    models: tuple[str, ...] = ()


def find_folders(store: ModelStore) -> Iterator[Folder]:
    """The packaged model, the store's models, and cached speech."""
    yield Folder("packaged model", str(EDGE_FOLDER), _size_bytes(EDGE_FOLDER))
    place = store.hub_folder
    name = "models of the hub" if store.folder is None else "models"
    yield Folder(name, str(place), _size_bytes(place), tuple(models_in(place)))
    if (speech := read_settings().speech_cache) is not None:
        yield Folder("phrases of Kokoro", str(speech), _size_bytes(speech))


def models_in(folder: Path) -> list[str]:
    """Models by name: what the hub's client keeps, and folders that hold a model."""
    if not folder.is_dir():
        return []
    fetched = [path.name.removeprefix("models--").replace("--", "/") for path in folder.glob("models--*--*")]
    own = [path.parent.relative_to(folder) for depth in ("*", "*/*") for path in folder.glob(f"{depth}/*config.json")]
    return sorted({*fetched, *(path.as_posix() for path in own if not path.parts[0].startswith("models--"))})


def _size_bytes(folder: Path) -> int:
    """Of all files, each once: the hub's client links to them."""
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # somebody tidies up meanwhile
                status = Path(place, name).lstat()
                total += 0 if S_ISLNK(status.st_mode) else status.st_size
    return total
