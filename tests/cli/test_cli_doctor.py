"""`evoxtral doctor` says what is there, what is missing and what adds it, and never what a key is."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from evoxtral import findings
from evoxtral.cli.doctor import command
from evoxtral.doctor.extras import find_extras
from evoxtral.findings import Finding
from evoxtral.inference.engines import registry
from evoxtral.tts.registry import SPEECH_ENGINES

SECRET = "sk-do-not-show-0123456789"
KEYS = (
    "ELEVENLABS_API_KEY",
    "MISTRAL_API_KEY",
    "OPENAI_API_KEY",
    "ANTHROPIC_API_KEY",
    "EVOXTRAL_REMOTE_KEY",
    "HF_TOKEN",
    "WANDB_API_KEY",
)


@pytest.fixture(autouse=True)
def bare_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No keys, no logins, no voices but espeak's."""
    for name in (*KEYS, "ELEVENLABS_API_KEYS", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    for name in ("KOKORO_DIR", "PIPER_DIR", "RECORDINGS_DIR", "SPEECH_CACHE"):
        monkeypatch.delenv(f"EVOXTRAL_{name}", raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, list(arguments), standalone_mode=False, catch_exceptions=False)


def examine(*arguments: str) -> dict[str, Any]:
    return json.loads(run("--format", "json", *arguments).stdout)


def by_name(findings: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {finding["name"]: finding for finding in findings}


def test_as_a_user_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    done = subprocess.run(
        [sys.executable, "-m", "evoxtral.cli.main", "doctor"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert any(line.split()[:2] == ["OPENAI_API_KEY", "set"] for line in lines)
    assert any(line.split()[:3] == ["ANTHROPIC_API_KEY", "not", "set"] for line in lines)
    assert any(line.split()[:2] == ["edge", "ready"] for line in lines)
    assert any(line.split()[:2] == ["espeak", "ready"] for line in lines)
    assert SECRET not in done.stdout


def test_keys_are_told_to_be_set_and_never_shown(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert {key["name"]: key["present"] for key in examine()["keys"]} == dict.fromkeys(KEYS, False)
    for number, name in enumerate(KEYS):
        monkeypatch.setenv(name, f"{number}-{SECRET}-{number}")
    assert {key["name"]: key["present"] for key in examine()["keys"]} == dict.fromkeys(KEYS, True)
    for kind in ("txt", "json"):
        shown = run("--format", kind).output
        assert not any(SECRET[start : start + 6] in shown for start in range(len(SECRET) - 6))
    monkeypatch.setenv("OPENAI_API_KEY", "  ")
    assert not by_name(examine()["keys"])["OPENAI_API_KEY"]["present"]


def test_stored_logins_count_as_keys(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(f"hf_{SECRET}")
    (tmp_path / "netrc").write_text(f"machine api.wandb.ai login user password {SECRET}")
    (tmp_path / "netrc").chmod(0o600)
    keys = by_name(examine()["keys"])
    assert (keys["HF_TOKEN"]["present"], keys["WANDB_API_KEY"]["present"]) == (True, True)
    assert SECRET not in run().output


def test_extras_are_found_by_what_can_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("first_package", "third"):
        (tmp_path / package).mkdir()
        # It would fail if it were imported.
        (tmp_path / package / "__init__.py").write_text("raise RuntimeError")
    monkeypatch.syspath_prepend(tmp_path)
    requirements = [
        "plain>=1",
        'First-Package>=1,<3; extra == "one"',
        'second[audio]>=2; extra == "two"',
        'mine[two]; extra == "three"',
        "third; python_version >= '3.9' and extra == 'three'",
        'fourth; extra == "dev"',
    ]
    assert [(found.name, found.present, found.detail, found.remedy) for found in find_extras(requirements, "mine")] == [
        ("one", True, "", None),
        ("three", False, "second", "pip install 'mine[three]'"),
        ("two", False, "second", "pip install 'mine[two]'"),
    ]


def test_the_projects_extras_that_are_installed_here_are_found() -> None:
    extras = by_name(examine()["extras"])
    assert extras["train"]["present"]
    assert extras["bench"]["present"]
    assert "dev" not in extras


@pytest.fixture
def hide(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    find_spec = findings.find_spec

    def hide_packages(*names: str) -> None:
        monkeypatch.setattr(findings, "find_spec", lambda name: None if name in names else find_spec(name))

    return hide_packages


def test_every_registered_engine_is_told_and_a_new_one_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Here: an engine of each kind that is a row of its registry and nothing else."""
    monkeypatch.setitem(
        registry._REGISTERED,
        "parrot",
        registry.EngineRow(
            name="parrot",
            named_by="any name",
            extra=None,
            probe=lambda: Finding("parrot", False, "no parrot", "buy one"),
            load=lambda request: pytest.fail("the doctor loads nothing"),
        ),
    )
    entry = replace(SPEECH_ENGINES["local"], name="choir", probe=lambda store: iter([Finding("choir", True, "sings")]))
    monkeypatch.setattr("evoxtral.tts.registry.SPEECH_ENGINES", {**SPEECH_ENGINES, "choir": entry})
    found = examine()
    assert set(by_name(found["engines"])) == {"edge", "torch", "remote", "parrot"}
    assert by_name(found["engines"])["parrot"] == asdict(Finding("parrot", False, "no parrot", "buy one"))
    assert {"espeak", "elevenlabs", "choir"} <= set(by_name(found["voices"]))
    assert "buy one" in run().output


def test_an_engine_that_lacks_packages_is_missing_with_what_adds_it(hide: Callable[..., None]) -> None:
    hide("torch", "peft", "onnxruntime", "elevenlabs", "kokoro_onnx")
    found = examine()
    engines = by_name(found["engines"])
    assert engines["edge"]["remedy"] == "pip install --force-reinstall evoxtral"
    assert (engines["torch"]["present"], engines["torch"]["detail"]) == (False, "missing: torch, peft")
    assert engines["torch"]["remedy"] == "pip install 'evoxtral[train]'"
    voices = by_name(found["voices"])
    assert voices["elevenlabs"]["remedy"] == "pip install 'evoxtral[elevenlabs]'"
    assert voices["kokoro"]["remedy"].startswith("pip install 'evoxtral[kokoro]', and set EVOXTRAL_KOKORO_DIR")


def test_an_incomplete_packaged_model_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evoxtral.models.names.EDGE_FOLDER", tmp_path)
    engines = by_name(examine()["engines"])
    assert not engines["edge"]["present"]
    assert "model.bin" in engines["edge"]["detail"]


def test_a_gpu_that_pytorch_cannot_use_is_shown_with_what_helps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hide: Callable[..., None]
) -> None:
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'NVIDIA H100 80GB HBM3, 81559'\necho 'NVIDIA T4, 15360'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    found = examine()["machine"]["gpus"]
    assert [(gpu["name"], gpu["memory_bytes"]) for gpu in found] == [
        ("NVIDIA H100 80GB HBM3", 81559 * 2**20),
        ("NVIDIA T4", 15360 * 2**20),
    ]
    assert all("https://pytorch.org" in gpu["remedy"] for gpu in found)
    assert "  NVIDIA H100 80GB HBM3, 79.6 GiB\n" in run().output
    hide("torch")
    assert [gpu["remedy"] for gpu in examine()["machine"]["gpus"]] == [None, None]
    program.write_text("#!/bin/sh\necho 'No devices were found'; exit 6\n")
    assert examine()["machine"]["gpus"] == []


def test_voices_are_counted_where_their_variable_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evoxtral.tts.piper.is_importable", lambda package: True)
    monkeypatch.delenv("EVOXTRAL_PIPER_DIR", raising=False)
    voices = by_name(examine()["voices"])
    assert voices["espeak"]["present"]
    assert (voices["piper"]["present"], voices["piper"]["detail"]) == (False, "EVOXTRAL_PIPER_DIR is not set")
    monkeypatch.setenv("EVOXTRAL_PIPER_DIR", str(tmp_path))
    assert by_name(examine()["voices"])["piper"]["detail"] == f"no voices in {tmp_path}"
    (tmp_path / "joe.onnx").touch()
    assert by_name(examine()["voices"])["piper"]["detail"] == "1 voice"


def test_damaged_voices_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("evoxtral.tts.kokoro.is_importable", lambda package: True)
    monkeypatch.setenv("EVOXTRAL_KOKORO_DIR", str(tmp_path))
    for name in ("kokoro.onnx", "en.npz"):
        (tmp_path / name).write_bytes(b"nothing of the kind")
    assert "damaged" in by_name(examine()["voices"])["kokoro"]["detail"]


def test_models_are_listed_with_their_size(tmp_path: Path) -> None:
    blob = tmp_path / "models--owner--whisper" / "blobs" / "0"
    snapshot = tmp_path / "models--owner--whisper" / "snapshots" / "1"
    for folder in (blob.parent, snapshot, tmp_path / "mine", tmp_path / "other" / "adapter"):
        folder.mkdir(parents=True)
    blob.write_bytes(b"x" * 3000)
    (snapshot / "config.json").symlink_to(blob)
    (tmp_path / "mine" / "config.json").write_bytes(b"x" * 72)
    (tmp_path / "other" / "adapter" / "adapter_config.json").touch()
    models = by_name(examine("--model-dir", str(tmp_path))["folders"])["models"]
    assert models == {
        "name": "models",
        "path": str(tmp_path),
        "size_bytes": 3072,
        "models": ["mine", "other/adapter", "owner/whisper"],
    }
    assert "     3 KiB  " in run("--model-dir", str(tmp_path)).output


def test_nobody_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object) -> None:
        raise AssertionError(f"called {arguments}")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setenv("EVOXTRAL_KOKORO_DIR", "owner/voices")
    monkeypatch.setenv("HF_TOKEN", SECRET)
    assert run().return_value in (0, None)
