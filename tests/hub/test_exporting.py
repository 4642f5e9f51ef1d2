"""Adapters of a tiny Whisper to whole models that transformers and CTranslate2 load; what has no such form is told."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from evoxtral.errors import ModelError
from evoxtral.hub.exporting import export
from evoxtral.inference import load_engine
from evoxtral.training.adapters import add_adapter, save_adapter
from evoxtral.training.recipe import Lora
from tiny_models import save_tiny_voxtral, save_tiny_whisper, trainee_of


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """It names a base that is not here."""
    model = add_adapter(trainee_of(base), Lora(rank=4, alpha=8))
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.fill_(0.1)
    folder = tmp_path_factory.mktemp("lora") / "adapter"
    save_adapter(model, "someone/whisper", folder)
    return folder


def test_an_adapter_is_merged(base: Path, adapter: Path, tmp_path: Path) -> None:
    export(str(adapter), tmp_path / "hf", "hf", base=str(base))
    name = "model.decoder.layers.1.fc1"
    lora = load_file(adapter / "adapter_model.safetensors")
    delta = 8 / 4 * lora[f"base_model.model.{name}.lora_B.weight"] @ lora[f"base_model.model.{name}.lora_A.weight"]
    merged, before = (load_file(folder / "model.safetensors")[f"{name}.weight"] for folder in (tmp_path / "hf", base))
    torch.testing.assert_close(merged, before + delta)
    with pytest.raises(ModelError, match="whole model in Hugging Face format already"):
        export(str(tmp_path / "hf"), tmp_path / "again", "hf")


def test_an_adapter_is_converted_for_ctranslate2(base: Path, adapter: Path, tmp_path: Path) -> None:
    export(f"{base}+{adapter}", tmp_path / "ct2", "ctranslate2", quantization="float32")
    assert load_engine(str(tmp_path / "ct2")).name == "ctranslate2"
    assert [path.name for path in tmp_path.iterdir()] == ["ct2"]  # no merged weights are left behind


def test_what_has_no_such_form_is_told(base: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="vLLM's layout is written for Voxtral models"):
        export(str(base), tmp_path / "out", "vllm")
    with pytest.raises(ModelError, match="CTranslate2 knows no model of the kind voxtral"):
        export(str(save_tiny_voxtral(tmp_path / "voxtral")), tmp_path / "out", "ctranslate2")
    with pytest.raises(ModelError, match="only an adapter for vLLM"):
        export(str(base), tmp_path / "out", "vllm", as_adapter=True)
    assert not (tmp_path / "out").exists()
