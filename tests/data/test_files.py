"""Whole or not at all: the order of the promises, what an error or a kill leaves, and names of any length."""

import os
import sys
from pathlib import Path

import pytest

from disk_calls import noted_calls
from evoxtral.data import files
from evoxtral.data.files import file_stem, stays_inside, sweep_unfinished, whole_file, write_atomically, written_whole

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@on_linux
def test_content_is_synced_before_it_has_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    with noted_calls(monkeypatch) as calls:
        write_atomically(path, b"content")
    (first, temporary, size), *rest = calls
    assert (first, size) == ("fsync", 7)
    assert Path(temporary).parent == tmp_path
    assert rest == [("rename", str(path), 7), ("fsync", str(tmp_path), -1)]


@on_linux
def test_all_of_a_folder_is_synced_before_it_has_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    with noted_calls(monkeypatch) as calls, written_whole(folder) as unfinished:
        (unfinished / "deep").mkdir()
        (unfinished / "deep" / "one").write_bytes(b"12345")
        (unfinished / "two").write_bytes(b"123")
    kinds = [kind for kind, _, _ in calls]
    place = kinds.index("rename")
    synced = {(str(Path(path).relative_to(unfinished)), size) for _, path, size in calls[:place]}
    assert synced == {("deep/one", 5), ("deep", -1), ("two", 3), (".", -1)}
    assert calls[place:] == [("rename", str(folder), -1), ("fsync", str(tmp_path), -1)]


def test_a_cache_need_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(descriptor: int) -> None:
        raise AssertionError("nobody asked for that")

    monkeypatch.setattr(os, "fsync", refuse)
    with whole_file(tmp_path / "file", durable=False) as file:
        file.write(b"content")
    assert (tmp_path / "file").read_bytes() == b"content"


@pytest.mark.parametrize("name", ["x" * 255, "ü" * 127, "a" * 240 + ".flac"])
def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path, name: str) -> None:
    write_atomically(tmp_path / name, b"content")
    with written_whole(tmp_path / f"{name[:120]}d") as folder:
        (folder / "file").write_bytes(b"")
    assert {path.name for path in tmp_path.iterdir()} == {name, f"{name[:120]}d"}


def test_temporary_names_hold_nothing_of_the_name(tmp_path: Path) -> None:
    with whole_file(tmp_path / "secret.flac"), written_whole(tmp_path / "folder-secret"):
        names = [path.name for path in tmp_path.iterdir()]
    assert len(names) == 2
    assert not [name for name in names if "secret" in name or len(name) > 24 or not name.startswith(".")]


def test_a_block_that_fails_leaves_the_old_and_nothing_else(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", b"old")
    with written_whole(tmp_path / "folder") as folder:
        (folder / "old").touch()

    def fail_in_file() -> None:
        with whole_file(tmp_path / "file") as file:
            file.write(b"new")
            raise ZeroDivisionError

    def fail_in_folder() -> None:
        with written_whole(tmp_path / "folder") as folder:
            (folder / "new").touch()
            raise ZeroDivisionError

    for fail in (fail_in_file, fail_in_folder):
        with pytest.raises(ZeroDivisionError):
            fail()
    assert (tmp_path / "file").read_bytes() == b"old"
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["old"]
    with written_whole(tmp_path / "folder") as folder:  # and takes away what the failure left
        (folder / "newer").touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["newer"]
    assert {path.name for path in tmp_path.iterdir()} == {"file", "folder"}


def test_a_kill_between_the_two_renamings_of_a_folder_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with written_whole(tmp_path / "folder") as folder:
        (folder / "old").touch()
    real = Path.rename

    def die(old: Path, new: Path) -> Path:
        if new == tmp_path / "folder":
            raise KeyboardInterrupt
        return real(old, new)

    def write_until_killed() -> None:
        with written_whole(tmp_path / "folder"):
            monkeypatch.setattr(Path, "rename", die)

    with pytest.raises(KeyboardInterrupt):
        write_until_killed()
    monkeypatch.setattr(Path, "rename", real)
    assert not (tmp_path / "folder").exists()

    def fail() -> None:
        with written_whole(tmp_path / "folder"):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["old"]


def test_what_the_dead_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    for name in (".0123456789ab.tmp", "mine.tmp", ".hidden"):
        (tmp_path / name).touch()
    sweep_unfinished(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"mine.tmp", ".hidden"}


def test_where_folders_cannot_be_opened_files_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refuse_folders(path: object, *options: int) -> int:
        if Path(str(path)).is_dir():
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *options)  # type: ignore[arg-type]

    monkeypatch.setattr(files.os, "open", refuse_folders)
    monkeypatch.setattr(files, "_OPENS_FOLDERS", False)
    write_atomically(tmp_path / "file", b"content")
    with written_whole(tmp_path / "folder") as folder:
        (folder / "file").touch()
    assert (tmp_path / "folder" / "file").exists()


@pytest.mark.parametrize("name", ["a", "a/b.flac", "./a", "a..b/..c", "C/x"])
def test_what_stays_inside(name: str) -> None:
    assert stays_inside(name)


@pytest.mark.parametrize("name", ["", "/a", "..", "a/../b", "a\\..\\b", "C:x", "C:/x", "\\\\host\\x", "\\x", "a\0b"])
def test_what_leads_out(name: str) -> None:
    assert not stays_inside(name)


def test_a_stem_is_the_name_itself_or_tells_names_apart() -> None:
    assert file_stem("s001-0") == "s001-0"
    names = ["../a", "/a", "a/b", "a\\b", "A", "a.", "con:", "x" * 300, "x" * 301, "", "你好"]
    stems = [file_stem(name) for name in names]
    assert len({stem.lower() for stem in stems}) == len(names)
    assert all(stays_inside(stem) and stem[0] not in "./" and "/" not in stem and len(stem) < 120 for stem in stems)
