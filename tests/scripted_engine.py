"""An engine that says what it is told, for tests of everything above engines."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from evoxtral.inference.engines.protocol import AlignedToken, Hypothesis
from evoxtral.tags import parse


class ScriptedEngine:
    """Answers every window with `text`, after calling `before` (which may wait or raise); spreads words evenly."""

    name = "scripted"
    model = "test"
    max_window_s = 30.0
    batch_size = 1

    def __init__(self) -> None:
        self.text = "[excited] It WORKS! [laughs]"
        self.before: Callable[[], object] = lambda: None

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        self.before()
        return [Hypothesis(self.text, mean_log_probability=-0.1, no_speech_probability=0.0) for _ in windows]

    def detect_languages(self, windows: Sequence[NDArray[np.float32]]) -> list[Mapping[str, float] | None]:
        return [{"en": 1.0} for _ in windows]  # so that the packaged model is not asked

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        aligned = []
        for samples, text in zip(windows, texts, strict=True):
            words = parse(text).words
            step_s = len(samples) / 16_000 / max(len(words), 1)
            aligned.append(
                [
                    AlignedToken(word.start, word.end, index * step_s, (index + 1) * step_s, probability=0.9)
                    for index, word in enumerate(words)
                ]
            )
        return aligned
