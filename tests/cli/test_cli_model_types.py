"""A model of a type that nothing here can run, or that is none of its type, is one line before weights are fetched."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from evoxtral.cli.main import main
from local_hub import LocalHub, serve_hub
from tiny_models import save_tiny_realtime, write_corpus

MADE_UP = {"config.json": b'{"model_type": "made_up"}', "model.safetensors": b"eight gigabytes"}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[LocalHub]:
    import huggingface_hub.constants

    with serve_hub(monkeypatch) as served:
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        yield served


@pytest.fixture(scope="module")
def realtime(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = save_tiny_realtime(tmp_path_factory.mktemp("realtime"))
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def command_of(kind: str, model: str, folder: Path) -> list[str]:
    if kind.startswith("train"):
        recipe = {
            "name": "a",
            "family": "voxtral",
            "base": model,
            "output": str(folder / "run"),
            "data": {"train": [{"path": str(write_corpus(folder / "corpus", ["[sad] a"]))}]},
        }
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        return ["train", str(folder / "recipe.yaml"), *kind.split()[1:]]
    if kind == "transcribe":
        return ["transcribe", str(write_corpus(folder / "corpus", ["a"]) / "audio" / "train-0.flac"), "--model", model]
    if kind == "serve":
        return ["serve", "--model", model, "--port", "0"]
    return ["hub", "export", model, "-o", str(folder / "exported"), "--format", kind.split()[1]]


OTHER_FAMILY = (
    "is a Voxtral Realtime model, and the recipe's family is voxtral (write family: voxtral_realtime, or name another"
    " base)"
)
UNKNOWN = "is a made_up model (Voxtral, Voxtral Realtime and Whisper models can be run)"


@pytest.mark.parametrize(
    ("kind", "model", "refusal"),
    [
        *[
            (kind, "owner/made-up", UNKNOWN)
            for kind in ("transcribe", "train --dry-run", "train", "serve", "export vllm", "export ctranslate2")
        ],
        ("train --dry-run", "owner/realtime", OTHER_FAMILY),
        ("train", "owner/realtime", OTHER_FAMILY),
        ("export vllm", "owner/realtime", "is a Voxtral Realtime model (vLLM's layout is written for Voxtral models)"),
        (
            "export ctranslate2",
            "owner/realtime",
            "CTranslate2 knows no model of the kind voxtral_realtime (export --format vllm or hf)",
        ),
        (
            "export hf",
            "owner/realtime",
            "is a whole model in Hugging Face format already (name an adapter to merge)",
        ),
    ],
)
def test_what_cannot_be_done_with_a_model_is_refused_before_its_weights_are_fetched(
    hub: LocalHub,
    realtime: dict[str, bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    kind: str,
    model: str,
    refusal: str,
) -> None:
    hub.models |= {"owner/realtime": realtime, "owner/made-up": MADE_UP}
    with pytest.raises(SystemExit, match="2"):
        main(command_of(kind, model, tmp_path))
    told = capsys.readouterr()
    expected = f"evoxtral: {model}: {refusal}"
    assert (told.out, told.err.splitlines()) == ("", [expected])
    assert "config.json" in hub.fetched
    assert not [path for path in hub.fetched if path.endswith(".safetensors")]
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "exported").exists()


@pytest.mark.parametrize(
    "change",
    [
        {},  # the parts of a Voxtral Realtime under the name of Voxtral
        {"text_config": {"model_type": "made_up"}},
        {"text_config": {"hidden_size": "large"}},
        {"audio_config": 5},
    ],
)
def test_a_base_that_is_not_what_it_says_is_one_line_of_the_dry_run(
    realtime: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str], change: dict[str, Any]
) -> None:
    base = tmp_path / "base"
    base.mkdir()
    config = json.loads(realtime["config.json"]) | {"model_type": "voxtral"} | change
    (base / "config.json").write_text(json.dumps(config))
    with pytest.raises(SystemExit, match="2"):
        main([*command_of("train --dry-run", "owner/voxtral", tmp_path), f"base_folder={base}"])
    told = capsys.readouterr()
    assert (told.out, len(told.err.splitlines())) == ("", 1)
    assert told.err.startswith(f"evoxtral: {base}: cannot be loaded: ")
