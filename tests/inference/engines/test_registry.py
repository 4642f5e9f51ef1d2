"""Engines are rows: those of the package are found, and one that a test adds is named, loaded and used like them."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from evoxtral import findings
from evoxtral.errors import ModelError
from evoxtral.findings import Finding
from evoxtral.inference import load_engine
from evoxtral.inference.engines import registry
from evoxtral.inference.engines.registry import EngineRequest, EngineRow, engines
from evoxtral.models import ModelStore


def test_the_engines_of_the_package_are_found_in_order_and_can_run_here() -> None:
    rows = engines()
    assert [row.name for row in rows] == ["edge", "torch", "remote"]
    assert [row.extra for row in rows] == [None, "train", None]
    assert all(row.probe().present for row in rows)


def test_a_missing_package_is_told_with_what_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    found = findings.find_spec
    monkeypatch.setattr(findings, "find_spec", lambda name: None if name == "peft" else found(name))
    (torch_row,) = [row for row in engines() if row.name == "torch"]
    assert torch_row.probe() == Finding("torch", False, "missing: peft", "pip install 'evoxtral[train]'")


def test_finding_the_rows_imports_nothing_heavy() -> None:
    code = (
        "import sys; from evoxtral.inference.engines.registry import engines; engines();"
        "print({'torch', 'transformers', 'ctranslate2', 'onnxruntime'} & set(sys.modules))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "set()\n"


@pytest.fixture
def asked(scripted_engine: Any) -> Iterator[list[EngineRequest]]:
    requests: list[EngineRequest] = []

    def load(request: EngineRequest) -> Any:
        requests.append(request)
        return scripted_engine

    registry.register_engine(
        EngineRow(
            name="parrot",
            named_by="parrot:WORDS, or a folder with words.txt",
            extra=None,
            probe=lambda: Finding("parrot", True, "says what it is told"),
            load=load,
            claims_name=lambda name: name.startswith("parrot:"),
            claims_folder=lambda folder: (folder / "words.txt").is_file(),
            order=5,
        )
    )
    yield requests
    del registry._REGISTERED["parrot"]


def test_an_engine_that_is_added_is_named_and_loaded_like_the_others(
    asked: list[EngineRequest], scripted_engine: Any, tmp_path: Path
) -> None:
    assert engines()[0].name == "parrot"
    assert load_engine("parrot:hello", "some/adapter", compiled=True, store=ModelStore(offline=True)) is scripted_engine
    assert asked == [EngineRequest("parrot:hello", "some/adapter", None, compiled=True, offline=True)]
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "words.txt").write_text("hello")
    assert load_engine(str(tmp_path)) is scripted_engine
    assert asked[1].weights is not None
    assert asked[1].weights.folder == tmp_path
    with pytest.raises(ModelError, match="takes no adapter"):
        load_engine(str(tmp_path), "some/adapter")
    assert len(asked) == 2
