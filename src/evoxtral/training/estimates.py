"""Memory and time of a training step, as arithmetic over the model's shape with constants of measured runs.

The constants are those of one NVIDIA H100 80GB (torch 2.11), of `benchmarks/results/train_speed.json` (the 3B's shape);
each family has the speed of its own steps in its row. Reads a model's configuration, and loads no weights.
Knows no clips.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from evoxtral.errors import ModelError
from evoxtral.models.checkpoints import find_configuration, loading
from evoxtral.models.families.protocol import Dimensions, Family, StepSpeed
from evoxtral.models.families.registry import find_family
from evoxtral.models.four_bit import BYTES_A_WEIGHT, in_four_bits
from evoxtral.training.base_model import check_base
from evoxtral.training.recipe import Recipe

DEVICE: Final = "an H100"
# What compiling leaves of a step's time and of the activations: 0.389 of 0.566 s and 49.6 of 56.4 GB.
_COMPILED_TIME: Final = 0.69
_COMPILED_KEPT: Final = 0.84
# Measured steps took 0.91 to 1.45 times what these constants say.
SPREAD: Final = (0.9, 1.5)
# Weight, gradient and Adam's two moments of each trained parameter, in float32.
_TRAINED_BYTES: Final = 16
# For each position and unit of width, of a layer whose activations are kept: 16 clips took 56.4 GB.
_KEPT_BYTES: Final = 59
# The same of a layer that is recomputed: its input in bf16. One layer at a time is kept while it is recomputed.
_CHECKPOINTED_BYTES: Final = 2
# Keys and values of the encoder's frames in each of Whisper's decoder layers, with their inputs' dropout, in bf16.
_CROSS_BYTES: Final = 10
# Logits and their gradient, both in bf16 and in float32.
_LOGIT_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model costs. Parameters of encoder and decoder are those of their layers' matrices.

    Attributes:
        cross_parameters: of the decoder's matrices, those that every frame of the encoder goes through.
        base_bytes: of all frozen weights.
        speed: of the family's steps; None where it was not measured, which steps on a base in 4 bits were not.
    """

    dimensions: Dimensions
    total_parameters: int
    trained_parameters: int
    base_bytes: float
    encoder_parameters: int
    decoder_parameters: int
    cross_parameters: int
    speed: StepSpeed | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes through one device at once: windows of the encoder, positions of the decoder, targets with logits."""

    encoder_windows: float
    decoder_positions: float
    targets: float


@dataclass(frozen=True, slots=True)
class Settings:
    adapt_encoder: bool = False
    checkpointing: bool = False
    anchored: bool = False
    compiled: bool = False


def read_shape(recipe: Recipe) -> Shape | None:
    """The shape of the recipe's base; None where its configuration is not to be had, or without torch and transformers.

    Raises:
        ModelError: the base is of a type that no family has, or its configuration is of no model of its type.
        RecipeError: it is of another family than the recipe's.
    """
    try:
        folder = find_configuration(recipe.base_source)
    except ModelError:
        return None
    check_base(recipe)
    try:
        import torch
        from transformers import AutoConfig
    except ImportError:
        return None
    with loading(folder):
        return shape_of(AutoConfig.from_pretrained(folder), recipe, torch)


def shape_of(config: Any, recipe: Recipe, torch: Any) -> Shape:
    """The shape of a model of this configuration with the recipe's adapter."""
    family = find_family(recipe.family)
    with torch.device("meta"):
        model = family.model_class()(config)
    pattern = re.compile(family.targets(adapt_encoder=recipe.lora.adapt_encoder))
    trained = quantised = 0
    parts = {"encoder": 0, "decoder": 0, "cross": 0}
    for name, module in model.named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        if pattern.fullmatch(name):
            trained += recipe.lora.rank * (module.in_features + module.out_features)
        if recipe.lora.four_bit_base and in_four_bits(family, name):
            quantised += module.weight.numel()
        if ".layers." in name:
            parts[_part(family, name)] += module.weight.numel()
    total = sum(weight.numel() for weight in model.parameters())
    whole_bytes = 2 if family.frozen_in_half and recipe.optimisation.precision == "bf16" else 4
    return Shape(
        dimensions=family.dimensions(config),
        total_parameters=total,
        trained_parameters=trained,
        base_bytes=(total - quantised) * whole_bytes + quantised * BYTES_A_WEIGHT,
        encoder_parameters=parts["encoder"],
        decoder_parameters=parts["decoder"],
        cross_parameters=parts["cross"],
        speed=None if recipe.lora.four_bit_base else family.step_speed,
    )


