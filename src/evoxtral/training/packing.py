"""Training windows: which clips go into which window, and the samples and text that come out.

Real use transcribes windows that hold several utterances with silence around them, so training packs clips the same
way. The whole run is planned beforehand from one seed: window *i* is the same in every process, after every resume,
and for every number of loader workers. Knows nothing of tokens or models.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.training.clips import TrainingClip
from evoxtral.training.recipe import Packing

GAP_S: Final = (0.2, 1.2)
EDGE_S: Final = (0.0, 0.6)
EMPTY_S: Final = (1.0, 30.0)  # but no longer than a window
SPEED: Final = (0.9, 1.1)
_GROUPS_SORTED: Final = 16


@dataclass(frozen=True, slots=True)
class Window:
    """What the model hears and must write: mono int16 `samples` at 16 kHz, shape (n,), and the tagged `text`.

    `ends_s` as of `TrainingClip`.
    """

    samples: NDArray[np.int16]
    text: str
    ends_s: tuple[float, ...] | None = None


class WindowPlan:
    """The windows of a whole run, in order; a map-style dataset for a sequential sampler.

    Each epoch visits every clip `repeat` times in a new order. A share of the windows (`packing.probability`) is filled
    with as many of the next clips as fit, up to a drawn length; the others hold one clip.

    Args:
        window_s: no window of several clips is longer.
        grouped: so many windows that follow each other are of like length in audio and text, which spares padding.
        epochs: windows are planned for so many epochs, the last of which may be cut short.
        max_windows: at most so many windows; with `epochs` None, exactly so many.
        speed_probability: share of clips that are played faster or slower (by up to 10 %, with their pitch).
    """

    def __init__(
        self,
        clips: Sequence[TrainingClip],
        packing: Packing,
        *,
        seed: int,
        window_s: float = 30.0,
        grouped: int = 1,
        epochs: float | None = 1.0,
        max_windows: int | None = None,
        speed_probability: float = 0.0,
    ) -> None:
        if epochs is None and max_windows is None:
            raise ValueError("a plan needs an end: epochs or max_windows")
        self._clips = clips
        self._packing = packing
        self._seed = seed
        self._window_s = window_s
        self._grouped = grouped
        self._speed_probability = speed_probability
        self._members: list[tuple[int, ...]] = []
        self.windows_per_epoch = 0
        epoch = 0
        while True:
            members = self._plan_epoch(epoch)
            if epoch == 0:
                self.windows_per_epoch = len(members)
            if epochs is not None and epochs - epoch < 1:
                members = members[: round(len(members) * (epochs - epoch))]
            self._members += members
            epoch += 1
            if max_windows is not None and len(self._members) >= max_windows:
                self._members = self._members[:max_windows]
                break
            if epochs is not None and epoch >= epochs:
                break

    def _plan_epoch(self, epoch: int) -> list[tuple[int, ...]]:
        random = np.random.default_rng((self._seed, epoch))
        visits = []
        for index, clip in enumerate(self._clips):
            whole, share = divmod(clip.repeat, 1)
            visits += [index] * (int(whole) + int(random.random() < share))
        order = random.permutation(np.array(visits, dtype=np.int64)).tolist()
        members: list[tuple[int, ...]] = []
        start = 0
        while start < len(order):
            end = start + 1
            if random.random() < self._packing.probability:
                # The reserve leaves room for the silence around and for slower speech.
                target_s = random.uniform(0.3, 1.0) * self._window_s
                length_s = EDGE_S[1] * 2 + self._clips[order[start]].duration_s / SPEED[0]
                while end < len(order):
                    length_s += GAP_S[1] + self._clips[order[end]].duration_s / SPEED[0]
                    if length_s > target_s:
                        break
                    end += 1
            members.append(tuple(order[start:end]))
            start = end
        members += [()] * round(len(members) * self._packing.empty)
        random.shuffle(members)
        return self._group(members, random)

    def _group(self, members: list[tuple[int, ...]], random: np.random.Generator) -> list[tuple[int, ...]]:
        """Sort windows within chunks of the order, and take the groups of each chunk in a new order."""

        def size(window: tuple[int, ...]) -> tuple[int, int]:
            clips = [self._clips[index] for index in window]
            return math.ceil(sum(clip.duration_s for clip in clips) / self._window_s), sum(len(c.text) for c in clips)

        if self._grouped == 1:
            return members
        ordered: list[tuple[int, ...]] = []
        for start in range(0, len(members), self._grouped * _GROUPS_SORTED):
            chunk = sorted(members[start : start + self._grouped * _GROUPS_SORTED], key=size)
            groups = [chunk[place : place + self._grouped] for place in range(0, len(chunk), self._grouped)]
            for place in random.permutation(len(groups)):
                ordered += groups[place]
        return ordered

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, index: int) -> Window:
        # The clips' numbers are part of the seed only through the index: a window is drawn alike in every process.
        random = np.random.default_rng((self._seed, 1 << 32, index))
        members = self._members[index]
        if not members:
            return Window(_nothing(random, self._window_s), "", ())
        if not self._packing.probability:
            # Without packing, a window is its clip and nothing else.
            clip = self._clips[members[0]]
            samples = self._spoken(clip, random)
            return Window(samples, clip.text, _moved_ends(clip, len(samples), 0))
        pieces: list[NDArray[np.int16]] = []
        ends: list[tuple[float, ...] | None] = []
        for place, member in enumerate(members):
            pieces.append(_silence(random, GAP_S if place else EDGE_S))
            start = sum(map(len, pieces))
            pieces.append(self._spoken(self._clips[member], random))
            ends.append(_moved_ends(self._clips[member], len(pieces[-1]), start))
        pieces.append(_silence(random, EDGE_S))
        samples = np.concatenate(pieces)
        if len(members) == 1 and len(samples) > self._window_s * SAMPLE_RATE_HZ:
            # A clip of about a window's length or more: its surroundings give way, never its speech.
            samples = pieces[1]
            ends = [_moved_ends(self._clips[members[0]], len(samples), 0)]
        texts = (self._clips[member].text.strip() for member in members)
        known = [own for own in ends if own is not None]
        joined = tuple(end_s for own in known for end_s in own) if len(known) == len(ends) else None
        return Window(samples, " ".join(text for text in texts if text), joined)

    def _spoken(self, clip: TrainingClip, random: np.random.Generator) -> NDArray[np.int16]:
        if random.random() >= self._speed_probability:
            return clip.samples
        # Slower speech may not leave the window.
        slowest = max(SPEED[0], min(1.0, clip.duration_s / self._window_s))
        count = round(len(clip.samples) / random.uniform(slowest, SPEED[1]))
        places = np.linspace(0, len(clip.samples) - 1, max(count, 1))
        return np.interp(places, np.arange(len(clip.samples)), clip.samples).astype(np.int16)


def _moved_ends(clip: TrainingClip, samples: int, start: int) -> tuple[float, ...] | None:
    """A clip's `ends_s` where it is played in so many samples from a sample on."""
    if clip.ends_s is None:
        return None
    stretch = samples / max(len(clip.samples), 1)
    return tuple(start / SAMPLE_RATE_HZ + end_s * stretch for end_s in clip.ends_s)


def _silence(random: np.random.Generator, range_s: tuple[float, float]) -> NDArray[np.int16]:
    return np.zeros(round(random.uniform(*range_s) * SAMPLE_RATE_HZ), dtype=np.int16)


def _nothing(random: np.random.Generator, window_s: float) -> NDArray[np.int16]:
    """A window without speech: silence, or white or brownish noise of a drawn level."""
    count = round(min(random.uniform(*EMPTY_S), window_s) * SAMPLE_RATE_HZ)
    level = 10 ** (random.uniform(-80, -25) / 20)
    if random.random() < 0.2:
        return np.zeros(count, dtype=np.int16)
    noise = random.standard_normal(count)
    if random.random() < 0.6:
        spectrum = np.fft.rfft(noise)
        slope = random.uniform(0.3, 1.0)
        noise = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 1) ** slope, count)
        noise /= max(float(noise.std()), 1e-9)
    return (noise * level * 32767).clip(-32768, 32767).astype(np.int16)
