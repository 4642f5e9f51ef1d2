"""Configuration files in YAML, read strictly: what YAML would guess at is refused, with the line and what to write.

YAML takes `no` for false, 2026-11-27 for a date and 1:30 for ninety, and lets the last of two equal keys win. Users who
write such things mean a text, or made a slip; both are told. Knows nothing of what a configuration holds.
"""

import math
import re
from pathlib import Path
from typing import Any

import yaml

from evoxtral.errors import EvoxtralError

_MAX_BYTES = 1_000_000
_MAX_VALUES = 100_000  # aliases are counted as often as they stand
_MAX_DEPTH = 40
_MAX_DIGITS = 18  # fits into 64 bits
_GUESSED_BOOLEAN = re.compile(r"(?i)y|n|yes|no|on|off")
_SEXAGESIMAL = re.compile(r"[-+]?\d[\d_]*(:\d+)+(\.\d*)?")


class _Refused(yaml.MarkedYAMLError):
    """Something that YAML would read and that is not read here."""

    def __init__(self, node: yaml.Node, problem: str) -> None:
        super().__init__(problem=problem, problem_mark=node.start_mark)


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without its guesses."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: dict[object, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key)
            if name in seen:
                raise _Refused(
                    key, f"the key {_short(key.value)} stands in line {seen[name]} already: keep one of them"
                )
            seen[name] = key.start_mark.line + 1
        return super().construct_mapping(node, deep)

    def boolean(self, node: yaml.ScalarNode) -> bool:
        if _GUESSED_BOOLEAN.fullmatch(node.value):
            raise _Refused(
                node, f'{node.value} would be read as true or false: quote it ("{node.value}"), or write true or false'
            )
        return bool(self.construct_yaml_bool(node))

    def date(self, node: yaml.ScalarNode) -> None:
        raise _Refused(node, f'{_short(node.value)} would be read as a date: quote it ("{_short(node.value)}")')

    def integer(self, node: yaml.ScalarNode) -> int:
        if len(node.value) > _MAX_DIGITS:
            raise _Refused(node, f"a number of {len(node.value):,} characters is too long; quote it if it is a text")
        if _SEXAGESIMAL.fullmatch(node.value):
            raise _Refused(node, f'{node.value} would be read as minutes: quote it ("{node.value}")')
        return int(self.construct_yaml_int(node))

    def real(self, node: yaml.ScalarNode) -> float:
        if _SEXAGESIMAL.fullmatch(node.value):
            raise _Refused(node, f'{_short(node.value)} would be read as minutes: quote it ("{_short(node.value)}")')
        value = float(self.construct_yaml_float(node))
        if not math.isfinite(value):
            raise _Refused(node, f"{_short(node.value)} is no finite number")
        return value


for _kind, _read in (
    ("bool", _Loader.boolean),
    ("timestamp", _Loader.date),
    ("int", _Loader.integer),
    ("float", _Loader.real),
):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_kind}", _read)


def read_yaml(path: Path, error: type[EvoxtralError]) -> dict[str, Any]:
    """The mapping that a YAML file holds; an empty file holds none.

    Args:
        error: what is raised.

    Raises:
        EvoxtralError: `error`, in one line with the file, the line in it and what to write: the file is missing or not
            UTF-8, is no YAML, no mapping, too large, too deeply nested, has a key twice, or says something that YAML
            would guess at.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise error(f"there is no file {path}") from None
    except OSError as refused:
        raise error(f"cannot read {path}: {refused.strerror or refused}") from refused
    if len(content) > _MAX_BYTES:
        raise error(f"{path} is too large for a configuration: {len(content):,} bytes", "is it the right file?")
    try:
        value = parse_yaml(content.decode("utf-8-sig"), error, name=str(path))
    except UnicodeDecodeError as damaged:
        raise error(f"{path} is not UTF-8 text", "save it as UTF-8") from damaged
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise error(f"{path} is no mapping of names to values", "write lines such as name: value")
    return value


def parse_yaml(text: str, error: type[EvoxtralError], *, name: str) -> Any:
    """The value that a YAML text stands for, as strictly as `read_yaml`.

    Args:
        name: what messages call the text.

    Raises:
        EvoxtralError: `error`, in one line.
    """
    try:
        value = yaml.load(text, _Loader)  # noqa: S506 - a kind of safe loader
    except yaml.MarkedYAMLError as wrong:
        mark = wrong.problem_mark or wrong.context_mark
        where = "" if mark is None else f", line {mark.line + 1}"
        problem = " ".join((wrong.problem or wrong.context or "not YAML").split())
        told = problem if isinstance(wrong, _Refused) else f"not YAML: {_short(problem, 200)}"
        raise error(f"{name}{where}: {told}") from wrong
    except yaml.YAMLError as wrong:
        raise error(f"{name} is not YAML: {_short(' '.join(str(wrong).split()), 200)}") from wrong
    except RecursionError:
        raise _too_deep(name, error) from None
    except ValueError as wrong:  # what PyYAML's own constructors trip over
        raise error(f"{name} holds a value that is none: {_short(' '.join(str(wrong).split()), 200)}") from wrong
    _bound(value, name, error)
    return value


def _bound(value: Any, name: str, error: type[EvoxtralError]) -> None:
    """Refuse what is deep, or endless, or grows without bound when its aliases are written out."""
    waiting = [(value, 1)]
    count = 0
    while waiting:
        item, depth = waiting.pop()
        count += 1
        if depth > _MAX_DEPTH:
            raise _too_deep(name, error)
        if count > _MAX_VALUES:
            raise error(f"{name} holds more than {_MAX_VALUES:,} values", "is it the right file?")
        inside = item.values() if isinstance(item, dict) else item if isinstance(item, list) else ()
        waiting += [(part, depth + 1) for part in inside]


def _too_deep(name: str, error: type[EvoxtralError]) -> EvoxtralError:
    return error(f"{name} is nested too deeply", f"at most {_MAX_DEPTH} levels are read")


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[:most] + "..."
