"""Words as they are searched: without case, accents and punctuation, the same in both databases."""

import re
import unicodedata

from sqlalchemy import ColumnElement, Integer, String, cast, literal, literal_column, select, table
from sqlalchemy.dialects.postgresql import TSQUERY

from evoxtral.server.store.tables import SEARCH_TABLE, TranscriptRow

# The expression of the index (see the migrations). It takes so much of a text, some four hours of talk, because an
# entry may hold a megabyte.
_POSTGRES_WORDS = "array_to_tsvector(string_to_array(left(transcripts.search_text, 200000), ' '))"
MAX_TERMS = 16
_SNIPPET_CHARACTERS = 160


def searchable(text: str) -> str:
    """The words of a text as they are kept for searching, with a space between."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    letters = "".join(
        character if character.isalnum() else " "
        for character in decomposed
        if not unicodedata.category(character).startswith("M")
    )
    return " ".join(letters.split())


def matches(query: str, *, is_sqlite: bool) -> ColumnElement[bool] | None:
    """That a transcript holds words that begin as those of the query do; None for a query without words."""
    terms = searchable(query).split()[:MAX_TERMS]
    if not terms:
        return None
    if is_sqlite:
        search = table(SEARCH_TABLE)
        wanted = " ".join(f'"{term}"*' for term in terms)
        is_match = literal_column(SEARCH_TABLE, String).op("MATCH", is_comparison=True)(wanted)
        return TranscriptRow.number.in_(select(literal_column("rowid", Integer)).select_from(search).where(is_match))
    wanted = " & ".join(f"'{term}':*" for term in terms)
    words: ColumnElement[str] = literal_column(_POSTGRES_WORDS)
    return words.op("@@", is_comparison=True)(cast(literal(wanted, String), TSQUERY))


def snippet(text: str, query: str = "") -> str:
    """A piece of a text around the first word of the query, on one line; its beginning where there is none."""
    line = " ".join(text.split())
    start = 0
    for term in searchable(query).split():
        found = next((word for word in re.finditer(r"\S+", line) if _holds(word.group(), term)), None)
        if found is not None:
            start = max(0, found.start() - _SNIPPET_CHARACTERS // 3)
            break
    if start:
        start = line.rfind(" ", 0, start) + 1
    end = start + _SNIPPET_CHARACTERS
    if end < len(line):
        end = max(line.rfind(" ", start, end), start + 1) if " " in line[start:end] else end
    return f"{'… ' if start else ''}{line[start:end]}{' …' if end < len(line) else ''}"


def _holds(word: str, term: str) -> bool:
    return any(part.startswith(term) for part in searchable(word).split())
