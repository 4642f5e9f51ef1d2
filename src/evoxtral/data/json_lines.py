"""Files of JSON lines that users bring: references and predictions. Knows their records, nothing of scores."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from evoxtral.data.records import Prediction, Reference
from evoxtral.errors import ScoreError

Record = TypeVar("Record", Reference, Prediction)


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """All lines of a file, in order; other fields than those of the record are ignored.

    Raises:
        ScoreError: the file is missing or empty, a line is no such record, or an id occurs twice.
    """
    try:
        lines = path.read_text("utf-8").split("\n")  # not splitlines: JSON may hold other line separators
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ScoreError(f"cannot read {path}: {reason}", 'give a file of JSON lines {"id", "text"}') from error
    records: dict[str, Record] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = kind.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            message = f"{path}, line {number}: {where + ': ' if where else ''}{first['msg']}"
            raise ScoreError(message, 'each line is a JSON object with "id" and "text"') from error
        if record.id in records:
            raise ScoreError(f"{path}, line {number}: id {record.id!r} occurs twice", "keep one line an id")
        records[record.id] = record
    if not records:
        raise ScoreError(f"{path} holds no lines", 'give a file of JSON lines {"id", "text"}')
    return list(records.values())
