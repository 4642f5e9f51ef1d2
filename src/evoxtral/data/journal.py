"""The journal: an append-only file of JSON lines, one record each, that loses nothing it has acknowledged.

Knows how lines reach the disk and come back; knows nothing of what the records mean.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from evoxtral.data.files import sync_folder
from evoxtral.errors import CorpusError

Record = TypeVar("Record", bound=BaseModel)


class Journal(Generic[Record]):
    """An append-only file of JSON lines, one record each.

    A line counts once its newline is on disk. A torn last line (killed while writing) was never acknowledged: it is
    skipped when reading and cut off before the next append. A line ends at a newline and at nothing else: JSON texts
    may hold other separators, such as U+2028.
    """

    def __init__(self, path: Path, kind: type[Record]) -> None:
        self.path = path
        self._kind = kind

    def __iter__(self) -> Iterator[Record]:
        """The records in file order, read one by one; none where there is no file.

        Raises:
            CorpusError: a complete line is not a valid record.
        """
        if not self.path.exists():
            return
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    return
                if line.strip(b" \t\r\n"):
                    yield self._parse(line, number)

    def read(self) -> list[Record]:
        """All records in file order.

        Raises:
            CorpusError: a complete line is not a valid record.
        """
        return list(self)

    def latest(self, key: Callable[[Record], str]) -> dict[str, Record]:
        """The last record of each key, keys in order of their first lines.

        Raises:
            CorpusError: a complete line is not a valid record.
        """
        return {key(record): record for record in self}

    def append(self, records: Iterable[Record]) -> None:
        """Add records; when this returns they are on disk."""
        content = b"".join(record.model_dump_json().encode() + b"\n" for record in records)
        if not content:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not self.path.exists()
        with self.path.open("ab+") as file:
            end = file.seek(0, os.SEEK_END)
            if end and (file.seek(end - 1), file.read(1))[1] != b"\n":
                file.seek(0)
                file.truncate(file.read().rfind(b"\n") + 1)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if is_new:
            sync_folder(self.path.parent)

    def _parse(self, line: bytes, number: int) -> Record:
        try:
            return self._kind.model_validate_json(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            name = self._kind.model_config.get("title") or self._kind.__name__.lower()
            raise CorpusError(
                f"{self.path}, line {number} is no valid {name}: {where or 'line'}: {first['msg']}",
                "mend or delete that line",
            ) from error
