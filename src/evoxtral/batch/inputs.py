"""What a batch reads: folders, patterns, manifests, tables, on disks and in object stores; each recording once.

A recording has an id, by which its result is found, and an address: a path, an address that fsspec knows
(s3://, gs://, https://, ...), or a row of a Parquet table. Knows where sound lies; nothing of what is said in it.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from evoxtral.audio.spooling import pieces_of, spooled
from evoxtral.errors import AudioError, EvoxtralError
from evoxtral.inference.fetching import fetched
from evoxtral.inference.inputs import find_inputs, is_address, is_media_name
from evoxtral.models.names import without_credentials

_MANIFEST_SUFFIXES = (".jsonl", ".ndjson", ".csv", ".tsv", ".txt")
# What manifests of others call the place of the sound (NeMo, Lhotse, Hugging Face), in the order of preference.
_ADDRESS_KEYS = ("audio_filepath", "audio", "path", "address", "url", "uri", "file", "file_name")
_HTTP = ("http://", "https://")
_PATTERN_CHARACTERS = "*?["


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One recording of a batch.

    Attributes:
        id: unique in the batch.
        address: path or address of a file.
        row: where `address` is a Parquet table: the row whose column `column` holds the sound.
        column: see `row`.
    """

    id: str
    address: str
    row: int | None = None
    column: str = "audio"

    @property
    def name(self) -> str:
        """How messages and transcripts call it; without passwords."""
        shown = without_credentials(self.address)
        return shown if self.row is None else f"{shown}#{self.row}"

    def opened(self) -> AbstractContextManager[str | BinaryIO]:
        """What to decode: a path, or an open file.

        Raises:
            AudioError: it cannot be fetched. OSError, ValueError: as of the file system that is asked.
        """
        if self.row is not None:
            return nullcontext(_sound_in_row(self.address, self.row, self.column))
        if not is_address(self.address):
            return nullcontext(self.address)
        if self.address.lower().startswith(_HTTP):
            return fetched(self.address)
        return _downloaded(self.address, self.name)


def read_items(source: str) -> Iterator[BatchItem]:
    """The recordings that `source` names, in a fixed order, each once.

    Args:
        source: a folder (with all media in it and below), a pattern (`calls/*.mp3`), a file of sound; a manifest: JSON
            lines, CSV or TSV with a column named as in `_ADDRESS_KEYS` and perhaps `id`, or text with an address a
            line; a Parquet table with such a column or with the sound itself (as Hugging Face's have it). Of all of
            them also addresses that fsspec knows. Relative addresses in a manifest start at its folder.

    Raises:
        EvoxtralError: there is no such thing, nothing in it, or two recordings have one id.
    """
    seen: dict[str, BatchItem] = {}
    for item in _found(source):
        known = seen.setdefault(item.id, item)
        if known is item:
            yield item
        elif known != item:
            raise EvoxtralError(
                f"{without_credentials(source)}: the id {item.id!r} names both {known.name} and {item.name}",
                "give each recording an id of its own",
            )
    if not seen:
        raise EvoxtralError(f"{without_credentials(source)}: holds no audio or video", "name a folder or a manifest")


def _found(source: str) -> Iterable[BatchItem]:
    lowered = source.lower()
    if lowered.endswith(".parquet"):
        return _rows(source)
    if lowered.endswith(_MANIFEST_SUFFIXES):
        return _listed(source)
    if is_address(source):
        return _stored(source)
    if any(character in source for character in _PATTERN_CHARACTERS) and not Path(source).exists():
        files, pattern = file_system(source)
        return (_of_address(path) for path in sorted(files.glob(pattern)) if Path(path).is_file())
    if not Path(source).exists():
        raise EvoxtralError(f"{source}: does not exist", "name a folder, a pattern, a manifest or an address")
    return (_of_address(found.path) for found in find_inputs([source]))


def _of_address(address: str) -> BatchItem:
    return BatchItem(without_credentials(address), address)


# --- manifests and tables --------------------------------------------------------------------------------------------


def _listed(source: str) -> Iterator[BatchItem]:
    text = _text_of(source)
    kind = PurePosixPath(source).suffix.lower()
    if kind == ".txt":
        entries: Iterable[dict[str, Any]] = ({"path": line.strip()} for line in text.split("\n") if line.strip())
    elif kind in (".csv", ".tsv"):
        entries = csv.DictReader(StringIO(text), delimiter="\t" if kind == ".tsv" else ",")
    else:
        entries = _json_lines(text, source)
    base = source.rpartition("/")[0] if is_address(source) else str(Path(source).parent)
    for number, entry in enumerate(entries, start=1):
        address = next((entry[key] for key in _ADDRESS_KEYS if entry.get(key)), None)
        if not isinstance(address, str):
            raise EvoxtralError(
                f"{without_credentials(source)}, entry {number}: names no recording",
                f"give it one of {', '.join(_ADDRESS_KEYS)}",
            )
        if not is_address(address) and not Path(address).is_absolute():
            address = f"{base}/{address}" if is_address(source) else os.path.join(base, address)  # noqa: PTH118
        name = entry.get("id")
        yield _of_address(address) if name in (None, "") else BatchItem(str(name), address)


