"""`evoxtral hub` as a user runs it: what is asked, what is shown, and exit codes."""

import contextlib
import json
import os
import pty
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from evoxtral.cli.commands import run as run_command
from evoxtral.cli.hub import command
from recording_hub import RecordingHub, record_hub


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[RecordingHub]:
    with record_hub(monkeypatch) as served:
        yield served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "adapter"
    made.mkdir()
    (made / "README.md").write_text("---\nlanguage: en\n---\n# A thing\n")
    (made / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": "someone/voxtral"}))
    (made / "adapter_model.safetensors").write_bytes(b"w" * 2500)
    return made


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments))


def test_a_dry_run_shows_all_files_and_sizes_and_calls_nobody(folder: Path, hub: RecordingHub) -> None:
    done = run("push", str(folder), "me/it", "--dry-run")
    assert (done.exit_code, done.stdout) == (0, "")
    assert "a private model repository if it is new" in done.stderr
    assert "      2.5 kB  adapter_model.safetensors\n" in done.stderr
    assert "handler.py" in done.stderr
    assert "in 5 files" in done.stderr
    assert hub.repositories == {}
    assert not (folder / "handler.py").exists()


def test_where_nobody_can_be_asked_nothing_is_uploaded_without_yes(folder: Path, hub: RecordingHub) -> None:
    done = run("push", str(folder), "me/it")
    assert done.exit_code == 2
    assert "add --yes" in done.stderr
    assert hub.repositories == {}
    done = run("push", str(folder), "me/it", "--yes")
    assert (done.exit_code, done.stdout) == (0, f"{hub.address}/me/it\n")
    assert hub.repositories["me/it"].files["adapter_model.safetensors"] == b"w" * 2500
    assert hub.token not in done.output


@pytest.mark.parametrize(("answer", "is_uploaded"), [("n", False), ("", False), ("y", True)])
def test_who_can_be_asked_decides(answer: str, is_uploaded: bool, folder: Path, hub: RecordingHub) -> None:
    """At a real terminal; only a plain yes uploads."""
    main, terminal = pty.openpty()
    os.write(main, f"{answer}\n".encode())
    before = sys.stdin
    with os.fdopen(terminal, "r") as sys.stdin:
        try:
            with pytest.raises(click.Abort) if not is_uploaded else contextlib.nullcontext():
                command.main(["push", str(folder), "me/it"], standalone_mode=False)
        finally:
            sys.stdin = before
    os.close(main)
    assert ("me/it" in hub.repositories) == is_uploaded


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--format", "gguf"], "averages each two frames"),
        (["--format", "vllm"], "is there already (name a new folder with -o)"),
    ],
)
def test_an_export_that_cannot_be_says_what_to_do(
    folder: Path, capfd: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert run_command(["hub", "export", str(folder), *arguments, "-o", str(folder)]) == 2
    assert said in capfd.readouterr().err
