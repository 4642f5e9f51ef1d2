"""Inputs are found and their outputs named without collisions."""

from pathlib import Path

import pytest

from evoxtral.inference.inputs import find_inputs


def make(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def outputs(*paths: object) -> dict[str, str]:
    return {item.path: item.output.as_posix() for item in find_inputs(str(path) for path in paths)}


def test_files_are_taken_as_they_are_and_standard_input_has_a_name() -> None:
    assert outputs("-", "some/talk.v2.mp3", "missing") == {
        "-": "stdin",
        "some/talk.v2.mp3": "talk.v2",
        "missing": "missing",
    }


def test_folders_give_their_media_in_order_and_keep_their_shape(tmp_path: Path) -> None:
    make(tmp_path, "b.WAV", "a.mp3", "notes.txt", ".hidden.wav", "deep/er/c.mkv", ".git/d.wav", "wav", "e.flac.part")
    assert outputs(tmp_path) == {
        f"{tmp_path}/a.mp3": "a",
        f"{tmp_path}/b.WAV": "b",
        f"{tmp_path}/deep/er/c.mkv": "deep/er/c",
    }


def test_equal_names_never_share_an_output(tmp_path: Path) -> None:
    make(tmp_path, "talk.mp3", "talk.wav", "x/talk.mp3", "y/talk.mp3")
    assert list(outputs(tmp_path / "talk.mp3", tmp_path / "talk.wav").values()) == ["talk.mp3", "talk.wav"]
    assert list(outputs(tmp_path / "x/talk.mp3", tmp_path / "y/talk.mp3").values()) == ["talk.mp3", "talk.mp3-2"]
    assert list(outputs(tmp_path / "x", tmp_path / "y").values()) == ["talk.mp3", "talk.mp3-2"]
    # A file system may hold names that differ in case to be the same; a recording may be called as an output is.
    assert list(outputs("Talk.wav", "talk.mp3", "TALK.MP3.flac").values()) == ["Talk.wav", "talk.mp3", "TALK.MP3-2"]


def test_a_name_that_no_file_can_have_is_a_missing_file() -> None:
    assert list(outputs("x" * 5000)) == ["x" * 5000]


def test_each_recording_is_taken_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "a.wav", "b.wav")
    assert list(outputs(tmp_path / "b.wav", tmp_path, tmp_path / "b.wav")) == [f"{tmp_path}/b.wav", f"{tmp_path}/a.wav"]
    monkeypatch.chdir(tmp_path)
    assert list(outputs("b.wav", "./b.wav", tmp_path, ".", "-", "-")) == ["b.wav", f"{tmp_path}/a.wav", "-"]


@pytest.mark.parametrize(
    "suffix", ["wav", "flac", "mp3", "ogg", "opus", "m4a", "aac", "webm", "mp4", "mkv", "mov", "aif", "aiff"]
)
def test_the_usual_suffixes_are_media(suffix: str, tmp_path: Path) -> None:
    make(tmp_path, f"a.{suffix}")
    assert len(outputs(tmp_path)) == 1


def test_addresses_are_named_by_their_last_part_which_stays_inside_the_output_folder() -> None:
    assert outputs(
        "https://host/shows/talk%20one.mp3?key=1",
        "http://host.example:8000/",
        "http://me:hidden@other.example",
        "http://third/a/%2e%2e",
        "http://host/..%2f..%2fetc%2fpasswd",
        "http://host/a%00b.ogg",
    ) == {
        "https://host/shows/talk%20one.mp3?key=1": "talk one",
        "http://host.example:8000/": "host",
        "http://me:hidden@other.example": "other",
        "http://third/a/%2e%2e": "third",
        "http://host/..%2f..%2fetc%2fpasswd": "passwd",
        "http://host/a%00b.ogg": "ab",
    }


def test_a_password_in_an_address_is_not_part_of_its_name() -> None:
    (found,) = find_inputs(["http://me:hidden@host/talk.ogg"])
    assert (found.name, found.path) == ("http://***@host/talk.ogg", "http://me:hidden@host/talk.ogg")