def _json_lines(text: str, source: str) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            entry = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise EvoxtralError(f"{without_credentials(source)}, line {number}: is no JSON: {error}") from error
        if not isinstance(entry, dict):
            raise EvoxtralError(f"{without_credentials(source)}, line {number}: is no JSON object")
        yield entry


def _text_of(source: str) -> str:
    try:
        if is_address(source):
            with _file_system_open(source) as file:
                content: bytes = file.read()
        else:
            content = Path(source).read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise EvoxtralError(f"{without_credentials(source)}: is not UTF-8", "save it as UTF-8") from error
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise EvoxtralError(f"{without_credentials(source)}: cannot be read: {reason}") from error


def _rows(source: str) -> Iterator[BatchItem]:
    with _table(source) as table:
        names = set(table.schema_arrow.names)
        column = next((key for key in _ADDRESS_KEYS if key in names), None)
        if column is None:
            raise EvoxtralError(
                f"{without_credentials(source)}: has no column of recordings", f"call it {', '.join(_ADDRESS_KEYS)}"
            )
        import pyarrow.types

        is_text = pyarrow.types.is_string(table.schema_arrow.field(column).type)
        wanted = [*(["id"] if "id" in names else []), *([column] if is_text else [])]
        row = 0
        base = str(Path(source).parent)
        for group in range(table.num_row_groups):
            content = table.read_row_group(group, columns=wanted)
            for index in range(table.metadata.row_group(group).num_rows):
                name = str(content["id"][index].as_py()) if "id" in names else None
                if is_text:
                    address = str(content[column][index].as_py())
                    if not is_address(address) and not is_address(source):
                        address = os.path.join(base, address)  # noqa: PTH118 - an absolute address stays
                    yield BatchItem(name or without_credentials(address), address)
                else:
                    yield BatchItem(name or f"{without_credentials(source)}#{row}", source, row, column)
                row += 1


def _sound_in_row(source: str, row: int, column: str) -> BinaryIO:
    with _table(source) as table:
        for group in range(table.num_row_groups):
            rows = table.metadata.row_group(group).num_rows
            if row < rows:
                value = table.read_row_group(group, columns=[column])[column][row].as_py()
                content = value.get("bytes") if isinstance(value, dict) else value
                if not isinstance(content, bytes):
                    raise AudioError(f"{without_credentials(source)}#{row}: the column {column} holds no sound")
                return BytesIO(content)
            row -= rows
    raise AudioError(f"{without_credentials(source)}: has no row {row}")


@contextmanager
def _table(source: str) -> Iterator[Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise EvoxtralError("Parquet needs pyarrow", "pip install 'evoxtral[batch]'") from error
    try:
        with _file_system_open(source) as file, pyarrow.parquet.ParquetFile(file) as table:
            yield table
    except (OSError, pyarrow.ArrowInvalid) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise EvoxtralError(f"{without_credentials(source)}: is no Parquet table: {reason}") from error


# --- object stores ---------------------------------------------------------------------------------------------------


def _stored(source: str) -> Iterator[BatchItem]:
    """All media below an address, those that a pattern matches, or the one recording that it is."""
    if source.lower().startswith(_HTTP):
        yield _of_address(source)
        return
    files, path = file_system(source)
    try:
        if any(character in path for character in _PATTERN_CHARACTERS):
            found = files.glob(path)
        elif files.isdir(path):
            found = [name for name in files.find(path) if is_media_name(PurePosixPath(name).name)]
        elif files.exists(path):
            found = [path]
        else:
            raise EvoxtralError(f"{without_credentials(source)}: does not exist")
    except OSError as error:
        raise EvoxtralError(
            f"{without_credentials(source)}: cannot be listed: {error}", "check the address and its credentials"
        ) from error
    for name in sorted(found):
        yield _of_address(files.unstrip_protocol(name))


def file_system(address: str) -> tuple[Any, str]:
    """The fsspec file system of an address, and the path there.

    Raises:
        EvoxtralError: nothing that is installed knows addresses of this scheme.
    """
    import fsspec

    try:
        files, path = fsspec.core.url_to_fs(address)
    except (ImportError, ValueError) as error:
        scheme = address.partition("://")[0]
        raise EvoxtralError(
            f"{without_credentials(address)}: nothing installed knows {scheme} addresses: {error}",
            "pip install s3fs for s3://, gcsfs for gs://, adlfs for abfs://",
        ) from error
    return files, str(path)


def _file_system_open(source: str) -> AbstractContextManager[Any]:
    if not is_address(source):
        return Path(source).open("rb")
    files, path = file_system(source)
    opened: AbstractContextManager[Any] = files.open(path, "rb")
    return opened


@contextmanager
def _downloaded(address: str, name: str) -> Iterator[BinaryIO]:
    with _file_system_open(address) as remote, spooled(pieces_of(remote, name), name) as file:
        yield file
