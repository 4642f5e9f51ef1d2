"""The first layers of an encoder, made in memory: against transformers with the same weights."""

from pathlib import Path

import numpy as np
import pytest

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import ModelError
from evoxtral.inference.engines.early_encoder import EarlyEncoder, first_layers
from tiny_edge import save_tiny_edge

LAYERS = 3


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_edge(tmp_path_factory.mktemp("three"), encoder_layers=LAYERS)


@pytest.mark.parametrize("layers", range(1, LAYERS + 1))
def test_hears_what_transformers_hears_after_so_many_layers(folder: Path, layers: int) -> None:
    import torch
    from transformers import WhisperFeatureExtractor, WhisperForConditionalGeneration

    # transformers' encoder takes 30 s and nothing else.
    samples = np.random.default_rng(1).normal(0, 0.1, 30 * SAMPLE_RATE_HZ).astype(np.float32)
    outputs = EarlyEncoder(folder, layers, compute_type="float32").encode(samples)

    source = folder.parent / "hf"
    encoder = WhisperForConditionalGeneration.from_pretrained(source).get_encoder()
    features = WhisperFeatureExtractor.from_pretrained(source)(
        samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt"
    ).input_features
    seen = []
    encoder.layers[layers - 1].register_forward_hook(
        lambda module, args, output: seen.append(output[0] if isinstance(output, tuple) else output)
    )
    with torch.no_grad():
        encoder(features)
        expected = encoder.layer_norm(seen[0]).squeeze(0).numpy()
    assert outputs.shape == (1500, expected.shape[1])
    np.testing.assert_allclose(outputs, expected, atol=2e-3)


def test_no_silence_is_added(folder: Path) -> None:
    samples = np.random.default_rng(1).normal(0, 0.1, 2 * SAMPLE_RATE_HZ).astype(np.float32)
    assert len(EarlyEncoder(folder, 2).encode(samples)) == 100


def test_what_is_cut_off_holds_little_of_the_decoder(folder: Path) -> None:
    model = (folder / "model.bin").read_bytes()
    sizes = [len(first_layers(model, layers)) for layers in range(1, LAYERS + 1)]
    # Each layer is as large as the next, and all of them together are less than the tiny model's vocabulary.
    assert sizes[2] - sizes[1] == sizes[1] - sizes[0]
    assert sizes[2] < len(model) / 5


def test_a_file_of_another_kind_is_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="fewer than 4 layers"):
        EarlyEncoder(folder, LAYERS + 1)
    model = (folder / "model.bin").read_bytes()
    for name in ("config.json", "vocabulary.json"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    for content in (model[: len(model) // 2], b"", b"\x01" + model[1:]):
        (tmp_path / "model.bin").write_bytes(content)
        with pytest.raises(ModelError, match="its encoder cannot be read"):
            EarlyEncoder(tmp_path, 1)
