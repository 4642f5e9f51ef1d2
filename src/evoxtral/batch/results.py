"""What a batch writes: numbered parts with a line or row for each recording, in a folder or an object store.

A recording is finished when its result is where a kill cannot reach it: in a folder, synced to an unfinished part; in
an object store, uploaded with its part. Of two results of one id the later counts (a failure that was tried again).
Knows files and stores; nothing of transcription.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, Protocol

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, ValidationError

from evoxtral.batch.inputs import file_system
from evoxtral.data.files import sync_folder, whole_file, write_atomically
from evoxtral.data.journal import Journal
from evoxtral.errors import EvoxtralError
from evoxtral.inference.inputs import is_address
from evoxtral.models.names import without_credentials

Format = Literal["jsonl", "parquet"]

# A part is closed when it holds so much; some hundred hours of transcripts with times.
_PART_BYTES = 64 * 2**20
# To an object store a part is uploaded after so much time: what a kill there can cost at most.
_UPLOAD_EVERY_S = 60.0

_SETTINGS_FILE, _SUMMARY_FILE, _LOCK_FILE = "batch.json", "summary.json", ".lock"


class BatchError(BaseModel):
    """Why a recording has no transcript: the error's class, what is wrong in one line that names it, what mends it."""

    kind: str
    message: str
    hint: str | None = None


class BatchResult(BaseModel):
    """One recording's line: its transcript, the object of SPEC section 11, or an error."""

    model_config = ConfigDict(title="result")

    id: str
    path: str
    error: BatchError | None = None
    transcript: dict[str, Any] | None = None


class _Finished(BaseModel):
    """What is read of a result to know that it is there."""

    id: str
    error: BatchError | None = None


class ResultWriter(Protocol):
    """Takes results as they come; what `add` or `close` has returned from is safe."""

    def finished(self, *, with_failed: bool) -> set[str]:
        """The ids that have a result; failures only `with_failed`."""
        ...

    def add(self, results: Sequence[BatchResult]) -> None:
        """Take results."""
        ...

    def close(self, summary: dict[str, Any] | None = None) -> None:
        """Close the part that is open, and write the summary of a batch that is at its end."""
        ...


def open_results(target: str, form: Format, settings: dict[str, Any]) -> AbstractContextManager[ResultWriter]:
    """Open a folder or an address for the results of one batch, new or begun before.

    Args:
        settings: what the results depend on; a batch goes on with the settings that it began with.

    Raises:
        EvoxtralError: another process writes there; it was begun with other settings; it cannot be written.
    """
    settings = {"format": form, **settings}
    return _open_store(target, form, settings) if is_address(target) else _open_folder(Path(target), form, settings)


def read_results(target: str) -> Iterator[BatchResult]:
    """The results of a batch, each recording once, in no order.

    Raises:
        EvoxtralError: there are none, or a file is damaged.
    """
    parts: _Parts = _StoreParts(target) if is_address(target) else _FolderParts(Path(target))
    latest: dict[str, str] = {}
    for name in parts.names():
        for result in parts.read(name, _Finished):
            latest[result.id] = name
    for name in parts.names():
        # Within a part, too, the last one counts.
        of_part = {result.id: result for result in parts.read(name, BatchResult) if latest[result.id] == name}
        yield from of_part.values()


class _Parts(Protocol):
    """Where results lie: the names of the parts in their order, and what is in one."""

    def names(self) -> list[str]: ...

    def read(self, name: str, kind: type[Any]) -> Iterator[Any]: ...


def _finished(parts: _Parts, with_failed: bool) -> set[str]:
    found: dict[str, bool] = {}
    for name in parts.names():
        for result in parts.read(name, _Finished):
            found[result.id] = result.error is None
    return {name for name, is_done in found.items() if is_done or with_failed}


# --- parts as lines and rows -----------------------------------------------------------------------------------------


def _as_lines(results: Iterable[BatchResult]) -> bytes:
    return b"".join(result.model_dump_json().encode() + b"\n" for result in results)


