"""Exports for vLLM: names and rows as Mistral has them, and what vLLM would load is the model that was given."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import VoxtralConfig, VoxtralForConditionalGeneration
from transformers.models.whisper.modeling_whisper import sinusoids

from evoxtral.errors import ModelError
from evoxtral.hub.export_vllm import export_adapter, export_merged
from evoxtral.hub.mistral_layout import mistral_name
from evoxtral.training.adapters import add_adapter, load_adapter, save_adapter
from evoxtral.training.recipe import Lora
from tiny_models import save_tiny_voxtral, trainee_of

# Worked by hand for a model of one layer each, from the published weights' names: Mistral's, then transformers'.
ENCODER = "mm_whisper_embeddings.whisper_encoder"
BLOCK = f"{ENCODER}.transformer.layers.0"
NAMES = {
    "output.weight": "language_model.lm_head.weight",
    "norm.weight": "language_model.model.norm.weight",
    "mm_whisper_embeddings.tok_embeddings.weight": "language_model.model.embed_tokens.weight",
    "mm_whisper_embeddings.audio_language_projection.0.weight": "multi_modal_projector.linear_1.weight",
    "mm_whisper_embeddings.audio_language_projection.2.weight": "multi_modal_projector.linear_2.weight",
    "layers.0.attention_norm.weight": "language_model.model.layers.0.input_layernorm.weight",
    "layers.0.ffn_norm.weight": "language_model.model.layers.0.post_attention_layernorm.weight",
    "layers.0.attention.wq.weight": "language_model.model.layers.0.self_attn.q_proj.weight",
    "layers.0.attention.wk.weight": "language_model.model.layers.0.self_attn.k_proj.weight",
    "layers.0.attention.wv.weight": "language_model.model.layers.0.self_attn.v_proj.weight",
    "layers.0.attention.wo.weight": "language_model.model.layers.0.self_attn.o_proj.weight",
    "layers.0.feed_forward.w1.weight": "language_model.model.layers.0.mlp.gate_proj.weight",
    "layers.0.feed_forward.w2.weight": "language_model.model.layers.0.mlp.down_proj.weight",
    "layers.0.feed_forward.w3.weight": "language_model.model.layers.0.mlp.up_proj.weight",
    f"{ENCODER}.conv_layers.0.weight": "audio_tower.conv1.weight",
    f"{ENCODER}.conv_layers.0.bias": "audio_tower.conv1.bias",
    f"{ENCODER}.conv_layers.1.weight": "audio_tower.conv2.weight",
    f"{ENCODER}.conv_layers.1.bias": "audio_tower.conv2.bias",
    f"{ENCODER}.transformer.norm.weight": "audio_tower.layer_norm.weight",
    f"{ENCODER}.transformer.norm.bias": "audio_tower.layer_norm.bias",
    f"{BLOCK}.attention.wq.weight": "audio_tower.layers.0.self_attn.q_proj.weight",
    f"{BLOCK}.attention.wq.bias": "audio_tower.layers.0.self_attn.q_proj.bias",
    f"{BLOCK}.attention.wk.weight": "audio_tower.layers.0.self_attn.k_proj.weight",
    f"{BLOCK}.attention.wv.weight": "audio_tower.layers.0.self_attn.v_proj.weight",
    f"{BLOCK}.attention.wv.bias": "audio_tower.layers.0.self_attn.v_proj.bias",
    f"{BLOCK}.attention.wo.weight": "audio_tower.layers.0.self_attn.out_proj.weight",
    f"{BLOCK}.attention.wo.bias": "audio_tower.layers.0.self_attn.out_proj.bias",
    f"{BLOCK}.attention_norm.weight": "audio_tower.layers.0.self_attn_layer_norm.weight",
    f"{BLOCK}.attention_norm.bias": "audio_tower.layers.0.self_attn_layer_norm.bias",
    f"{BLOCK}.feed_forward.w1.weight": "audio_tower.layers.0.fc1.weight",
    f"{BLOCK}.feed_forward.w1.bias": "audio_tower.layers.0.fc1.bias",
    f"{BLOCK}.feed_forward.w2.weight": "audio_tower.layers.0.fc2.weight",
    f"{BLOCK}.feed_forward.w2.bias": "audio_tower.layers.0.fc2.bias",
    f"{BLOCK}.ffn_norm.weight": "audio_tower.layers.0.final_layer_norm.weight",
    f"{BLOCK}.ffn_norm.bias": "audio_tower.layers.0.final_layer_norm.bias",
}
POSITIONS = "audio_tower.embed_positions.weight"
HEADS = {"q": 4, "k": 2}  # of the tiny model's text decoder; head_dim 16


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Voxtral with the positions that every published one has."""
    folder = save_tiny_voxtral(tmp_path_factory.mktemp("voxtral"))
    weights = load_file(folder / "model.safetensors")
    weights[POSITIONS] = sinusoids(1500, 16)
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.fixture(scope="module")
def adapter(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter as training saves it, with deltas that are not nought."""
    return save_random_adapter(base, tmp_path_factory.mktemp("lora") / "adapter")


def save_random_adapter(base: Path, folder: Path) -> Path:
    model = add_adapter(trainee_of(base), Lora(rank=8, alpha=16))
    torch.manual_seed(1)
    with torch.no_grad():
        for name, weights in model.named_parameters():
            if "lora_B" in name:
                weights.normal_(0, 0.1)
    save_adapter(model, "someone/voxtral", folder)
    return folder


def expected_names() -> dict[str, str]:
    """The table for the tiny model, whose text decoder has a second layer."""
    second = {
        mistral.replace("layers.0", "layers.1"): ours.replace("layers.0", "layers.1")
        for mistral, ours in NAMES.items()
        if mistral.startswith("layers.0")
    }
    return NAMES | second


def to_transformers_order(name: str, weights: torch.Tensor) -> torch.Tensor:
    """Mistral's rows 0 1 2 3 ... of a head become 0 2 4 ... 1 3 5 ...: pairs of neighbours are pulled apart."""
    found = re.fullmatch(r"layers\.\d+\.attention\.w([qk])\.weight", name)
    if found is None:
        return weights
    heads = HEADS[found[1]]
    size = len(weights) // heads
    rows = [head * size + row for head in range(heads) for row in (*range(0, size, 2), *range(1, size, 2))]
    return weights[rows]


def read_back(folder: Path) -> dict[str, torch.Tensor]:
    """A model in Mistral's layout as transformers names and orders it."""
    names = expected_names()
    written = load_file(folder / "consolidated.safetensors")
    assert written.keys() == names.keys()
    return {names[name]: to_transformers_order(name, weights) for name, weights in written.items()}


def logits_of(model: Any, base: Path) -> torch.Tensor:
    """For one window of noise and a short prompt, in evaluation."""
    torch.manual_seed(3)
    ids = torch.tensor([[1, 3, 25, *[24] * 375, 4, 34, 100, 101]])
    with torch.inference_mode():
        output = model.eval()(input_ids=ids, input_features=torch.randn(1, 128, 3000))
    logits: torch.Tensor = output.logits[0, -3:]
    return logits


def test_every_tensor_arrives_under_its_name_with_its_values(base: Path, tmp_path: Path) -> None:
    export_merged(base, tmp_path / "out")
    given = load_file(base / "model.safetensors")
    del given[POSITIONS]
    back = read_back(tmp_path / "out")
    assert back.keys() == given.keys()
    for name, weights in given.items():
        assert torch.equal(back[name], weights), name
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "consolidated.safetensors",
        "params.json",
        "tekken.json",
    ]
    assert (tmp_path / "out" / "tekken.json").read_bytes() == (base / "tekken.json").read_bytes()


