"""QLoRA: an adapter is trained on a base in 4 bits, and merged into the whole base; on a tiny random Voxtral."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import VoxtralForConditionalGeneration

from evoxtral.errors import ModelError, RecipeError
from evoxtral.inference import load_engine
from evoxtral.models.checkpoints import load_checkpoint
from evoxtral.models.four_bit import BYTES_A_WEIGHT
from evoxtral.training.adapters import load_adapter
from evoxtral.training.dry_run import make_plan
from evoxtral.training.recipe import Recipe, load_recipe
from evoxtral.training.stages import run_recipe
from evoxtral.training.trainee import load_trainee
from tiny_models import tone, write_corpus

bitsandbytes = pytest.importorskip("bitsandbytes")

TEXTS = ["[laughs] Hi!", "[sad] Oh NO...", "Fine."]
BASE = "mistralai/Voxtral-Mini-3B-2507"
ADAPTER = Path("adapter") / "adapter_model.safetensors"


def recipe_of(folder: Path, base: Path, **changes: object) -> Recipe:
    if not (folder / "corpus").exists():
        write_corpus(folder / "corpus", TEXTS)
    source = {"path": str(folder / "corpus")}
    content: dict[str, Any] = {
        "name": "tiny",
        "family": "voxtral",
        "base": BASE,
        "base_folder": str(base),
        "output": str(folder / "run"),
        "data": {"train": [source], "validation": [source]},
        "lora": {"dropout": 0.0, "four_bit_base": True},
        "optimisation": {"learning_rate": 4e-3, "batch_size": 3, "epochs": 20, "warmup": 0.1, "precision": "float32"},
        "evaluation": {"max_new_tokens": 30},
    }
    for field, value in changes.items():
        content[field] = content[field] | value if isinstance(content.get(field), dict) else value
    (folder / "recipe.yaml").write_text(yaml.safe_dump(content))
    return load_recipe(folder / "recipe.yaml")


def losses(output: Path) -> list[float]:
    state = json.loads(max(output.glob("checkpoints/*/trainer_state.json")).read_text())
    return [entry["loss"] for entry in state["log_history"] if "loss" in entry]


@pytest.fixture(scope="module")
def run(tiny_voxtral: Path, tmp_path_factory: pytest.TempPathFactory) -> Recipe:
    recipe = recipe_of(tmp_path_factory.mktemp("four-bit"), tiny_voxtral)
    run_recipe(recipe, report=print)
    return recipe


def test_it_learns_to_write_exactly_the_trained_texts(run: Recipe) -> None:
    lines = (run.output / "predictions.jsonl").read_text().splitlines()
    assert [json.loads(line)["hypothesis"] for line in lines] == TEXTS
    found = losses(run.output)
    assert found[-1] < 0.1 < 3 < found[0]


def test_the_language_models_layers_are_in_4_bits_and_all_else_is_as_published(tiny_voxtral: Path, run: Recipe) -> None:
    model = load_trainee(run).model
    published = load_file(tiny_voxtral / "model.safetensors")
    quantised = {name for name, layer in model.named_modules() if isinstance(layer, bitsandbytes.nn.Linear4bit)}
    kinds = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj")
    kinds += ("mlp.gate_proj", "mlp.up_proj", "mlp.down_proj")
    assert quantised == {f"model.language_model.layers.{layer}.{kind}" for layer in (0, 1) for kind in kinds}
    for name in quantised:
        weight = model.get_submodule(name).weight
        assert (weight.dtype, weight.quant_type, weight.numel()) == (
            torch.uint8,
            "nf4",
            model.get_submodule(name).in_features * model.get_submodule(name).out_features // 2,
        )
    whole = load_checkpoint(tiny_voxtral, dtype=torch.float32).model.state_dict()
    assert len(whole) == len(published)
    kept = [name for name in whole if name.removesuffix(".weight") not in quantised]
    assert {"lm_head.weight", "model.multi_modal_projector.linear_1.weight"} < set(kept)
    assert any(".audio_tower.layers.0.fc1." in name for name in kept)
    found = model.state_dict()
    for name in kept:
        assert torch.equal(found[name], whole[name]), name


def test_a_layer_in_4_bits_takes_the_bytes_of_the_estimate() -> None:
    inputs, outputs = 1024, 2048
    layer = bitsandbytes.nn.Linear4bit(inputs, outputs, bias=False, quant_type="nf4", compress_statistics=True)
    layer.to("cpu")
    state = layer.weight.quant_state
    stored = [layer.weight.data, state.absmax, state.state2.absmax]
    taken = sum(tensor.numel() * tensor.element_size() for tensor in stored)
    assert taken == inputs * outputs * BYTES_A_WEIGHT


def test_the_dry_run_counts_the_base_in_4_bits(tiny_voxtral: Path, tmp_path: Path) -> None:
    estimates = {
        four_bit: make_plan(recipe_of(tmp_path, tiny_voxtral, lora={"four_bit_base": four_bit}), ("sft",)).estimate
        for four_bit in (False, True)
    }
    whole, quantised = estimates[False], estimates[True]
    assert whole is not None
    assert quantised is not None
    # In each of two layers: q and o 64 x 64, k and v 64 x 32, three of 64 x 128.
    weights = 2 * (2 * 64 * 64 + 2 * 64 * 32 + 3 * 64 * 128)
    spared = weights * (4 - BYTES_A_WEIGHT) / 1e9
    assert whole.memory_gb - quantised.memory_gb == pytest.approx(spared, rel=1e-6)
    assert (quantised.trained_parameters, quantised.total_parameters) == (
        whole.trained_parameters,
        whole.total_parameters,
    )
    assert quantised.step_s is None  # no such step was measured


def test_merged_weights_are_the_published_base_and_the_adapters_deltas(tiny_voxtral: Path, run: Recipe) -> None:
    published = load_checkpoint(tiny_voxtral, dtype=torch.float32).model.state_dict()
    merged = VoxtralForConditionalGeneration.from_pretrained(run.output / "merged", dtype=torch.float32)
    assert not hasattr(merged.config, "quantization_config")
    adapter = load_file(run.output / ADAPTER)
    changed = 0
    for name, weight in merged.state_dict().items():
        pair = [
            adapter.get(f"base_model.model.{name.removesuffix('.weight')}.lora_{half}.weight") for half in ("B", "A")
        ]
        if pair[0] is None:
            assert torch.equal(weight, published[name]), name
            continue
        changed += 1
        delta = pair[0] @ pair[1] * (run.lora.alpha / run.lora.rank)
        torch.testing.assert_close(weight, published[name] + delta, atol=1e-5, rtol=1e-5)
    assert changed == 2 * 7 + 2 == len(adapter) // 2


def test_the_torch_engine_takes_the_adapter_on_the_whole_base(tiny_voxtral: Path, run: Recipe) -> None:
    engine = load_engine(str(tiny_voxtral), str(run.output / "adapter"))
    merged = load_engine(str(run.output / "merged"))
    windows = [tone(300 * 1.6**number, 1 + 0.5 * number) for number in range(3)]
    texts = [found.text for found in engine.transcribe_windows(windows)]
    assert texts == [found.text for found in merged.transcribe_windows(windows)]
    # Rounding the base to 4 bits and back moves the loss of so sure a model by little.
    assert texts == TEXTS


def test_a_killed_run_continues_to_the_same_weights_and_evaluations_leave_no_trace(
    tiny_voxtral: Path, tmp_path: Path
) -> None:
    """Evaluating writes texts, for which bitsandbytes would lay the weights of a processor out anew."""
    # Without noise on embeddings: loading validation windows draws from the generator that the noise comes from.
    short = {"epochs": 4, "neftune_alpha": 0}
    folders = [tmp_path / "whole", tmp_path / "killed"]
    for folder in folders:
        folder.mkdir()
    whole, killed = (
        recipe_of(
            folder,
            tiny_voxtral,
            optimisation=short,
            checkpoints={"every_steps": 2},
            evaluation={"every_steps": None if folder == folders[0] else 1, "max_new_tokens": 3},
        )
        for folder in folders
    )
    run_recipe(whole, until="sft")

    def kill(line: str) -> None:
        if line.startswith("step 3/"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_recipe(killed, until="sft", report=kill)
    told: list[str] = []
    run_recipe(killed, until="sft", resume=True, report=told.append)
    assert "continuing from checkpoint-2" in told
    expected, found = load_file(whole.output / ADAPTER), load_file(killed.output / ADAPTER)
    assert expected.keys() == found.keys()
    for name, weight in expected.items():
        torch.testing.assert_close(found[name], weight, atol=1e-6, rtol=1e-5)


def test_the_preference_stage_goes_on_with_the_base_in_4_bits(tiny_voxtral: Path, run: Recipe) -> None:
    trainee = load_trainee(run)
    adapted = load_adapter(trainee, run.output / "adapter", trainable=True)
    trained = {name for name, weight in adapted.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    assert {weight.dtype for name, weight in adapted.named_parameters() if name in trained} == {torch.float32}
    layer = adapted.get_base_model().model.language_model.layers[0].mlp.up_proj.base_layer
    assert isinstance(layer, bitsandbytes.nn.Linear4bit)


def test_whisper_stays_whole(tiny_whisper: Path, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"lora\.four_bit_base: the base of Whisper stays whole"):
        recipe_of(tmp_path, tiny_whisper, family="whisper")
    with pytest.raises(ModelError, match="Whisper models are not loaded in 4 bits"):
        load_checkpoint(tiny_whisper, dtype=torch.float32, four_bit_on="cpu")


def test_without_bitsandbytes_the_run_does_not_begin(
    tiny_voxtral: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    recipe = recipe_of(tmp_path, tiny_voxtral)
    with pytest.raises(ModelError, match=r"weights in 4 bits need bitsandbytes \(pip install 'evoxtral\[train\]'\)"):
        run_recipe(recipe)
    assert not recipe.output.exists()
