"""Markdown: what is quoted is shown as it is, in tables too."""

import pytest

from evoxtral.markdown import escape, table


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("a|b", r"a\|b"),
        (escape("a|b"), r"a\|b"),
        (escape("a\\|b"), r"a\\\|b"),
        ("`x` **bold**", "`x` **bold**"),
        ("two\nlines", "two lines"),
    ],
)
def test_a_cell_ends_where_it_should_and_is_escaped_once(cell: str, written: str) -> None:
    assert table(["head"], [[cell]]).splitlines()[2] == f"| {written} |"
