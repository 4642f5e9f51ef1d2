"""What a recipe would do: windows, steps, and estimates of memory and time, without loading weights.

Estimates are arithmetic over the model's shape, for one device; `benchmarks/train_speed.py` measures.
"""

import math
import re
from dataclasses import dataclass
from typing import Any, Final

from evoxtral.training.clips import TrainingClip, load_clips
from evoxtral.training.recipe import Recipe
from evoxtral.training.survey import check_sources
from evoxtral.training.windows import WindowPlan

# What published checkpoints take, for plans made without loading one.
MAX_WINDOW_S: Final[dict[str, float | None]] = {"whisper": 30.0, "voxtral": None}
_PACKED_S: Final = 30.0
_VOXTRAL_TOKENS_PER_S: Final = 12.5
_ENCODER_FRAMES_PER_S: Final = 50
_CHARACTERS_PER_TOKEN: Final = 3.5
# Weight, gradient and Adam's two moments of each trained parameter, in float32.
_TRAINED_BYTES: Final = 16
# Kept for the backward pass, in bytes for each position and unit of width: of a layer whose activations are kept, and
# of one that is recomputed (its input only).
_KEPT_BYTES: Final = 34
_CHECKPOINTED_BYTES: Final = 2
_ACHIEVED_TFLOP_PER_S: Final = 250
# Logits in bf16 and float32, their softmax and their gradient.
_LOGIT_BYTES: Final = 14


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one device: peak memory, and arithmetic of the whole run (both directions)."""

    memory_gb: float
    work_tflop: float
    total_parameters: int
    trained_parameters: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would do: `lines` for people, and the figures behind them."""

    clips: int
    audio_s: float
    left_out: int
    windows: int
    windows_per_epoch: int
    steps: int
    stages: tuple[str, ...]
    estimate: Estimate | None

    @property
    def lines(self) -> list[str]:
        found = [
            f"stages: {', '.join(self.stages)}",
            f"training clips: {self.clips} ({self.audio_s / 3600:.2f} h), {self.left_out} left out as too long",
            f"windows: {self.windows} ({self.windows_per_epoch} an epoch)",
            f"steps: {self.steps}",
        ]
        if self.estimate is None:
            return [*found, "memory and time: unknown without the base model's configuration"]
        about = self.estimate
        minutes = about.work_tflop / _ACHIEVED_TFLOP_PER_S / 60
        return [
            *found,
            f"parameters: {about.total_parameters:,}, of which {about.trained_parameters:,} are trained",
            f"memory: about {about.memory_gb:.1f} GB on each device",
            f"time: about {minutes:.1f} minutes on one H100 ({about.work_tflop:,.0f} TFLOP)",
        ]


def make_plan(recipe: Recipe, stages: tuple[str, ...], processes: int = 1) -> Plan:
    """Read the data and work out windows, steps and estimates.

    Raises:
        RecipeError: clips are missing or malformed.
    """
    max_window_s = MAX_WINDOW_S[recipe.family]
    check_sources(recipe)
    clips, left_out = load_clips(recipe.data.train, max_clip_s=max_window_s)
    windows = plan_windows(recipe, clips, max_window_s, processes)
    audio_s = sum(clip.duration_s for clip in clips)
    return Plan(
        clips=len(clips),
        audio_s=audio_s,
        left_out=left_out,
        windows=len(windows),
        windows_per_epoch=windows.windows_per_epoch,
        steps=math.ceil(len(windows) / items_per_step(recipe, processes)),
        stages=stages,
        estimate=_estimate(recipe, clips, len(windows)),
    )


def items_per_step(recipe: Recipe, processes: int) -> int:
    """Windows that one step of the optimiser sees, over all processes."""
    return recipe.optimisation.batch_size * recipe.optimisation.accumulation * processes


def plan_windows(recipe: Recipe, clips: list[TrainingClip], max_window_s: float | None, processes: int) -> WindowPlan:
    """The windows of the recipe's supervised stage."""
    most = recipe.optimisation.max_steps
    per_step = items_per_step(recipe, processes)
    return WindowPlan(
        clips,
        recipe.packing,
        seed=recipe.seed,
        window_s=max_window_s or _PACKED_S,
        # Voxtral's sequences grow with their audio and text; Whisper's windows are all of one length.
        grouped=per_step if recipe.family == "voxtral" else 1,
        epochs=recipe.optimisation.epochs,
        max_windows=None if most is None else most * per_step,
        speed_probability=recipe.augmentation.speed,
    )


def _estimate(recipe: Recipe, clips: list[TrainingClip], windows: int) -> Estimate | None:
    try:
        import torch
        from transformers import AutoConfig, VoxtralForConditionalGeneration, WhisperForConditionalGeneration

        config = AutoConfig.from_pretrained(recipe.base_source)
        with torch.device("meta"):
            model: Any = (
                WhisperForConditionalGeneration(config)
                if recipe.family == "whisper"
                else VoxtralForConditionalGeneration(config)
            )
    except (ImportError, OSError, ValueError):
        return None
    from evoxtral.training.targets import lora_targets

    pattern = re.compile(lora_targets(recipe.family, recipe.lora))
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    trained = sum(
        recipe.lora.rank * (module.in_features + module.out_features)
        for name, module in linear.items()
        if pattern.fullmatch(name)
    )
    total = sum(weight.numel() for weight in model.parameters())
    longest_s = max(clip.duration_s for clip in clips)
    text_tokens = sum(len(clip.text) for clip in clips) / len(clips) / _CHARACTERS_PER_TOKEN
    rows = recipe.optimisation.batch_size
    kept = _CHECKPOINTED_BYTES if recipe.optimisation.checkpointing else _KEPT_BYTES
    if recipe.family == "whisper":
        encoder, decoder = model.model.encoder, model.model.decoder
        encoder_positions, positions = rows * 1500.0, rows * text_tokens
        activations = positions * config.d_model * config.decoder_layers * kept
        encoder_passes = 2.0
        if recipe.lora.adapt_encoder:
            activations += encoder_positions * config.d_model * config.encoder_layers * kept
            encoder_passes = 4.0
        weights, head_parameters, vocabulary = 4 * total, 0, config.vocab_size
    else:
        encoder, decoder = model.model.audio_tower, model.model.language_model
        chunks = math.ceil(longest_s / _PACKED_S)
        encoder_positions = rows * chunks * _PACKED_S * _ENCODER_FRAMES_PER_S
        positions = rows * (chunks * _PACKED_S * _VOXTRAL_TOKENS_PER_S + 10 + text_tokens)
        text = config.text_config
        activations = positions * text.hidden_size * text.num_hidden_layers * kept
        encoder_passes, vocabulary = 2.0, text.vocab_size
        weights = (2 if recipe.optimisation.precision == "bf16" else 4) * total
        head_parameters = text.vocab_size * text.hidden_size
    logits = rows * text_tokens * vocabulary * _LOGIT_BYTES
    decoder_parameters = sum(weight.numel() for weight in decoder.parameters()) - head_parameters
    encoder_parameters = sum(weight.numel() for weight in encoder.parameters())
    # Forward and backward through the frozen decoder are two operations each for a weight and a position.
    work = encoder_positions * encoder_parameters * encoder_passes + positions * decoder_parameters * 4
    return Estimate(
        memory_gb=(weights + trained * _TRAINED_BYTES + activations + logits) / 1e9 + 1,
        work_tflop=work / rows * windows / 1e12,
        total_parameters=total,
        trained_parameters=trained,
    )
