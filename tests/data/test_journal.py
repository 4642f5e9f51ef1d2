"""The journal: on disk before it is acknowledged, last line wins, torn tails go, a line ends at a newline only."""

import sys
from pathlib import Path

import pytest
from pydantic import BaseModel

from disk_calls import noted_calls
from evoxtral.data.journal import Journal


class Note(BaseModel):
    id: str
    text: str = ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_line_is_synced_whole_and_a_new_file_s_name_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "notes.jsonl"
    journal = Journal(path, Note)
    with noted_calls(monkeypatch) as calls:
        journal.append([Note(id="a"), Note(id="b")])
        first = path.stat().st_size
        journal.append([Note(id="c")])
    assert calls == [
        ("fsync", str(path), first),
        ("fsync", str(tmp_path), -1),
        ("fsync", str(path), path.stat().st_size),
    ]
    with noted_calls(monkeypatch) as calls:
        journal.append([])
    assert calls == []


def test_separators_inside_a_text_end_no_line(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "notes.jsonl", Note)
    notes = [Note(id=str(index), text=f"a{mark}b") for index, mark in enumerate("\u2028\u2029\u0085\x0b\x0c\x1c\r\n")]
    journal.append(notes)
    assert journal.read() == notes
    # As other programs write them: not escaped.
    with (tmp_path / "notes.jsonl").open("ab") as file:
        file.write('{"id": "raw", "text": "c\u2028d\u0085e"}\r\n'.encode())
    assert journal.read()[-1].text == "c\u2028d\u0085e"


def test_the_last_line_of_a_key_wins_at_its_first_place(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "notes.jsonl", Note)
    journal.append([Note(id="a", text="old"), Note(id="b"), Note(id="a", text="new")])
    assert list(journal.latest(lambda note: note.id).items()) == [("a", Note(id="a", text="new")), ("b", Note(id="b"))]


def test_records_are_read_one_by_one(tmp_path: Path) -> None:
    path = tmp_path / "notes.jsonl"
    journal = Journal(path, Note)
    journal.append([Note(id="a")])
    with path.open("ab") as file:
        file.write(b"nonsense\n")
    assert next(iter(journal)) == Note(id="a")  # before the bad line is come to
