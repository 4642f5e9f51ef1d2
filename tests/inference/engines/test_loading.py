"""Models are loaded by name from the user's folder and from the hub, and offline from what is there."""

import json
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference import load_engine
from evoxtral.models import ModelStore
from local_hub import LocalHub, serve_hub
from tiny_edge import save_tiny_edge
from tiny_models import save_tiny_whisper

TEXT = "[sad] It was READ from the hub."
SOUND = np.random.default_rng(0).normal(0, 0.1, SAMPLE_RATE_HZ).astype(np.float32)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    with serve_hub(monkeypatch) as served:
        yield served


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def adapter(whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter that changes much, whose base is called by its name on the hub."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import WhisperForConditionalGeneration

    torch.manual_seed(1)
    model = get_peft_model(
        WhisperForConditionalGeneration.from_pretrained(whisper), LoraConfig(r=4, target_modules=r".*decoder.*\.fc1")
    )
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.5)
    folder = tmp_path_factory.mktemp("adapter")
    model.save_pretrained(folder)
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": "owner/whisper"}))
    return folder


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def forbid_network(patch: pytest.MonkeyPatch) -> list[object]:
    tried: list[object] = []

    def refuse(*arguments: object, **_: object) -> None:
        tried.append(arguments)
        raise OSError("no network in this test")

    patch.setattr(socket.socket, "connect", refuse)
    patch.setattr(socket, "getaddrinfo", refuse)
    return tried


def test_models_and_adapters_of_the_hub_are_loaded_and_then_found_offline(
    hub: LocalHub, whisper: Path, adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.models |= {"owner/whisper": files(whisper), "owner/adapter": files(adapter)}
    expected = load_engine(str(whisper), str(adapter)).transcribe_windows([SOUND])
    assert expected != load_engine(str(whisper)).transcribe_windows([SOUND])
    names = ("owner/whisper+owner/adapter", "owner/adapter")  # the second names its base itself
    for name in names:
        assert load_engine(name, store=ModelStore(tmp_path)).transcribe_windows([SOUND]) == expected
    tried = forbid_network(monkeypatch)
    for name in names:
        engine = load_engine(name, store=ModelStore(tmp_path, offline=True))
        assert (engine.model, engine.transcribe_windows([SOUND])) == (name, expected)
    assert tried == []


def test_a_fast_model_of_the_hub_needs_no_torch(hub: LocalHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.models["owner/fast"] = files(save_tiny_edge(tmp_path / "made", text=TEXT))
    hub.models["owner/large"] = {"config.json": b"{}", "model.safetensors": b"ten gigabytes"}
    monkeypatch.setitem(sys.modules, "torch", None)
    monkeypatch.delitem(sys.modules, "evoxtral.inference.engines.torch.torch_engine", raising=False)
    monkeypatch.setattr("evoxtral.inference.engines.registry.is_importable", lambda name: False)
    engine = load_engine("owner/fast", store=ModelStore(tmp_path))
    assert engine.name == "ctranslate2"
    assert engine.transcribe_windows([SOUND])[0].text == TEXT
    with pytest.raises(ModelError, match="owner/large: needs PyTorch"):
        load_engine("owner/large", store=ModelStore(tmp_path))
    assert "model.safetensors" not in hub.fetched


@pytest.mark.parametrize("name", ["owner/made-up", "owner/adapter"])
def test_a_model_of_no_family_is_refused_before_its_weights_are_fetched(
    hub: LocalHub, tmp_path: Path, name: str
) -> None:
    hub.models["owner/made-up"] = {
        "config.json": b'{"model_type": "made_up"}',
        "tekken.json": b"{}",
        "model.safetensors": b"eight gigabytes",
    }
    named = {"base_model_name_or_path": "owner/made-up", "peft_type": "LORA"}
    hub.models["owner/adapter"] = {"adapter_config.json": json.dumps(named).encode(), "adapter_model.safetensors": b"a"}
    with pytest.raises(ModelError, match="is a made_up model") as caught:
        load_engine(name, store=ModelStore(tmp_path))
    assert not [path for path in hub.fetched if path.endswith(".safetensors")]
    assert (
        str(caught.value)
        == "owner/made-up: is a made_up model (Voxtral, Voxtral Realtime and Whisper models can be run)"
    )


def test_the_packaged_model_and_folders_need_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_tiny_edge(tmp_path, text=TEXT)
    tried = forbid_network(monkeypatch)
    store = ModelStore(tmp_path, offline=True)
    assert load_engine("ct2", store=store).transcribe_windows([SOUND])[0].text == TEXT
    assert load_engine(store=store).model == "edge"
    for model in ("http://127.0.0.1:9/v1#x", "owner/none", "ct2+owner/none"):
        with pytest.raises(ModelError):
            load_engine(model, store=store)
    assert tried == []