def _as_table(results: Sequence[BatchResult]) -> bytes:
    """Parquet: what is mostly asked for in columns of its own, and the whole transcript as JSON."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    def column(name: str) -> list[Any]:
        return [None if result.transcript is None else result.transcript.get(name) for result in results]

    table = pa.table(
        {
            "id": pa.array([result.id for result in results], pa.string()),
            "path": pa.array([result.path for result in results], pa.string()),
            "error": pa.array(
                [None if result.error is None else result.error.model_dump_json() for result in results], pa.string()
            ),
            "language": pa.array(column("language"), pa.string()),
            "duration_s": pa.array(column("duration_s"), pa.float64()),
            "text": pa.array(column("text"), pa.string()),
            "plain_text": pa.array(column("plain_text"), pa.string()),
            "transcript": pa.array(
                [
                    None if result.transcript is None else json.dumps(result.transcript, ensure_ascii=False)
                    for result in results
                ],
                pa.string(),
            ),
        }
    )
    buffer = BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _table_results(file: Any, kind: type[BaseModel]) -> Iterator[Any]:
    import pyarrow.parquet as pq

    wanted = ["id", "error"] if kind is _Finished else ["id", "path", "error", "transcript"]
    with pq.ParquetFile(file) as table:
        for group in range(table.num_row_groups):
            for row in table.read_row_group(group, columns=wanted).to_pylist():
                for name in ("error", "transcript"):
                    if row.get(name) is not None:
                        row[name] = json.loads(row[name])
                yield kind.model_validate(row)


def _line_results(file: Any, kind: type[BaseModel], name: str) -> Iterator[Any]:
    for number, line in enumerate(file, start=1):
        try:
            yield kind.model_validate_json(line)
        except ValidationError as error:
            raise EvoxtralError(f"{name}, line {number}: is no result", "delete that line") from error


def _encoded(results: Sequence[BatchResult], form: Format) -> bytes:
    return _as_table(results) if form == "parquet" else _as_lines(results)


def _number(name: str) -> int:
    return int(name.partition("-")[2].partition(".")[0])


def _check_settings(known: dict[str, Any], wanted: dict[str, Any], target: str) -> None:
    differing = [name for name in wanted if known.get(name) != wanted[name]]
    if differing:
        name = differing[0]
        raise EvoxtralError(
            f"{without_credentials(target)}: was begun with {name} {known.get(name)!r}, not {wanted[name]!r}",
            "name another output, or give the same options",
        )


# --- a folder --------------------------------------------------------------------------------------------------------


class _FolderParts:
    """The parts in a folder. The open part is a journal of lines, whatever the format of the closed ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        found = [path.name for path in self.folder.glob("part-*.*")]
        # Closed already, and killed before the open one could be removed.
        open_parts = [
            path.name
            for path in self.folder.glob("unfinished-*.jsonl")
            if not any(_number(name) == _number(path.name) for name in found)
        ]
        return sorted(found, key=_number) + sorted(open_parts, key=_number)

    def read(self, name: str, kind: type[Any]) -> Iterator[Any]:
        path = self.folder / name
        if name.startswith("unfinished-"):
            yield from Journal(path, kind)
        elif name.endswith(".parquet"):
            yield from _table_results(path, kind)
        else:
            with path.open("rb") as file:
                yield from _line_results(file, kind, str(path))


@contextmanager
def _open_folder(folder: Path, form: Format, settings: dict[str, Any]) -> Iterator[ResultWriter]:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / _LOCK_FILE, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise EvoxtralError(f"{folder}: another batch writes there", "wait for it, or name another output") from error
    except OSError as error:
        raise EvoxtralError(f"{folder}: cannot be written: {error.strerror}") from error
    try:
        settings_file = folder / _SETTINGS_FILE
        if settings_file.exists():
            _check_settings(json.loads(settings_file.read_bytes()), settings, str(folder))
        else:
            write_atomically(settings_file, json.dumps(settings, indent=2).encode())
        writer = _FolderWriter(folder, form)
        try:
            yield writer
        finally:
            writer.close()
    finally:
        lock.release()


