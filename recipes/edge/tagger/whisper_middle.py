"""Whisper base's log-mel features and the first four layers of its encoder, as released, in torch on any device.

    python whisper_middle.py --whisper WHISPER_DIR --output encoder4.pt

WHISPER_DIR holds openai/whisper-base as transformers keeps it (model.safetensors). The command writes the weights that
`MiddleEncoder` reads, as float16, with the mel filters beside them. Knows nothing of tags.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

WIDTH, HEADS, LAYERS = 512, 8, 4
# In samples at 16 kHz: 25 ms, every 10 ms.
_FFT_SAMPLES, _MEL_FRAME_SAMPLES = 400, 160
_PREFIX = "model.encoder."


def log_mel(samples: Tensor, filters: Tensor) -> Tensor:
    """Whisper's features: (n, samples) and filters (201, bands) to (n, bands, 100 a second)."""
    window = torch.hann_window(_FFT_SAMPLES, device=samples.device)
    with torch.autocast(samples.device.type, enabled=False):
        spectrum = torch.stft(samples.float(), _FFT_SAMPLES, _MEL_FRAME_SAMPLES, window=window, return_complex=True)
        log = torch.clamp(filters.T @ spectrum[..., :-1].abs() ** 2, min=1e-10).log10()
        return (torch.maximum(log, log.amax((1, 2), keepdim=True) - 8.0) + 4.0) / 4.0


class MiddleEncoder(torch.nn.Module):
    """Outputs of layers 2, 3 and 4 (after so many blocks) for windows of up to 30 s. Frozen."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        for name, value in torch.load(path, map_location="cpu").items():
            self.register_buffer(name.replace(".", "_"), value.float())

    @torch.no_grad()
    def forward(self, samples: Tensor) -> Tensor:
        """Samples (n, 320 a frame) to (n, 3, frames, 512); 30 s are 1500 frames."""
        x = functional.gelu(
            functional.conv1d(log_mel(samples, self.mel_filters), self.conv1_weight, self.conv1_bias, padding=1)
        )
        x = functional.conv1d(x, self.conv2_weight, self.conv2_bias, stride=2, padding=1)
        x = functional.gelu(x).transpose(1, 2)
        x = x + self.embed_positions_weight[: x.shape[1]]
        seen = []
        for layer in range(LAYERS):
            prefix = f"layers_{layer}_"
            y = self._normalise(x, prefix + "self_attn_layer_norm")
            q, k, v = (self._heads(self._linear(y, f"{prefix}self_attn_{name}_proj")) for name in "qkv")
            z = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(x.shape)
            x = x + self._linear(z, prefix + "self_attn_out_proj")
            y = self._normalise(x, prefix + "final_layer_norm")
            x = x + self._linear(functional.gelu(self._linear(y, prefix + "fc1")), prefix + "fc2")
            if layer >= 1:
                seen.append(x.float())
        return torch.stack(seen, 1)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        # Whisper's keys have no bias.
        return functional.linear(x, getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias", None))

    def _normalise(self, x: Tensor, name: str) -> Tensor:
        return functional.layer_norm(x, (WIDTH,), getattr(self, f"{name}_weight"), getattr(self, f"{name}_bias"))

    @staticmethod
    def _heads(x: Tensor) -> Tensor:
        return x.view(*x.shape[:2], HEADS, WIDTH // HEADS).transpose(1, 2)


def extract(whisper: Path) -> dict[str, Tensor]:
    """The weights of the first four layers as float16, and the mel filters, shape (201, 80)."""
    from safetensors.torch import load_file
    from transformers import WhisperFeatureExtractor

    left_out = tuple(f"layers.{number}." for number in range(LAYERS, 6))
    kept = {
        name.removeprefix(_PREFIX): value.half()
        for name, value in load_file(whisper / "model.safetensors").items()
        if name.startswith(_PREFIX) and not name.removeprefix(_PREFIX).startswith(left_out)
    }
    return {**kept, "mel_filters": torch.from_numpy(np.asarray(WhisperFeatureExtractor().mel_filters, np.float32))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--whisper", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    torch.save(extract(options.whisper), options.output)


if __name__ == "__main__":
    main()
