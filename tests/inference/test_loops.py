"""What was said while a model went on with the same words is heard again from where it lost the thread."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ
from evoxtral.inference.chunking import cut_windows
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.pipeline import transcribe
from known_speech import Reader, Recording, record

SENTENCES = (
    "The baker opens his shop early.",
    "We found letters under that floor!",
    "Nobody answered when I called yesterday.",
    "My brother keeps clocks at home.",
)


@pytest.fixture(scope="module")
def talk() -> Recording:
    return record(SENTENCES, [0.3, 0.5, 0.6, 0.5])


@dataclass
class LosesTheThread(Reader):
    """Reads the first sentence of a window, six words, and then goes on with the last three of them."""

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        read = super().transcribe_windows(windows, language=language)
        return [Hypothesis(self._lost(hypothesis.text), -0.05, 0.0) for hypothesis in read]

    def _lost(self, text: str) -> str:
        words = text.split()
        return text if len(words) <= 6 else " ".join([*words[:6], *words[3:6] * 30])


@pytest.mark.parametrize("times", [True, False])
def test_speech_behind_a_loop_is_heard_again(talk: Recording, times: bool) -> None:
    engine = LosesTheThread(talk)
    transcript = transcribe(talk.samples, engine=engine, times=times)
    assert transcript.text == talk.text
    if times:
        starts = [word.start_s for word in transcript.words]
        assert starts == pytest.approx([word.start_s for word in talk.words], abs=0.35)


def test_a_model_that_only_loops_is_asked_a_bounded_number_of_times(talk: Recording) -> None:
    class Looping(Reader):
        calls = 0

        def transcribe_windows(
            self, windows: Sequence[NDArray[np.float32]], *, language: str = "en"
        ) -> list[Hypothesis]:
            self.calls += 1
            return [Hypothesis(" ".join(["baker"] * 200), -0.05, 0.0) for _ in windows]

    engine = Looping(talk)
    transcribe(talk.samples, engine=engine, times=False)
    assert engine.calls <= 5


@pytest.mark.parametrize("offset_s", [0.05, 3.0, 11.7])
def test_a_split_window_is_the_window_in_two(offset_s: float) -> None:
    rng = np.random.default_rng(0)
    spoken = record(SENTENCES[:1], [0.3]).samples
    silence = rng.normal(0, 1e-5, 8 * SAMPLE_RATE_HZ).astype(np.float32)
    (window,) = cut_windows([np.concatenate([spoken, silence, spoken, silence, spoken])])
    assert len(window.spans) == 3
    parts = window.split(offset_s)
    assert parts is not None
    before, after = parts
    np.testing.assert_array_equal(np.concatenate([before.samples, after.samples]), window.samples)
    np.testing.assert_array_equal(np.concatenate([before.speech, after.speech]), window.speech)
    assert before.end_s == after.start_s or before.end_s in {span.end / SAMPLE_RATE_HZ for span in window.spans}
    for part in parts:
        assert sum(span.end - span.start for span in part.spans) == len(part.samples)
    assert after.time_in_recording(1.0) == pytest.approx(
        window.time_in_recording(len(before.samples) / SAMPLE_RATE_HZ + 1.0), abs=1e-6
    )
    assert window.split(0.0) is None
    assert window.split(len(window.samples) / SAMPLE_RATE_HZ + 1) is None
