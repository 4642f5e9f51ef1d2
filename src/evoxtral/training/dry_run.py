"""What a recipe would do: windows, steps, and estimates of memory and time. Loads no weights and knows no trainer."""

import math
from dataclasses import dataclass
from typing import Final

from evoxtral.models.families.registry import find_family
from evoxtral.training import estimates
from evoxtral.training.clips import TrainingClip, load_clips
from evoxtral.training.estimates import Batch, Settings, Shape
from evoxtral.training.packing import WindowPlan
from evoxtral.training.recipe import Recipe
from evoxtral.training.survey import check_sources

_PACKED_S: Final = 30.0
_PROMPT_TOKENS: Final = 10
# English tagged text, by Whisper's tokenizer and by Tekken alike.
_CHARACTERS_PER_TOKEN: Final = 3.5


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one device: peak memory, and time of one step of the supervised stage; None where none was ever measured."""

    memory_gb: float
    step_s: float | None
    total_parameters: int
    trained_parameters: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What a recipe would do: `lines` for people, and the figures behind them. `max_minutes` is the recipe's clock."""

    clips: int
    audio_s: float
    left_out: int
    windows: int
    windows_per_epoch: int
    steps: int
    stages: tuple[str, ...]
    max_minutes: float | None
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
        return [
            *found,
            f"parameters: {about.total_parameters:,}, of which {about.trained_parameters:,} are trained",
            f"memory: about {about.memory_gb:.0f} GB on each device",
            self._time(about),
        ]

    def _time(self, about: Estimate) -> str:
        if about.step_s is None:
            return "time: unknown, no step of such a model was measured"
        where = f"on {estimates.DEVICE}; loading, evaluations and the other stages come on top"
        if self.max_minutes is not None and self.steps * about.step_s / 60 > self.max_minutes:
            fewest, most = (self.max_minutes * 60 / (about.step_s * factor) for factor in reversed(estimates.SPREAD))
            steps = f"about {fewest:.0f} to {min(most, self.steps):.0f} of the steps"
            return f"time: {self.max_minutes:g} minutes, when the clock ends it: {steps} {where}"
        return f"time: {estimates.minutes_between(self.steps * about.step_s)} {where}"


def make_plan(recipe: Recipe, stages: tuple[str, ...], processes: int = 1) -> Plan:
    """Read the data and work out windows, steps and estimates.

    Raises:
        RecipeError: clips are missing or malformed, or the base is of another family.
        ModelError: the base is of a type that no family has.
    """
    max_window_s = find_family(recipe.family).max_window_s
    check_sources(recipe)
    shape = estimates.read_shape(recipe)
    clips, left_out = load_clips(recipe.data.train, max_clip_s=max_window_s, sound=False)
    windows = plan_windows(recipe, clips, max_window_s, processes)
    return Plan(
        clips=len(clips),
        audio_s=sum(clip.duration_s for clip in clips),
        left_out=left_out,
        windows=len(windows),
        windows_per_epoch=windows.windows_per_epoch,
        steps=math.ceil(len(windows) / items_per_step(recipe, processes)),
        stages=stages,
        max_minutes=recipe.optimisation.max_minutes,
        estimate=None if shape is None else estimate(recipe, shape, clips, windows.windows_per_epoch),
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
        # Where the decoder reads the audio, sequences grow with it; elsewhere windows are all of one length.
        grouped=per_step if find_family(recipe.family).audio_positions else 1,
        epochs=recipe.optimisation.epochs,
        max_windows=None if most is None else most * per_step,
        speed_probability=recipe.augmentation.speed,
    )


def estimate(recipe: Recipe, shape: Shape, clips: list[TrainingClip], windows_per_epoch: int) -> Estimate:
    """Memory by the longest clips, time by the average window."""
    choice = recipe.optimisation
    settings = Settings(recipe.lora.adapt_encoder, choice.checkpointing, choice.anchor > 0, choice.compile)
    visits = sum(clip.repeat for clip in clips)
    clips_per_window = visits / max(windows_per_epoch, 1)
    characters = sum(len(clip.text) * clip.repeat for clip in clips) / visits
    text_tokens = clips_per_window * characters / _CHARACTERS_PER_TOKEN
    chunks = [math.ceil(clip.duration_s / _PACKED_S) for clip in clips]

    family = find_family(recipe.family)
    audio_positions = family.audio_positions

    def batch(chunks: float) -> Batch:
        rows = choice.batch_size
        positions = chunks * audio_positions + _PROMPT_TOKENS + (0 if family.writes_frames else text_tokens)
        targets = positions if family.writes_frames else text_tokens
        return Batch(encoder_windows=rows * chunks, decoder_positions=rows * positions, targets=rows * targets)

    usual, longest = batch(sum(chunks) / len(chunks)), batch(max(chunks))
    step_s = estimates.step_s(shape, usual, settings)
    return Estimate(
        memory_gb=estimates.memory_gb(shape, longest, settings),
        step_s=None if step_s is None else step_s * choice.accumulation,
        total_parameters=shape.total_parameters,
        trained_parameters=shape.trained_parameters,
    )
