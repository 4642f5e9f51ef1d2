"""Estimates against what was measured on one H100, at the real models' shapes (without weights)."""

import pytest
import torch
from transformers import VoxtralConfig, WhisperConfig

from evoxtral.models.families.protocol import Dimensions
from evoxtral.training.estimates import SPREAD, Batch, Settings, Shape, memory_gb, shape_of, step_s, work_tflop
from evoxtral.training.recipe import Recipe


def recipe_of(family: str, **lora: object) -> Recipe:
    content = {"name": "a", "family": family, "base": "a", "output": "a", "data": {"train": [{"path": "a"}]}}
    return Recipe.model_validate(content | {"lora": lora})


@pytest.fixture(scope="module")
def voxtral() -> Shape:
    """Voxtral-Mini-3B."""
    audio = {"model_type": "voxtral_encoder", "hidden_size": 1280, "num_hidden_layers": 32, "intermediate_size": 5120}
    text = {"model_type": "llama", "vocab_size": 131_072, "hidden_size": 3072, "intermediate_size": 8192}
    text |= {"num_hidden_layers": 30, "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128}
    config = VoxtralConfig(audio_config=audio | {"num_attention_heads": 20}, text_config=text)
    return shape_of(config, recipe_of("voxtral"), torch)


@pytest.fixture(scope="module")
def whisper() -> Shape:
    """Whisper base, encoder adapted."""
    sizes = {"layers": 6, "attention_heads": 8, "ffn_dim": 2048}
    halves = {f"{half}_{name}": size for half in ("encoder", "decoder") for name, size in sizes.items()}
    config = WhisperConfig(vocab_size=51_865, d_model=512, **halves)
    return shape_of(config, recipe_of("whisper", adapt_encoder=True), torch)


def test_shapes_are_those_of_the_models(voxtral: Shape, whisper: Shape) -> None:
    assert voxtral.total_parameters == pytest.approx(4.68e9, rel=1e-3)
    # q and o: 3072 x 4096; k and v: 3072 x 1024; three of 3072 x 8192, in each of 30 layers
    assert voxtral.decoder_parameters == 30 * 3072 * (2 * 4096 + 2 * 1024 + 3 * 8192)
    assert voxtral.encoder_parameters == 32 * 1280 * (4 * 1280 + 2 * 5120)
    assert (voxtral.cross_parameters, voxtral.base_bytes) == (0, 2 * voxtral.total_parameters)
    # edge_training_run_f2.log: 8,650,752 of 81,244,672 parameters are trained
    assert whisper.trained_parameters == 8_650_752
    assert whisper.total_parameters == 81_244_672 - 8_650_752
    assert whisper.cross_parameters == 6 * 2 * 512 * 512
    assert whisper.decoder_parameters == 6 * (6 * 512 * 512 + 2 * 512 * 2048)


def clips_of_30_s(clips: int) -> Batch:
    """With 7 prompt and 110 target tokens, as benchmarks/train_speed.py has them."""
    return Batch(clips, clips * (375 + 7 + 110), clips * 110)


@pytest.mark.parametrize(
    ("clips", "settings", "measured_s", "measured_gb"),
    [
        (1, Settings(checkpointing=True), 0.401, 11.3),
        (2, Settings(checkpointing=True), 0.384, 11.4),
        (4, Settings(checkpointing=True), 0.397, 11.9),
        (16, Settings(), 0.566, 56.4),
        (16, Settings(compiled=True), 0.389, 49.6),
    ],
)
def test_voxtral_takes_what_the_benchmark_measured(
    voxtral: Shape, clips: int, settings: Settings, measured_s: float, measured_gb: float
) -> None:
    assert memory_gb(voxtral, clips_of_30_s(clips), settings) == pytest.approx(measured_gb, rel=0.06)
    found = step_s(voxtral, clips_of_30_s(clips), settings)
    assert found * SPREAD[0] < measured_s < found * SPREAD[1]


@pytest.mark.parametrize(
    ("run", "settings", "windows_per_s"),
    [
        ("A", Settings(adapt_encoder=True), 250),
        ("B", Settings(), 480),
        ("C", Settings(adapt_encoder=True, anchored=True), 160),
        ("D", Settings(adapt_encoder=True, anchored=True), 150),
    ],
)
def test_whisper_takes_what_the_edge_runs_took(
    whisper: Shape, run: str, settings: Settings, windows_per_s: float
) -> None:
    # 64 windows, in the mean of 157 characters, which are about 45 tokens
    found = step_s(whisper, Batch(64, 64 * 49, 64 * 45), settings)
    assert found * SPREAD[0] < 64 / windows_per_s < found * SPREAD[1]


def test_work_of_a_hand_worked_model() -> None:
    shape = Shape(
        dimensions=Dimensions(
            encoder_layers=2, encoder_width=8, encoder_frames=5, decoder_layers=1, decoder_width=4, vocabulary=7
        ),
        total_parameters=1000,
        trained_parameters=10,
        base_bytes=4000,
        encoder_parameters=300,
        decoder_parameters=200,
        cross_parameters=50,
        speed=None,
    )
    batch = Batch(encoder_windows=3, decoder_positions=6, targets=4)
    # 15 frames: matrices 2 * 15 * 300, attention 4 * 15 * 5 * 8 * 2 layers
    heard, attention = 9000, 4800
    crossed, written, scored = 2 * 15 * 50, 2 * 6 * 200, 2 * 4 * 7 * 4
    frozen = heard + attention + 2 * (crossed + written + scored)
    assert work_tflop(shape, batch, Settings()) == pytest.approx(frozen / 1e12)
    adapted = 2 * heard + 3 * attention + 2 * (crossed + written + scored)
    assert work_tflop(shape, batch, Settings(adapt_encoder=True)) == pytest.approx(adapted / 1e12)
    anchored = frozen + heard + attention + crossed + written + scored
    assert work_tflop(shape, batch, Settings(anchored=True)) == pytest.approx(anchored / 1e12)
    recomputed = frozen + crossed + written
    assert work_tflop(shape, batch, Settings(checkpointing=True)) == pytest.approx(recomputed / 1e12)
