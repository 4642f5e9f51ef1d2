"""Speech behind the end of a text that ends too early is heard again; texts that are whole cost nothing more."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.inference.chunking import cut_windows
from evoxtral.inference.early_ends import is_sparse
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.pipeline import transcribe
from known_speech import Reader, Recording, record

SENTENCES = (
    "The baker opens his shop before anybody else is awake.",
    "We found the letters under the floor of the kitchen!",
    "Nobody answered when I called, so I went home again.",
    "My brother keeps eleven clocks and none of them agree.",
)


@pytest.fixture(scope="module")
def talk() -> Recording:
    return record(SENTENCES, [0.3, 0.5, 0.6, 0.5])


@dataclass
class Stops(Reader):
    """Writes no more than so many words of a window."""

    most_words: int = 10
    calls: int = 0

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        self.calls += len(windows)
        read = super().transcribe_windows(windows, language=language)
        return [Hypothesis(" ".join(found.text.split()[: self.most_words]), -0.05, 0.0) for found in read]


@pytest.mark.parametrize("times", [True, False])
def test_speech_behind_the_end_of_a_text_is_heard_again(talk: Recording, times: bool) -> None:
    transcript = transcribe(talk.samples, engine=Stops(talk), times=times)
    assert transcript.text == talk.text
    if times:
        starts = [word.start_s for word in transcript.words]
        assert starts == pytest.approx([word.start_s for word in talk.words], abs=0.35)


@pytest.mark.parametrize("times", [True, False])
def test_a_whole_text_costs_no_further_call(talk: Recording, times: bool) -> None:
    engine = Stops(talk, most_words=1000)
    assert transcribe(talk.samples, engine=engine, times=times).text == talk.text
    assert engine.calls == 1
    (window,) = cut_windows([talk.samples])
    assert not is_sparse(window, talk.text)


def test_what_is_only_the_last_words_again_is_not_said_twice(talk: Recording) -> None:
    class Echo(Stops):
        """Hears the end of the talk in all that is behind the first call."""

        def transcribe_windows(
            self, windows: Sequence[NDArray[np.float32]], *, language: str = "en"
        ) -> list[Hypothesis]:
            self.calls += 1
            text = "the baker opens his shop" if self.calls == 1 else "his shop."
            return [Hypothesis(text, -0.05, 0.0) for _ in windows]

    engine = Echo(talk)
    assert transcribe(talk.samples, engine=engine, times=False).text == "the baker opens his shop"


def test_a_model_that_writes_two_words_a_time_is_asked_a_bounded_number_of_times(talk: Recording) -> None:
    engine = Stops(talk, most_words=2)
    transcribe(talk.samples, engine=engine, times=False)
    assert engine.calls == 5
