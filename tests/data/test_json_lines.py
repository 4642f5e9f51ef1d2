import json

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
        ("no json\n", r"line 1: not JSON"),
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


@pytest.mark.parametrize("name", ["r.jsonl", "r.json", "R.TXT"])
@pytest.mark.parametrize(
    "content",
    [
        '{"id": 0, "text": "a"}\n{"id": "1", "text": "b\u2028c"}\n',
        '\ufeff{"id": "0", "text": "a"}\n{"id": 1, "text": "b\u2028c"}',
        '[{"id": 0, "text": "a"}, {"id": 1, "text": "b\u2028c"}]',
        '\ufeff[\n{"id": 0,\n"text": "a"}, {"id": 1, "text": "b\u2028c"}\n]\n',
    ],
)
def test_marks_numbers_and_lists_of_other_programs_are_read(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, "utf-8")
    for kind in (Reference, Prediction):
        assert [(line.id, line.text) for line in read_records(path, kind)] == [("0", "a"), ("1", "b\u2028c")]


def test_one_object_over_several_lines_is_one_record(tmp_path):
    path = tmp_path / "r.json"
    path.write_text('{\n  "id": 3,\n  "text": "x"\n}\n')
    assert [line.id for line in read_records(path, Reference)] == ["3"]


def test_a_number_and_its_digits_are_the_same_id(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": 1, "text": "x"}\n{"id": "1", "text": "y"}\n')
    with pytest.raises(ScoreError, match=r"line 2: id '1' occurs twice"):
        read_records(path, Reference)


@pytest.mark.parametrize("audio", ["/etc/passwd", "../x.opus", "C:/x.opus", "a/../../x.opus", ""])
def test_audio_of_a_test_set_stays_inside_its_folder(tmp_path, audio):
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps({"id": "a", "text": "x", "audio": audio}) + "\n")
    with pytest.raises(ScoreError, match=r"line 1: audio: .*leads out of the folder") as error:
        read_records(path, Reference)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"id": true, "text": "x"}', "line 1: id"),
        ('{"id": ' + "9" * 5000 + ', "text": "x"}', "line 1: not JSON: Exceeds the limit"),
        ('{"id": "a", "text": ' + "[" * 100_000, "line 1: nested too deeply"),
    ],
)
def test_absurd_lines_are_told_in_one_line(tmp_path, content, message):
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(ScoreError, match=message) as error:
        read_records(path, Reference)
    assert len(str(error.value)) < 400