class _FolderWriter:
    def __init__(self, folder: Path, form: Format) -> None:
        self._parts = _FolderParts(folder)
        self._form = form
        names = self._parts.names()
        unfinished = next((name for name in names if name.startswith("unfinished-")), None)
        for left_over in folder.glob("unfinished-*.jsonl"):
            if left_over.name != unfinished:
                left_over.unlink()  # its closed part is there
        number = _number(unfinished) if unfinished else max((_number(name) for name in names), default=-1) + 1
        self._begin(number)

    def _begin(self, number: int) -> None:
        self._number = number
        self._journal = Journal(self._parts.folder / f"unfinished-{number:05}.jsonl", BatchResult)

    def finished(self, *, with_failed: bool) -> set[str]:
        return _finished(self._parts, with_failed)

    def add(self, results: Sequence[BatchResult]) -> None:
        self._journal.append(results)
        if self._journal.path.exists() and self._journal.path.stat().st_size >= _PART_BYTES:
            self._seal()

    def _seal(self) -> None:
        open_part = self._journal.path
        if not open_part.exists():
            return
        closed = open_part.with_name(f"part-{self._number:05}.{self._form}")
        # Read and written again also as lines: a torn last line stays behind.
        with whole_file(closed) as file:
            file.write(_encoded(self._journal.read(), self._form))
        open_part.unlink()
        sync_folder(open_part.parent)
        self._begin(self._number + 1)

    def close(self, summary: dict[str, Any] | None = None) -> None:
        self._seal()
        if summary is not None:
            write_atomically(self._parts.folder / _SUMMARY_FILE, json.dumps(summary, indent=2).encode())


# --- an object store -------------------------------------------------------------------------------------------------


class _StoreParts:
    def __init__(self, address: str) -> None:
        self.address = address
        self.files, self.path = file_system(address.rstrip("/"))

    def names(self) -> list[str]:
        try:
            found = self.files.ls(self.path, detail=False)
        except FileNotFoundError:
            found = []
        names = [str(name).rpartition("/")[2] for name in found]
        return sorted((name for name in names if name.startswith("part-")), key=_number)

    def read(self, name: str, kind: type[Any]) -> Iterator[Any]:
        with self.files.open(f"{self.path}/{name}", "rb") as file:
            if name.endswith(".parquet"):
                yield from _table_results(file, kind)
            else:
                yield from _line_results(file, kind, name)

    def put(self, name: str, content: bytes) -> None:
        try:
            self.files.makedirs(self.path, exist_ok=True)
            self.files.pipe_file(f"{self.path}/{name}", content)  # there whole or not at all, as object stores promise
        except OSError as error:
            raise EvoxtralError(f"{without_credentials(self.address)}: cannot be written: {error}") from error


@contextmanager
def _open_store(address: str, form: Format, settings: dict[str, Any]) -> Iterator[ResultWriter]:
    parts = _StoreParts(address)
    path = f"{parts.path}/{_SETTINGS_FILE}"
    if parts.files.exists(path):
        _check_settings(json.loads(parts.files.cat_file(path)), settings, address)
    else:
        parts.put(_SETTINGS_FILE, json.dumps(settings, indent=2).encode())
    writer = _StoreWriter(parts, form)
    try:
        yield writer
    finally:
        writer.close()


class _StoreWriter:
    def __init__(self, parts: _StoreParts, form: Format) -> None:
        self._parts = parts
        self._form = form
        self._next = max((_number(name) for name in parts.names()), default=-1) + 1
        self._waiting: list[BatchResult] = []
        self._waiting_bytes = 0
        self._since_s = time.monotonic()

    def finished(self, *, with_failed: bool) -> set[str]:
        return _finished(self._parts, with_failed)

    def add(self, results: Sequence[BatchResult]) -> None:
        self._waiting += results
        self._waiting_bytes += len(_as_lines(results))
        if self._waiting_bytes >= _PART_BYTES or time.monotonic() - self._since_s >= _UPLOAD_EVERY_S:
            self._upload()

    def _upload(self) -> None:
        if self._waiting:
            self._parts.put(f"part-{self._next:05}.{self._form}", _encoded(self._waiting, self._form))
            self._next += 1
        self._waiting, self._waiting_bytes, self._since_s = [], 0, time.monotonic()

    def close(self, summary: dict[str, Any] | None = None) -> None:
        self._upload()
        if summary is not None:
            self._parts.put(_SUMMARY_FILE, json.dumps(summary, indent=2).encode())
