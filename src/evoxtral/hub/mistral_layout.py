"""Voxtral's weights and configuration as Mistral publishes them: the only layout that vLLM loads.

    params.json                sizes
    consolidated.safetensors   weights under Mistral's names
    tekken.json                the tokenizer, with the settings of the sound's front end

Knows names, the order of rows and sizes; nothing of files and of adapters. Needs no torch to be imported.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from evoxtral.errors import ModelError

if TYPE_CHECKING:
    from torch import Tensor

POSITIONS: Final = "audio_tower.embed_positions.weight"
"""Transformers' name of what the layout does not hold: positions of the encoder's frames are always sinusoids."""

_DECODER: Final = "language_model.model"
_ENCODER: Final = "mm_whisper_embeddings.whisper_encoder"
_BLOCK: Final = rf"{_ENCODER}.transformer.layers.\1"
_WEIGHT_OR_BIAS: Final = r"(weight|bias)"

# Transformers' names, as its checkpoints hold them, and Mistral's. Text decoder, audio encoder, projector.
_RULES: Final = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"language_model\.lm_head\.weight", "output.weight"),
        (r"language_model\.model\.norm\.weight", "norm.weight"),
        (r"language_model\.model\.embed_tokens\.weight", "mm_whisper_embeddings.tok_embeddings.weight"),
        (rf"{_DECODER}\.layers\.(\d+)\.input_layernorm\.weight", r"layers.\1.attention_norm.weight"),
        (rf"{_DECODER}\.layers\.(\d+)\.post_attention_layernorm\.weight", r"layers.\1.ffn_norm.weight"),
        (rf"{_DECODER}\.layers\.(\d+)\.self_attn\.([qkvo])_proj\.weight", r"layers.\1.attention.w\2.weight"),
        (rf"{_DECODER}\.layers\.(\d+)\.mlp\.gate_proj\.weight", r"layers.\1.feed_forward.w1.weight"),
        (rf"{_DECODER}\.layers\.(\d+)\.mlp\.down_proj\.weight", r"layers.\1.feed_forward.w2.weight"),
        (rf"{_DECODER}\.layers\.(\d+)\.mlp\.up_proj\.weight", r"layers.\1.feed_forward.w3.weight"),
        (rf"audio_tower\.conv1\.{_WEIGHT_OR_BIAS}", rf"{_ENCODER}.conv_layers.0.\1"),
        (rf"audio_tower\.conv2\.{_WEIGHT_OR_BIAS}", rf"{_ENCODER}.conv_layers.1.\1"),
        (rf"audio_tower\.layer_norm\.{_WEIGHT_OR_BIAS}", rf"{_ENCODER}.transformer.norm.\1"),
        (rf"audio_tower\.layers\.(\d+)\.self_attn\.([qkv])_proj\.{_WEIGHT_OR_BIAS}", rf"{_BLOCK}.attention.w\2.\3"),
        (rf"audio_tower\.layers\.(\d+)\.self_attn\.out_proj\.{_WEIGHT_OR_BIAS}", rf"{_BLOCK}.attention.wo.\2"),
        (rf"audio_tower\.layers\.(\d+)\.self_attn_layer_norm\.{_WEIGHT_OR_BIAS}", rf"{_BLOCK}.attention_norm.\2"),
        (rf"audio_tower\.layers\.(\d+)\.fc([12])\.{_WEIGHT_OR_BIAS}", rf"{_BLOCK}.feed_forward.w\2.\3"),
        (rf"audio_tower\.layers\.(\d+)\.final_layer_norm\.{_WEIGHT_OR_BIAS}", rf"{_BLOCK}.ffn_norm.\2"),
        (r"multi_modal_projector\.linear_1\.weight", "mm_whisper_embeddings.audio_language_projection.0.weight"),
        (r"multi_modal_projector\.linear_2\.weight", "mm_whisper_embeddings.audio_language_projection.2.weight"),
    )
)
_ROTATED: Final = re.compile(r"layers\.\d+\.attention\.w([qk])\.weight")


def mistral_name(name: str) -> str:
    """The layout's name of a tensor that has this name in a checkpoint of transformers; not for `POSITIONS`.

    Raises:
        ModelError: the layout has no place for it.
    """
    for pattern, written in _RULES:
        if found := pattern.fullmatch(name):
            return found.expand(written)
    raise ModelError(
        f"{name}: Mistral's layout has no tensor for it",
        "is this a Voxtral that transformers 5.21 or newer saved? Older ones write odd names",
    )


def in_mistral_order(name: str, weights: "Tensor", sizes: Mapping[str, Any]) -> "Tensor":
    """A tensor with its rows as the layout has them.

    Rotary positions turn pairs of rows of each head: neighbours in Mistral's layout, and rows half a head apart in
    transformers'. Only the query and key projections of the text decoder are concerned.

    Args:
        name: the layout's.
        weights: any shape; (heads * head_dim, width) where rows are turned.
        sizes: of `mistral_params`.
    """
    turned = _ROTATED.fullmatch(name)
    if turned is None:
        return weights
    heads = sizes["n_heads"] if turned[1] == "q" else sizes["n_kv_heads"]
    rows, width = weights.shape
    return weights.view(heads, 2, rows // heads // 2, width).transpose(1, 2).reshape(rows, width)


def mistral_params(config: Mapping[str, Any], front_end: Mapping[str, Any]) -> dict[str, Any]:
    """What params.json holds.

    Args:
        config: a Voxtral's config.json.
        front_end: the section "audio" of its tekken.json.

    Raises:
        ModelError: it has something that the layout cannot say.
    """
    text, audio = config["text_config"], config["audio_config"]
    rotary = text.get("rope_parameters") or {}
    kind = rotary.get("rope_type", "default")
    if kind != "default":
        raise ModelError(f"its rotary positions are of the kind {kind!r}", "Mistral's layout has the default kind only")
    spectrum = front_end["audio_encoding_config"]
    return {
        "dim": text["hidden_size"],
        "n_layers": text["num_hidden_layers"],
        "head_dim": text.get("head_dim") or text["hidden_size"] // text["num_attention_heads"],
        "hidden_dim": text["intermediate_size"],
        "n_heads": text["num_attention_heads"],
        "n_kv_heads": text["num_key_value_heads"],
        "norm_eps": text["rms_norm_eps"],
        "rope_theta": rotary["rope_theta"] if "rope_theta" in rotary else text["rope_theta"],
        "vocab_size": text["vocab_size"],
        "max_position_embeddings": text["max_position_embeddings"],
        "max_seq_len": text["max_position_embeddings"],
        "tied_embeddings": bool(text.get("tie_word_embeddings", False)),
        "multimodal": {
            "whisper_model_args": {
                "encoder_args": {
                    "audio_encoding_args": {
                        "sampling_rate": front_end["sampling_rate"],
                        "num_mel_bins": spectrum["num_mel_bins"],
                        "hop_length": spectrum["hop_length"],
                        "window_size": spectrum["window_size"],
                    },
                    "dim": audio["hidden_size"],
                    "n_layers": audio["num_hidden_layers"],
                    "head_dim": audio["hidden_size"] // audio["num_attention_heads"],
                    "hidden_dim": audio["intermediate_size"],
                    "n_heads": audio["num_attention_heads"],
                    "vocab_size": audio["vocab_size"],
                    "max_source_positions": audio["max_source_positions"],
                },
                # The projector reads so many frames at once that they are as wide as the encoder's inner layers.
                "downsample_args": {"downsample_factor": audio["intermediate_size"] // audio["hidden_size"]},
            }
        },
    }


def sinusoids(positions: int, width: int) -> "Tensor":
    """Whisper's positions: sines and then cosines of wavelengths from 2 pi to 20,000 pi in a geometric row.

    Returns:
        float32, shape (positions, width).
    """
    import math

    import torch

    half = width // 2
    frequencies = torch.exp(torch.arange(half) * (-math.log(10_000) / (half - 1)))
    angles = torch.arange(positions)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
