import pytest

from evoxtral.data.json_lines import read_records
from evoxtral.data.records import Prediction, Reference
from evoxtral.errors import ScoreError


def test_lines_of_any_system_are_read(tmp_path):
    path = tmp_path / "h.jsonl"
    path.write_text('{"id": "a", "text": "[sad] Hello", "score": 3}\n\n{"id": "b", "text": ""}')
    assert [(line.id, line.text) for line in read_records(path, Prediction)] == [("a", "[sad] Hello"), ("b", "")]


def test_the_unit_of_a_clip_is_its_script(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": "a", "text": "x", "script_id": "s"}\n{"id": "b", "text": "y"}\n')
    assert [line.unit for line in read_records(path, Reference)] == ["s", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "holds no lines"),
        ('{"id": "a", "text": "x"}\n{"id": "a", "text": "y"}\n', r"line 2: id 'a' occurs twice"),
        ('{"id": "a"}\n', "line 1: text"),
        ("[1]\n", "line 1"),
        ("no json\n", r"line 1: .*JSON"),
        ('{"id": "", "text": "x"}', "line 1: id"),
    ],
)
def test_malformed_files_are_refused_by_line(tmp_path, content, message):
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(ScoreError, match=message):
        read_records(path, Reference)


def test_a_missing_file_and_one_that_is_no_text(tmp_path):
    with pytest.raises(ScoreError, match="No such file"):
        read_records(tmp_path / "none.jsonl", Reference)
    (tmp_path / "binary.jsonl").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ScoreError, match="not UTF-8"):
        read_records(tmp_path / "binary.jsonl", Reference)
