"""The course of pitch and level over a recording, in few enough steps to be drawn. Knows samples only."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio.levels import SILENCE_DB, level_track_db
from evoxtral.audio.measures import FRAME_S, f0_track

# A step of speech on a screen; recordings that would take more steps than this get longer ones.
_STEP_S = 0.02
_MOST_STEPS = 6_000
_BLOCK_S = 30.0  # so much is measured at a time, to bound the memory
_DIGITS = 1


@dataclass(frozen=True, slots=True)
class Contours:
    """Pitch and level, one value each `step_s` from the start of the sound.

    Attributes:
        f0_hz: median pitch of the voiced frames of a step; None where fewer than half of them are voiced.
        level_db: RMS of a step in dB of full scale, not below -120.
    """

    step_s: float
    f0_hz: tuple[float | None, ...]
    level_db: tuple[float, ...]


def trace(samples: NDArray[np.float32], sample_rate_hz: int) -> Contours:
    """Pitch and level of mono samples, every 20 ms, or less often where that would make more than 6,000 steps."""
    return trace_blocks([samples], sample_rate_hz, len(samples) / sample_rate_hz)


def trace_blocks(blocks: Iterable[NDArray[np.float32]], sample_rate_hz: int, duration_s: float) -> Contours:
    """The same of a recording of about `duration_s` that comes in blocks; memory does not grow with its length."""
    frames = max(round(_STEP_S / FRAME_S), int(np.ceil(duration_s / FRAME_S / _MOST_STEPS)))
    step_s = frames * FRAME_S
    hop = round(step_s * sample_rate_hz)
    f0_hz: list[float | None] = []
    level_db: list[float] = []
    for block in _in_steps(blocks, max(1, round(_BLOCK_S / step_s)) * hop):
        block = np.pad(block, (0, -len(block) % hop))
        levels = level_track_db(block, sample_rate_hz, step_s)
        count = len(levels) * frames
        pitches = f0_track(block, sample_rate_hz)[:count]
        pitches = np.pad(pitches, (0, count - len(pitches))).reshape(-1, frames)
        level_db += [round(float(max(level, SILENCE_DB)), _DIGITS) for level in levels]
        f0_hz += [_pitch(step) for step in pitches]
    return Contours(step_s, tuple(f0_hz), tuple(level_db))


def _in_steps(blocks: Iterable[NDArray[np.float32]], size: int) -> Iterator[NDArray[np.float32]]:
    """The same samples in blocks of `size`; the last one may be shorter."""
    held = np.zeros(0, np.float32)
    for block in blocks:
        held = np.concatenate((held, block))
        while len(held) >= size:
            yield held[:size]
            held = held[size:]
    if len(held):
        yield held


def _pitch(frames_hz: NDArray[np.float64]) -> float | None:
    voiced = frames_hz[frames_hz > 0]
    return round(float(np.median(voiced)), _DIGITS) if 2 * len(voiced) >= len(frames_hz) else None
