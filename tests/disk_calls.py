"""What a block asks of the file system, in order: real calls, noted as they are made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def noted_calls(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[str, str, int]]]:
    """Yields a list that grows by ("fsync", path, size) and ("rename", new path, size), sizes as they are then."""
    calls: list[tuple[str, str, int]] = []
    real_fsync, real_replace, real_rename = os.fsync, os.replace, os.rename

    def fsync(descriptor: int) -> None:
        real_fsync(descriptor)
        path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
        calls.append(("fsync", path, -1 if Path(path).is_dir() else os.fstat(descriptor).st_size))

    def renamed_by(real: Any) -> Any:
        def rename(old: Any, new: Any, **options: Any) -> None:
            real(old, new, **options)
            calls.append(("rename", str(new), -1 if Path(new).is_dir() else Path(new).stat().st_size))

        return rename

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        patched.setattr(os, "replace", renamed_by(real_replace))
        patched.setattr(os, "rename", renamed_by(real_rename))
        yield calls
