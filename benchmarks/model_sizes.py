"""How much memory the weights of each model take, in each precision, from their shapes alone.

    python benchmarks/model_sizes.py

The models are made on PyTorch's meta device, which holds no numbers; their shapes are those of the published
configurations. In fp8 and 4 bits the matrices of the language model's layers are stored so, everything else in bf16;
4 bits are NF4 with a float32 scale for each 64 weights (4.5 bits in all), fp8 has a scale for each matrix. The edge
model's files are measured. Keys and values are those of the language model in bf16.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import VoxtralConfig, VoxtralForConditionalGeneration

EDGE = Path(__file__).parents[1] / "src" / "evoxtral" / "models" / "edge"
BITS = {"bf16": 16.0, "fp8": 8.0, "4 bits": 4.5}
TEXT = {
    "Voxtral-Mini-3B": {"hidden_size": 3072, "intermediate_size": 8192, "num_hidden_layers": 30},
    "Voxtral-Small-24B": {"hidden_size": 5120, "intermediate_size": 32_768, "num_hidden_layers": 40},
}
SHARED_TEXT = {
    "model_type": "llama",
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 131_072,
    "max_position_embeddings": 131_072,
    "pad_token_id": 11,
}
AUDIO = {
    "model_type": "voxtral_encoder",
    "hidden_size": 1280,
    "intermediate_size": 5120,
    "num_hidden_layers": 32,
    "num_attention_heads": 20,
    "num_mel_bins": 128,
    "max_source_positions": 1500,
}


def weights(shape: dict[str, Any]) -> tuple[int, int]:
    """Parameters in all, and those in matrices of the language model's layers."""
    with torch.device("meta"):
        model = VoxtralForConditionalGeneration(VoxtralConfig(audio_config=AUDIO, text_config={**SHARED_TEXT, **shape}))
    layers = sum(
        parameter.numel()
        for name, parameter in model.named_parameters()
        if "language_model" in name and ".layers." in name and parameter.ndim == 2
    )
    return sum(parameter.numel() for parameter in model.parameters()), layers


def main() -> None:
    print(
        f"{'model':20} {'parameters':>14} {'bf16 GB':>8} {'fp8 GB':>8} {'4 bits GB':>10} {'keys, values MB/1,000':>22}"
    )
    for name, shape in TEXT.items():
        total, layers = weights(shape)
        sizes = [((total - layers) * 16 + layers * bits) / 8 / 1e9 for bits in BITS.values()]
        cache = 2 * shape["num_hidden_layers"] * 8 * 128 * 2 * 1000 / 1e6
        print(f"{name:20} {total:14,} {sizes[0]:8.2f} {sizes[1]:8.2f} {sizes[2]:10.2f} {cache:22.0f}")
    files = {path.name: path.stat().st_size for path in sorted(EDGE.iterdir()) if path.suffix in (".bin", ".json")}
    print(f"edge, bytes on disk: {sum(files.values()):,}, of which model.bin {files['model.bin']:,} (int8)")


if __name__ == "__main__":
    main()
