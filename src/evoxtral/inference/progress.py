"""How far a recording is: what was read and what is done, told to whoever asks, and where it becomes too long.

Knows seconds; nothing of what is heard.
"""

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.errors import TooLongError
from evoxtral.inference.chunking import Window

# Told the seconds done and the seconds in all (None if unknown).
ProgressReport = Callable[[float, float | None], None]


class ProgressMeter:
    """Counts what was read and what is done, tells of it, and stops at what is too long."""

    def __init__(
        self, on_progress: ProgressReport | None, total_s: float | None, name: str, max_duration_s: float | None
    ) -> None:
        self.read_s = 0.0
        self._on_progress = on_progress
        self._total_s = total_s
        self._name = name
        self._max_duration_s = max_duration_s
        self._check(total_s or 0.0)

    def _check(self, length_s: float) -> None:
        if self._max_duration_s is not None and length_s > self._max_duration_s:
            raise TooLongError(f"{self._name}: is longer than {self._max_duration_s / 60:.4g} minutes", "cut it")

    def count(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        for block in blocks:
            self.read_s += len(block) / SAMPLE_RATE_HZ
            self._check(self.read_s)
            yield block

    def pass_window(self, window: Window) -> None:
        if self._on_progress is not None:
            self._on_progress(window.end_s, self._total_s)

    def finish(self) -> None:
        if self._on_progress is not None:
            self._on_progress(self.read_s, self.read_s)


def progress_of_channel(on_progress: ProgressReport | None, channel: int, channels: int) -> ProgressReport | None:
    """Progress through a recording of which each channel is heard in turn."""
    if on_progress is None or channels == 1:
        return on_progress

    def report(done_s: float, total_s: float | None) -> None:
        on_progress(done_s if total_s is None else (channel * total_s + done_s) / channels, total_s)

    return report
