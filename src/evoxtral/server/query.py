"""Query parameters of other services' clients: taken, knowingly left unused, or refused by name.

Knows parameters; nothing of what is done with them.
"""

from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import QueryParams

from evoxtral.server.problems import Problem

_OFF = ("", "false", "0", "no", "off", "null")


class Query:
    """The query of one request. Each reader takes a parameter; `nothing_else` refuses what was not taken.

    Args:
        params: as the request has them.
        unused: those that change nothing here, such as punctuation, which this model always writes.
        refused: those that ask for what this server does not do; their off values are fine.
    """

    def __init__(self, params: QueryParams, *, unused: Collection[str] = (), refused: Collection[str] = ()) -> None:
        self._params = params
        self._taken = {*unused, *refused}
        for name in refused:
            if any(value.lower() not in _OFF for value in params.getlist(name)):
                raise _invalid(f"{name}: this server does not do that", "leave it out")

    def text(self, name: str, default: str) -> str:
        """A text; `default` where it is missing or empty."""
        self._taken.add(name)
        found = self._params.getlist(name)
        if len(found) > 1:
            raise _invalid(f"{name}: is there {len(found)} times", "send it once")
        return found[0] if found and found[0] else default

    def texts(self, name: str) -> list[str]:
        """All texts of a name that are not empty."""
        self._taken.add(name)
        return [text for text in self._params.getlist(name) if text]

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean."""
        return self.text(name, "true" if default else "false").lower() not in _OFF

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number between two limits, both included."""
        text = self.text(name, str(default))
        if not (text.isdecimal() and text.isascii() and len(text) < 10 and low <= int(text) <= high):
            raise _invalid(f"{name}: is {text[:40]!r}", f"send a whole number from {low} to {high}")
        return int(text)

    def choice(self, name: str, options: Collection[str], default: str) -> str:
        """One of some words."""
        value = self.text(name, default)
        if value not in options:
            raise _invalid(f"{name}: is {value[:40]!r}", f"send one of {', '.join(options)}")
        return value

    def nothing_else(self) -> None:
        """Refuse parameters that nobody took.

        Raises:
            Problem: naming them.
        """
        unknown = sorted({name for name in self._params if name not in self._taken})
        if unknown:
            raise _invalid(f"unknown parameters: {', '.join(name[:40] for name in unknown[:5])}", "leave them out")


def _invalid(detail: str, hint: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, hint)
