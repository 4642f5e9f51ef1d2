"""Fixtures that several rooms' tests share: an engine that says what it is told, and a clip that really decodes."""

import io
import math
import struct
import wave
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.inference.engine import Hypothesis


class ScriptedEngine:
    """Answers every window with `text`, after calling `before` (which may wait or raise)."""

    name = "scripted"
    model = "test"
    max_window_s = 30.0

    def __init__(self) -> None:
        self.text = "[excited] It WORKS! [laughs]"
        self.before: Callable[[], object] = lambda: None

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        self.before()
        return [Hypothesis(self.text, mean_log_probability=-0.1, no_speech_probability=0.0) for _ in windows]


@pytest.fixture
def scripted_engine() -> ScriptedEngine:
    return ScriptedEngine()


@pytest.fixture(scope="session")
def vowel_wav() -> bytes:
    """One second of a vowel-like sound: a 120 Hz pulse train with a formant, as a 16-bit WAV file."""
    rate_hz = 16_000
    samples = [
        sum(math.sin(2 * math.pi * 120 * k * n / rate_hz) / (1 + ((120 * k - 700) / 200) ** 2) for k in range(1, 25))
        for n in range(rate_hz)
    ]
    loudest = max(map(abs, samples))
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(b"".join(struct.pack("<h", round(20_000 * sample / loudest)) for sample in samples))
    return buffer.getvalue()
