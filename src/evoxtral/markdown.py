"""Markdown for cards, summaries and reports: tables, and texts that stay texts. Knows nothing of their content."""

import re
from collections.abc import Sequence

# An escaped character, or a bar that would end a cell.
_ESCAPED_OR_BAR = re.compile(r"\\.|\|")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def escape(text: str) -> str:
    """Any text on one line, so that it is shown as it is and opens no markup."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A table of GitHub's dialect; in cells only what would end them is escaped, so that they may hold markup."""
    lines = [list(head), ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_cell(cell) for cell in line) + " |" for line in lines)


def _cell(value: object) -> str:
    text = _ESCAPED_OR_BAR.sub(lambda found: "\\|" if found[0] == "|" else found[0], str(value))
    return " ".join(text.split())
