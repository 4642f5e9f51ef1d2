"""The corpus folder: what a kill may leave behind, and what must survive it."""

import json
import multiprocessing
import multiprocessing.synchronize
import shutil
import threading
from pathlib import Path

import pytest

from evoxtral.data.corpus_config import CorpusConfig, ScriptsConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Clip, Domain, Script, SliceType
from evoxtral.errors import CorpusError


def make_script(name: str, text: str = "Hello there.") -> Script:
    return Script(id=name, tagged_text=text, slice_type=SliceType.PLAIN, domain=Domain.PODCAST, writer="test")


def make_clip(name: str, voice: str) -> Clip:
    return Clip(
        id=name,
        script_id="s",
        tagged_text="Hello.",
        audio=f"audio/{name}.flac",
        duration_s=1.0,
        voice=voice,
        engine="test",
        seed=0,
        slice_type=SliceType.PLAIN,
        domain=Domain.PODCAST,
    )


def test_a_record_torn_at_any_byte_is_ignored_and_the_next_append_starts_clean(tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    corpus.append_scripts([make_script("a"), make_script("b", "Grüße, ça va… 你好")])
    path = tmp_path / "scripts.jsonl"
    whole = path.read_bytes()
    first_line = whole.index(b"\n") + 1
    for size in range(first_line, len(whole)):
        path.write_bytes(whole[:size])
        assert [script.id for script in corpus.read_scripts()] == ["a"]
        corpus.append_scripts([make_script("c")])
        assert [script.id for script in corpus.read_scripts()] == ["a", "c"]


def test_a_malformed_line_inside_is_an_error_that_names_it(tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    corpus.append_scripts([make_script("a"), make_script("b")])
    path = tmp_path / "scripts.jsonl"
    lines = path.read_text().splitlines()
    lines[1] = json.dumps({**json.loads(lines[1]), "domain": "opera"})
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CorpusError, match=r"scripts\.jsonl, line 2 .*domain"):
        corpus.read_scripts()


def test_the_last_line_of_a_clip_wins_at_its_first_place(tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path)
    corpus.append_clips([make_clip("a", "old"), make_clip("b", "other")])
    corpus.append_clips([make_clip("a", "new")])
    assert [(clip.id, clip.voice) for clip in corpus.read_clips()] == [("a", "new"), ("b", "other")]


def test_a_moved_folder_is_the_same_corpus(tmp_path: Path) -> None:
    corpus = CorpusFolder(tmp_path / "here")
    config = CorpusConfig(name="moved", scripts=ScriptsConfig(count=7, seed=3))
    corpus.write_config(config)
    corpus.append_scripts([make_script("a")])
    corpus.append_clips([make_clip("a-0", "v")])
    for file in corpus.path.iterdir():
        assert str(tmp_path) not in file.read_text()
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = CorpusFolder(tmp_path / "there")
    assert moved.read_config() == config
    assert [script.id for script in moved.read_scripts()] == ["a"]
    assert moved.read_clips()[0].audio == "audio/a-0.flac"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("scripts: [", "not YAML"),
        ("scripts:\n  count: 0", r"scripts\.count"),
        ("scripts:\n  cuont: 5", r"scripts\.cuont"),
        ("- a list", r"corpus\.yaml is no mapping"),
        ("name: caf\udce9", "not UTF-8"),
    ],
)
def test_a_wrong_configuration_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "corpus.yaml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(CorpusError, match=message):
        CorpusFolder(tmp_path).read_config()


def test_a_folder_without_configuration_has_the_defaults(tmp_path: Path) -> None:
    assert CorpusFolder(tmp_path).read_config() == CorpusConfig()


def test_two_cannot_work_on_one_folder(tmp_path: Path) -> None:
    with (
        CorpusFolder(tmp_path).locked(),
        pytest.raises(CorpusError, match="another process"),
        CorpusFolder(tmp_path).locked(),
    ):
        pass
    with CorpusFolder(tmp_path).locked():
        pass


def hold(path: Path, ready: "multiprocessing.synchronize.Event") -> None:
    """In a process of its own: take the folder, say so, and never let go."""
    with CorpusFolder(path).locked():
        ready.set()
        threading.Event().wait()


def test_a_killed_holder_s_lock_is_gone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready = context.Event()
    holder = context.Process(target=hold, args=(tmp_path, ready))
    holder.start()
    assert ready.wait(60)
    with pytest.raises(CorpusError, match="another process"), CorpusFolder(tmp_path).locked():
        pass
    holder.kill()
    holder.join()
    with CorpusFolder(tmp_path).locked():
        pass
