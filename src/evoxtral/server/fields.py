"""The form fields and query parameters of requests: read strictly, so that none is ignored without a word.

Knows Starlette's forms and the limits of fields; nothing of what is done with them.
"""

from collections.abc import Collection
from http import HTTPStatus

from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from evoxtral.server.problems import Problem

_MAX_FIELD_BYTES = 64 * 1024
_MAX_FIELDS = 300  # a keyword may be a field of its own
_TRUE, _FALSE = ("true", "1", "yes", "on"), ("false", "0", "no", "off")


class Fields:
    """One form. Each reader takes a field; `nothing_else` refuses what was not taken.

    Args:
        form: the parsed form, which the caller closes.
    """

    def __init__(self, form: FormData) -> None:
        self._form = form
        self._taken: set[str] = set()

    def file(self, name: str) -> UploadFile:
        """The one file of that name.

        Raises:
            Problem: it is missing, no file, or there are several.
        """
        self._taken.add(name)
        found = self._form.getlist(name)
        if len(found) != 1 or not isinstance(found[0], UploadFile):
            what = (
                f"{len(found)} fields" if len(found) > 1 else "no file" if not found else "a text where a file belongs"
            )
            raise _invalid(
                f"{name}: the form has {what} of that name", "send one recording as a file in the field file"
            )
        return found[0]

    def files(self, name: str) -> list[UploadFile]:
        """All files of that name.

        Raises:
            Problem: one is a text.
        """
        self._taken.add(name)
        found = self._form.getlist(name)
        if any(not isinstance(value, UploadFile) for value in found):
            raise _invalid(f"{name}: is a text where a file belongs", "send it as a file")
        return [value for value in found if isinstance(value, UploadFile)]

    def text(self, name: str, default: str | None = None) -> str | None:
        """A text field; `default` where it is missing or empty."""
        found = self.texts(name)
        if len(found) > 1:
            raise _invalid(f"{name}: is there {len(found)} times", "send it once")
        return found[0] if found and found[0] else default

    def texts(self, name: str) -> list[str]:
        """All text fields of a name, or of that name with [] after it as OpenAI's clients send lists."""
        self._taken |= {name, f"{name}[]"}
        found = [*self._form.getlist(name), *self._form.getlist(f"{name}[]")]
        if any(not isinstance(value, str) for value in found):
            raise _invalid(f"{name}: is a file", "send it as text")
        return [str(value) for value in found]

    def flag(self, name: str, default: bool = False) -> bool:
        """A boolean field."""
        value = (self.text(name) or "").lower()
        if value and value not in (*_TRUE, *_FALSE):
            raise _invalid(f"{name}: is {value[:40]!r}", "send true or false")
        return value in _TRUE if value else default

    def number(self, name: str, low: float, high: float) -> float | None:
        """A number between two limits, both included."""
        value = self.text(name)
        if value is None:
            return None
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not low <= number <= high:
            raise _invalid(f"{name}: is {value[:40]!r}", f"send a number from {low:g} to {high:g}")
        return number

    def whole(self, name: str, low: int, high: int) -> int | None:
        """A whole number between two limits, both included."""
        number = self.number(name, low, high)
        if number is not None and number != int(number):
            raise _invalid(f"{name}: is {number:g}", "send a whole number")
        return None if number is None else int(number)

    def choice(self, name: str, options: Collection[str], default: str) -> str:
        """One of some words."""
        value = self.text(name) or default
        if value not in options:
            raise _invalid(f"{name}: is {value[:40]!r}", f"send one of {', '.join(options)}")
        return value

    def ignore(self, *names: str) -> None:
        """Fields that clients send and that change nothing here, as the interface's description says."""
        for name in names:
            self._taken |= {name, f"{name}[]"}

    def refuse(self, *names: str) -> None:
        """Fields that ask for what this server does not do; nothing, null and false are fine.

        Raises:
            Problem: naming the first that does.
        """
        for name in names:
            if any(value.strip().lower() not in ("", "null", *_FALSE) for value in self.texts(name)):
                raise _invalid(f"{name}: this server does not do that", "leave it out")

    def nothing_else(self) -> None:
        """Refuse fields that nobody took.

        Raises:
            Problem: naming them.
        """
        unknown = sorted({name for name in self._form if name not in self._taken})
        if unknown:
            raise _invalid(
                f"unknown fields: {', '.join(name[:40] for name in unknown[:5])}",
                f"this address takes {', '.join(sorted(name for name in self._taken if not name.endswith('[]')))}",
            )


async def read_fields(request: Request, *, max_field_bytes: int = _MAX_FIELD_BYTES) -> Fields:
    """Parse a request's form; its files are closed with the request.

    Args:
        max_field_bytes: longest text field.

    Raises:
        Problem: the body is no form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("multipart/form-data", "application/x-www-form-urlencoded"):
        raise _invalid("file: the body is no form", "send multipart/form-data with the recording in the field file")
    try:
        form = await request.form(max_files=8, max_fields=_MAX_FIELDS, max_part_size=max_field_bytes)
    except HTTPException as error:
        if isinstance(error, Problem) or error.status_code != HTTPStatus.BAD_REQUEST:
            raise
        raise _invalid(f"the form cannot be read: {error.detail}", "send a form as clients make them") from error
    return Fields(form)


def _invalid(detail: str, hint: str) -> Problem:
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, f"{hint}; GET /docs shows what is taken")
