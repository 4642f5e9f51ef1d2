"""Results on disk and in stores: each once, whatever is killed, and what another batch began is left alone."""

import json

import fsspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.batch import results as results_module
from evoxtral.batch.results import BatchError, BatchResult, open_results, read_results
from evoxtral.errors import EvoxtralError

SETTINGS = {"model": "edge"}


def result(name, text="[laughs] Well…\u2028then."):
    transcript = {"language": "en", "duration_s": 1.5, "text": text, "plain_text": text, "words": [], "path": name}
    return BatchResult(id=name, path=f"{name}.wav", transcript=transcript)


def failure(name):
    return BatchResult(id=name, path=f"{name}.wav", error=BatchError(kind="AudioError", message="no sound"))


@pytest.fixture(params=["folder", "store"])
def target(request, tmp_path):
    return str(tmp_path / "out") if request.param == "folder" else f"memory://{tmp_path.name}/out"


@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_what_was_added_is_read_again_over_several_calls(target, form):
    with open_results(target, form, SETTINGS) as writer:
        assert writer.finished(with_failed=True) == set()
        writer.add([result("a"), failure("b")])
    with open_results(target, form, SETTINGS) as writer:
        assert writer.finished(with_failed=True) == {"a", "b"}
        assert writer.finished(with_failed=False) == {"a"}
        writer.add([result("b"), result("c")])
        writer.close({"done": 2})
    assert sorted(read_results(target), key=lambda found: found.id) == [result("a"), result("b"), result("c")]


def test_parts_are_closed_when_they_are_full(tmp_path, monkeypatch):
    monkeypatch.setattr(results_module, "_PART_BYTES", 1)
    with open_results(str(tmp_path), "jsonl", SETTINGS) as writer:
        for name in "abc":
            writer.add([result(name)])
    assert sorted(path.name for path in tmp_path.glob("*.jsonl")) == [f"part-0000{number}.jsonl" for number in range(3)]


def test_parquet_parts_are_what_datasets_load(tmp_path):
    import datasets

    with open_results(str(tmp_path / "out"), "parquet", SETTINGS) as writer:
        writer.add([result("a"), failure("b")])
    loaded = datasets.load_dataset(
        "parquet", data_files=str(tmp_path / "out" / "part-*.parquet"), split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded["id"][:] == ["a", "b"]
    assert loaded["text"][:] == [result("a").transcript["text"], None]
    assert json.loads(loaded["transcript"][0]) == result("a").transcript


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=6, unique=True), st.integers(0, 400))
def test_a_kill_costs_no_line_that_was_whole(tmp_path_factory, names, left_bytes):
    folder = tmp_path_factory.mktemp("killed")
    lines = [result(name).model_dump_json().encode() + b"\n" for name in names]
    content = b"".join(lines)[:left_bytes]
    (folder / "batch.json").write_text(json.dumps({"format": "parquet", **SETTINGS}))
    (folder / "unfinished-00000.jsonl").write_bytes(content)
    whole = [name for index, name in enumerate(names) if len(b"".join(lines[: index + 1])) <= left_bytes]
    with open_results(str(folder), "parquet", SETTINGS) as writer:
        assert writer.finished(with_failed=True) == set(whole)
        writer.add([result(name) for name in names if name not in whole])
    assert {found.id for found in read_results(str(folder))} == set(names)
    assert [path.name for path in folder.glob("unfinished-*")] == []


def test_killed_between_closing_a_part_and_removing_the_open_one_nothing_is_there_twice(tmp_path):
    with open_results(str(tmp_path), "jsonl", SETTINGS) as writer:
        writer.add([result("a")])
    open_part = tmp_path / "unfinished-00000.jsonl"
    open_part.write_bytes((tmp_path / "part-00000.jsonl").read_bytes())
    with open_results(str(tmp_path), "jsonl", SETTINGS) as writer:
        writer.add([result("b")])
    assert [found.id for found in read_results(str(tmp_path))] == ["a", "b"]
    assert not open_part.exists()


def test_other_settings_and_other_writers_are_refused(target):
    with open_results(target, "jsonl", SETTINGS):
        if "://" not in target:
            with pytest.raises(EvoxtralError, match="another batch writes there"):
                open_results(target, "jsonl", SETTINGS).__enter__()
    with pytest.raises(EvoxtralError, match="was begun with model 'edge', not 'other'"):
        open_results(target, "jsonl", {"model": "other"}).__enter__()
    with pytest.raises(EvoxtralError, match="was begun with format 'jsonl', not 'parquet'"):
        open_results(target, "parquet", SETTINGS).__enter__()


def test_a_store_gets_parts_in_time(tmp_path, monkeypatch):
    target = f"memory://{tmp_path.name}/timed"
    with open_results(target, "jsonl", SETTINGS) as writer:
        writer.add([result("a")])
        assert list(read_results(target)) == []
        monkeypatch.setattr(results_module, "_UPLOAD_EVERY_S", 0.0)
        writer.add([result("b")])
        assert {found.id for found in read_results(target)} == {"a", "b"}
    assert len(fsspec.filesystem("memory").glob(f"/{tmp_path.name}/timed/part-*")) == 1
