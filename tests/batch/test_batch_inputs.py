"""What a batch finds: folders, patterns, manifests, tables and object stores, each recording once and by its own id."""

import csv
import json

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.batch.inputs import BatchItem, read_items
from evoxtral.errors import EvoxtralError


@pytest.fixture
def calls(tmp_path):
    folder = tmp_path / "calls"
    (folder / "more").mkdir(parents=True)
    for name in ("b.mp3", "a.wav", "more/c.opus", "notes.txt", ".hidden.wav"):
        (folder / name).write_bytes(b"x")
    return folder


def test_a_folder_gives_its_media_in_order(calls):
    assert [item.address for item in read_items(str(calls))] == [
        str(calls / name) for name in ("a.wav", "b.mp3", "more/c.opus")
    ]


def test_a_pattern_gives_what_it_matches_whatever_its_suffix(calls):
    assert [item.address for item in read_items(f"{calls}/*.[tm]*")] == [str(calls / "b.mp3"), str(calls / "notes.txt")]
    assert len(list(read_items(f"{calls}/**/*.opus"))) == 1


@pytest.mark.parametrize("key", ["audio_filepath", "path", "audio"])
def test_lines_of_json_name_recordings_beside_the_manifest(calls, key):
    manifest = calls / "list.jsonl"
    manifest.write_text(
        "\ufeff"
        + json.dumps({key: "a.wav", "id": 7, "duration": 3.2})
        + "\n\n"
        + json.dumps({key: "/far/b.wav"})
        + "\n"
    )
    assert list(read_items(str(manifest))) == [
        BatchItem("7", str(calls / "a.wav")),
        BatchItem("/far/b.wav", "/far/b.wav"),
    ]


def test_tables_of_text_are_read_as_pythons_own_writer_writes_them(calls):
    for suffix, delimiter in ((".csv", ","), (".tsv", "\t")):
        manifest = calls / f"list{suffix}"
        with manifest.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["id", "path"], delimiter=delimiter)
            writer.writeheader()
            writer.writerow({"id": 'a, "b"\tc', "path": "a.wav"})
        assert list(read_items(str(manifest))) == [BatchItem('a, "b"\tc', str(calls / "a.wav"))]
    (calls / "list.txt").write_text("a.wav\ns3://bucket/key.flac\n")
    assert [item.address for item in read_items(str(calls / "list.txt"))] == [
        str(calls / "a.wav"),
        "s3://bucket/key.flac",
    ]


@pytest.mark.parametrize("group", [1, 2, 100])
def test_a_table_with_the_sound_itself_gives_it_row_by_row(tmp_path, group):
    contents = [f"sound {index}".encode() for index in range(5)]
    table = pa.table({"audio": [{"bytes": content, "path": "x.wav"} for content in contents], "text": ["t"] * 5})
    pq.write_table(table, tmp_path / "set.parquet", row_group_size=group)
    items = list(read_items(str(tmp_path / "set.parquet")))
    assert [item.name for item in items] == [f"{tmp_path}/set.parquet#{index}" for index in range(5)]
    for item, content in zip(items, contents, strict=True):
        with item.opened() as source:
            assert source.read() == content


def test_a_table_with_paths_names_files(tmp_path):
    pq.write_table(pa.table({"id": ["one"], "path": ["a.wav"]}), tmp_path / "set.parquet")
    assert list(read_items(str(tmp_path / "set.parquet"))) == [BatchItem("one", str(tmp_path / "a.wav"))]


def test_an_object_store_is_listed_and_read():
    store = fsspec.filesystem("memory")
    for name in ("/calls/b.mp3", "/calls/deep/a.wav", "/calls/readme.md"):
        store.pipe_file(name, name.encode())
    items = list(read_items("memory://calls"))
    assert [item.address for item in items] == ["memory:///calls/b.mp3", "memory:///calls/deep/a.wav"]
    with items[1].opened() as source:
        assert source.read() == b"/calls/deep/a.wav"
    assert [item.address for item in read_items("memory://calls/*.mp3")] == ["memory:///calls/b.mp3"]
    store.pipe_file("/lists/list.txt", b"memory://calls/b.mp3\n")
    assert [item.address for item in read_items("memory://lists/list.txt")] == ["memory://calls/b.mp3"]


def test_one_id_names_one_recording(tmp_path):
    manifest = tmp_path / "list.jsonl"
    manifest.write_text('{"id": "x", "path": "a.wav"}\n{"id": "x", "path": "a.wav"}\n')
    assert len(list(read_items(str(manifest)))) == 1
    manifest.write_text('{"id": "x", "path": "a.wav"}\n{"id": "x", "path": "b.wav"}\n')
    with pytest.raises(EvoxtralError, match="the id 'x' names both"):
        list(read_items(str(manifest)))


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("nowhere", "does not exist"),
        ("list.jsonl", "no JSON"),
        ("list.csv", "names no recording"),
        ("set.parquet", "no Parquet table"),
        ("other.parquet", "no column of recordings"),
        ("empty", "holds no audio"),
        ("strange://host/x", "nothing installed knows strange"),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(tmp_path, monkeypatch, source, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "list.jsonl").write_text("{\n")
    (tmp_path / "list.csv").write_text("name\nx\n")
    (tmp_path / "set.parquet").write_bytes(b"PAR1")
    pq.write_table(pa.table({"text": ["t"]}), tmp_path / "other.parquet")
    with pytest.raises(EvoxtralError, match=said) as raised:
        list(read_items(source))
    assert "\n" not in str(raised.value)


@given(st.text(min_size=1, max_size=20))
def test_passwords_in_addresses_are_shown_nowhere(password):
    secret = "".join(character for character in password if character.isalnum()) or "x"
    item = BatchItem("id", f"s3://user:{secret}secret@bucket/key.wav")
    assert f"{secret}secret" not in item.name
