"""Files and folders that are there whole or not at all, whatever kills the process that writes them; and safe names.

The order that makes it so: content is synced, takes its name, and then the folder that holds the name is synced.
Temporary names are short and hold nothing of the name that they stand for, which may be as long as a name can be.
Knows how a file system keeps its promises; knows nothing of what is written.
"""

import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import BinaryIO

_TEMPORARY_SUFFIX = ".tmp"
# Windows opens no folders; its file systems log names by themselves.
_OPENS_FOLDERS = os.name != "nt"


@contextmanager
def whole_file(path: Path, *, durable: bool = True) -> Iterator[BinaryIO]:
    """Give a new file to write, and put it in the place of `path` when the block ends well; else nothing is left.

    Args:
        durable: whether it must survive the machine's fall; False for what can be made again, such as a cache.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{secrets.token_hex(6)}{_TEMPORARY_SUFFIX}")
    try:
        with temporary.open("w+b") as file:
            yield file
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if durable:
        sync_folder(path.parent)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that at any instant either the old or the whole new content is on disk."""
    with whole_file(path) as file:
        file.write(content)


@contextmanager
def written_whole(folder: Path) -> Iterator[Path]:
    """Give a new folder beside `folder` to write into, and put it in the place of `folder` when the block ends well.

    What a kill leaves of a folder is removed when the same one is written again.
    """
    digest = hashlib.blake2b(os.fsencode(folder.name), digest_size=6).hexdigest()
    unfinished = folder.with_name(f".{digest}{_TEMPORARY_SUFFIX}")
    replaced = folder.with_name(f".{digest}.old{_TEMPORARY_SUFFIX}")
    if replaced.exists() and not folder.exists():
        replaced.rename(folder)  # killed between the two renamings below
    for left_over in (unfinished, replaced):
        shutil.rmtree(left_over, ignore_errors=True)
    unfinished.mkdir(parents=True)
    yield unfinished
    _sync_tree(unfinished)
    if folder.exists():
        folder.rename(replaced)
    unfinished.rename(folder)
    sync_folder(folder.parent)
    shutil.rmtree(replaced, ignore_errors=True)


def sweep_unfinished(folder: Path) -> None:
    """Remove what dead processes had begun to write; call it only while none writes."""
    for left_over in folder.glob(f".*{_TEMPORARY_SUFFIX}"):
        if left_over.is_file():
            left_over.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable, where that is for programs to do."""
    if _OPENS_FOLDERS:
        _sync(folder)


def _sync_tree(folder: Path) -> None:
    for inside, _, files in os.walk(folder, topdown=False):
        for name in files:
            _sync(Path(inside, name))
        sync_folder(Path(inside))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR if os.name == "nt" else os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- names ----------------------------------------------------------------------------------------------------------


def stays_inside(name: str) -> bool:
    """Whether a relative path, read as POSIX or as Windows would, leads to a place inside the folder it starts from."""
    kinds = (PurePosixPath(name), PureWindowsPath(name))
    return bool(name) and "\0" not in name and not any(kind.anchor or ".." in kind.parts for kind in kinds)


def file_stem(name: str) -> str:
    """A file name for any text, that every system takes and that no other text has; the text itself where it is one."""
    if re.fullmatch(r"[a-z0-9_-][a-z0-9._-]{0,99}", name):
        return name
    readable = re.sub(r"[^a-z0-9._-]+", "_", name.lower()).strip("._")[:60]
    return f"{readable or '_'}.{hashlib.blake2b(name.encode(), digest_size=8).hexdigest()}"
