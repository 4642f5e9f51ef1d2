"""Files of JSON objects that users bring: one a line, or a list; told apart by content, whatever the file is called.

Knows JSON's traps (byte order marks, separators inside texts, deep nesting); nothing of scores or corpora.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from evoxtral.data.records import Prediction, Reference
from evoxtral.errors import EvoxtralError, ScoreError

Record = TypeVar("Record", Reference, Prediction)


def read_objects(path: Path, error: type[EvoxtralError], *, expected: str) -> Iterator[tuple[int, Any]]:
    """The values of a file, each with the number of its line (of its place, in a list).

    A file that begins with "[" is one JSON list; any other has one value a line, or, if its first line is none, one
    value over all lines.

    Args:
        error: what is raised.
        expected: what a hint says the file should be, such as 'JSON lines {"id", "text"}'.

    Raises:
        EvoxtralError: `error`, in one line: the file cannot be read, is not UTF-8, or is not JSON.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as refused:
        raise error(f"cannot read {path}: {refused.strerror}", f"give a file of {expected}") from refused
    except UnicodeDecodeError as damaged:
        raise error(f"cannot read {path}: not UTF-8", f"give a file of {expected}") from damaged
    if text.lstrip(" \t\r\n").startswith("["):
        yield from enumerate(_parse(text, path, 1, error, expected), start=1)
        return
    # Not splitlines: JSON texts may hold other separators, such as U+2028.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            yield number, _parse(line, path, number, error, expected)
        except error:
            # Perhaps an object set out over several lines.
            if number > 1 or not line.strip().startswith("{"):
                raise
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = None
            if value is None:
                raise
            yield 1, value
            return


def _parse(text: str, path: Path, number: int, error: type[EvoxtralError], expected: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as wrong:
        line = number - 1 + wrong.lineno
        raise error(f"{path}, line {line}: not JSON: {wrong.msg}", f"give a file of {expected}") from wrong
    except RecursionError:
        raise error(f"{path}, line {number}: nested too deeply", f"give a file of {expected}") from None
    except ValueError as wrong:  # a number of thousands of digits
        told = str(wrong).split(";", 1)[0]
        raise error(f"{path}, line {number}: not JSON: {told}", f"give a file of {expected}") from wrong


def read_records(path: Path, kind: type[Record]) -> list[Record]:
    """All records of a file, in order; other fields than those of the record are ignored.

    Raises:
        ScoreError: the file is missing or empty, a line is no such record, or an id occurs twice.
    """
    records: dict[str, Record] = {}
    for number, value in read_objects(path, ScoreError, expected='JSON lines {"id", "text"}'):
        try:
            record = kind.model_validate(value)
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