def _part(family: Family, name: str) -> str:
    if name.startswith(family.encoder_modules):
        return "encoder"
    return "cross" if name.endswith(family.cross_modules) else "decoder"


def memory_gb(shape: Shape, batch: Batch, settings: Settings) -> float:
    """Peak of one device."""

    def kept(positions: float, layers: int, width: int) -> float:
        a_layer = _KEPT_BYTES * (_COMPILED_KEPT if settings.compiled else 1)
        if not settings.checkpointing:
            return positions * layers * width * a_layer
        return positions * width * (layers * _CHECKPOINTED_BYTES + a_layer)

    sizes = shape.dimensions
    frames = batch.encoder_windows * sizes.encoder_frames
    size = shape.base_bytes + shape.trained_parameters * _TRAINED_BYTES
    size += kept(batch.decoder_positions, sizes.decoder_layers, sizes.decoder_width)
    if settings.adapt_encoder:
        size += kept(frames, sizes.encoder_layers, sizes.encoder_width)
    if shape.cross_parameters:
        size += frames * sizes.decoder_layers * sizes.decoder_width * _CROSS_BYTES
    return (size + batch.targets * sizes.vocabulary * _LOGIT_BYTES) / 1e9


def work_tflop(shape: Shape, batch: Batch, settings: Settings) -> float:
    """Arithmetic of one step: two operations for a parameter and a position forward, two backward (to inputs only)."""
    sizes = shape.dimensions
    frames = batch.encoder_windows * sizes.encoder_frames
    attention = 4 * frames * sizes.encoder_frames * sizes.encoder_width * sizes.encoder_layers
    heard = 2 * frames * shape.encoder_parameters + attention
    crossed = 2 * frames * shape.cross_parameters
    written = 2 * batch.decoder_positions * shape.decoder_parameters
    scored = 2 * batch.targets * sizes.vocabulary * sizes.decoder_width
    again = 1 if settings.checkpointing else 0
    work = heard + (2 + again) * (crossed + written) + 2 * scored
    if settings.adapt_encoder:
        # Attention has two matrix products forward and four backward.
        work += (1 + again) * heard + attention
    if settings.anchored:
        # At most: the base is asked about windows without tags only.
        work += heard + crossed + written + scored
    return work / 1e12


def step_s(shape: Shape, batch: Batch, settings: Settings) -> float | None:
    """Time of one forward and backward pass; None where the family's steps were not measured."""
    sizes = shape.dimensions
    if shape.speed is None:
        return None
    trained = 4 if settings.checkpointing else 3
    layers = sizes.encoder_layers * (trained if settings.adapt_encoder else 1) + sizes.decoder_layers * trained
    if settings.anchored:
        layers += sizes.encoder_layers + sizes.decoder_layers
    eager_s = work_tflop(shape, batch, settings) / shape.speed.tflop_per_s + layers * shape.speed.s_per_layer
    return eager_s * (_COMPILED_TIME if settings.compiled else 1)


def minutes_between(seconds: float) -> str:
    """A time as what it may be between, in words."""
    low, high = (seconds * factor / 60 for factor in SPREAD)
    if high < 1:
        return "less than a minute"
    digits = 0 if low >= 10 else 1
    scale = 10**digits
    return f"about {math.floor(low * scale) / scale:.{digits}f} to {math.ceil(high * scale) / scale:.{digits}f} minutes"