def test_rows_of_queries_pair_neighbours() -> None:
    from evoxtral.hub.mistral_layout import in_mistral_order

    rows = torch.arange(8.0)[:, None]  # two heads of four: transformers turns 0 with 2, 1 with 3, 4 with 6, 5 with 7
    turned = in_mistral_order("layers.0.attention.wq.weight", rows, {"n_heads": 2, "n_kv_heads": 1})
    assert turned[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
    assert torch.equal(in_mistral_order("layers.0.attention.wv.weight", rows, {"n_heads": 2, "n_kv_heads": 1}), rows)


def test_sizes_are_those_of_the_configuration(base: Path, tmp_path: Path) -> None:
    export_merged(base, tmp_path / "out")
    assert json.loads((tmp_path / "out" / "params.json").read_text()) == {
        "dim": 64,
        "n_layers": 2,
        "head_dim": 16,
        "hidden_dim": 128,
        "n_heads": 4,
        "n_kv_heads": 2,
        "norm_eps": 1e-5,
        "rope_theta": 1e8,
        "vocab_size": 320,
        "max_position_embeddings": 2048,
        "max_seq_len": 2048,
        "tied_embeddings": False,
        "multimodal": {
            "whisper_model_args": {
                "encoder_args": {
                    "audio_encoding_args": {
                        "sampling_rate": 16000,
                        "num_mel_bins": 128,
                        "hop_length": 160,
                        "window_size": 400,
                    },
                    "dim": 16,
                    "n_layers": 1,
                    "head_dim": 16,
                    "hidden_dim": 64,
                    "n_heads": 1,
                    "vocab_size": 51866,
                    "max_source_positions": 1500,
                },
                "downsample_args": {"downsample_factor": 4},
            }
        },
    }


def test_a_merged_export_is_what_peft_merges(base: Path, adapter: Path, tmp_path: Path) -> None:
    export_merged(base, tmp_path / "out", adapter=adapter)
    merged = load_adapter(trainee_of(base), adapter).merge_and_unload()
    back = read_back(tmp_path / "out") | {POSITIONS: sinusoids(1500, 16)}
    loaded = VoxtralForConditionalGeneration(VoxtralConfig.from_pretrained(base))
    # As transformers names its modules in memory, when it loads a checkpoint.
    state = {
        re.sub(r"^language_model\.model\.", "model.language_model.", name)
        .replace("language_model.lm_head", "lm_head")
        .replace("audio_tower.", "model.audio_tower.")
        .replace("multi_modal_projector.", "model.multi_modal_projector."): weights
        for name, weights in back.items()
    }
    loaded.load_state_dict(state)
    unmerged = logits_of(VoxtralForConditionalGeneration.from_pretrained(base), base)
    torch.testing.assert_close(logits_of(loaded, base), logits_of(merged, base), rtol=1e-4, atol=1e-4)
    assert not torch.allclose(logits_of(loaded, base), unmerged, atol=0.1)


def test_shards_and_bfloat16_are_read_and_kept(base: Path, adapter: Path, tmp_path: Path) -> None:
    halves = tmp_path / "halves"
    model = VoxtralForConditionalGeneration.from_pretrained(base, dtype=torch.bfloat16)
    model.save_pretrained(halves, max_shard_size="100KB")
    (halves / "tekken.json").write_bytes((base / "tekken.json").read_bytes())
    assert not (halves / "model.safetensors").exists()
    export_merged(halves, tmp_path / "out")
    back = read_back(tmp_path / "out")
    for name, weights in load_file(base / "model.safetensors").items():
        if name != POSITIONS:
            assert torch.equal(back[name], weights.bfloat16()), name


def test_an_adapter_has_the_keys_that_vllm_binds(base: Path, adapter: Path, tmp_path: Path) -> None:
    found = export_adapter(adapter, base, tmp_path / "out")
    assert (found.adapter, found.base, found.rank) == (tmp_path / "out" / "adapter", tmp_path / "out" / "base", 8)
    given = load_file(adapter / "adapter_model.safetensors")
    written = load_file(found.adapter / "adapter_model.safetensors")
    linear = ["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj"]
    linear += ["mlp.gate_proj", "mlp.up_proj", "mlp.down_proj"]
    assert written.keys() == {
        f"base_model.model.language_model.model.layers.{layer}.{module}.lora_{side}.weight"
        for layer in (0, 1)
        for module in linear
        for side in "AB"
    }
    for name, weights in written.items():
        assert torch.equal(weights, given[name.replace("language_model.model.layers", "model.language_model.layers")])
    config = json.loads((found.adapter / "adapter_config.json").read_text())
    assert config["target_modules"] == sorted(module.partition(".")[2] for module in linear)
    assert (config["r"], config["lora_alpha"], config["base_model_name_or_path"]) == (8, 16, "someone/voxtral")


def test_the_projectors_deltas_are_in_the_base_of_an_adapter(base: Path, adapter: Path, tmp_path: Path) -> None:
    found = export_adapter(adapter, base, tmp_path / "out")
    assert found.base is not None
    back = read_back(found.base)
    lora = load_file(adapter / "adapter_model.safetensors")
    for name, weights in load_file(base / "model.safetensors").items():
        if name.startswith("multi_modal_projector"):
            stem = f"base_model.model.model.{name.removesuffix('.weight')}"
            delta = 16 / 8 * lora[f"{stem}.lora_B.weight"] @ lora[f"{stem}.lora_A.weight"]
            torch.testing.assert_close(back[name], weights + delta)
            assert delta.abs().max() > 0.01
        elif name != POSITIONS:
            assert torch.equal(back[name], weights), name


def test_an_adapter_without_projector_leaves_the_published_base(base: Path, adapter: Path, tmp_path: Path) -> None:
    bare = tmp_path / "bare"
    bare.mkdir()
    kept = {k: w for k, w in load_file(adapter / "adapter_model.safetensors").items() if "projector" not in k}
    save_file(kept, bare / "adapter_model.safetensors")
    (bare / "adapter_config.json").write_bytes((adapter / "adapter_config.json").read_bytes())
    found = export_adapter(bare, base, tmp_path / "out")
    assert found.base is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["adapter"]


def test_positions_that_the_layout_cannot_hold_are_refused(base: Path, tmp_path: Path) -> None:
    other = save_tiny_voxtral(tmp_path / "other")  # its positions are random
    with pytest.raises(ModelError, match="not Whisper's sinusoids"):
        export_merged(other, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"peft_type": "IA3"}, "no LoRA adapter"),
    ],
)
def test_adapters_that_vllm_would_read_wrongly_are_refused(
    base: Path, adapter: Path, tmp_path: Path, change: dict[str, Any], said: str
) -> None:
    odd = tmp_path / "odd"
    odd.mkdir()
    (odd / "adapter_model.safetensors").write_bytes((adapter / "adapter_model.safetensors").read_bytes())
    config = json.loads((adapter / "adapter_config.json").read_text()) | change
    (odd / "adapter_config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=said):
        export_merged(base, tmp_path / "out", adapter=odd)


def test_a_tensor_without_a_place_is_named() -> None:
    with pytest.raises(ModelError, match=r"language_model\.model\.model\.norm\.weight: Mistral's layout"):
        mistral_name("language_model.model.model.norm.weight")
