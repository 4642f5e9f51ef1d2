"""The language guard of engines that tell no languages: the packaged model hears them, on speech of known languages."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.inference.engines.loading import load_packaged_engine
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.pipeline import transcribe
from evoxtral.inference.scheduler import WindowScheduler
from evoxtral.inference.second_ear import find_aligner, find_language_detector
from evoxtral.tts.espeak import SAMPLE_RATE_HZ as ESPEAK_RATE_HZ
from evoxtral.tts.espeak import synthesize

Sound = NDArray[np.float32]

TEXT = "I will call the police."


def spoken_in(accent: str, text: str) -> Sound:
    samples, _ = synthesize(text, accent)
    return resample(samples, ESPEAK_RATE_HZ, SAMPLE_RATE_HZ)


@pytest.fixture(scope="module")
def french() -> Sound:
    return spoken_in("fr", "Bonjour à tous, la réunion commence à neuf heures dans la grande salle.")


@pytest.fixture(scope="module")
def english() -> Sound:
    return spoken_in("en-us", "The meeting begins at nine in the large hall.")


class Deaf:
    """Writes the same English whatever is said, as sure of it as it is told; tells no language and aligns nothing."""

    name = "deaf"
    model = "any"
    max_window_s = 30.0
    batch_size = 8

    def __init__(self, mean_log_probability: float | None) -> None:
        self._mean = mean_log_probability

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Hypothesis]:
        return [Hypothesis(TEXT, self._mean) for _ in windows]


@pytest.mark.parametrize("times", [True, False])
@pytest.mark.parametrize("mean", [None, -0.4])
def test_foreign_speech_is_told_for_an_engine_without_an_ear(french: Sound, mean: float | None, times: bool) -> None:
    heard = transcribe(french, engine=Deaf(mean), times=times)
    assert heard.text == ""
    (note,) = heard.notes
    assert note.startswith("does not sound like English at 0.0 to ")
    assert "most like French" in note
    assert heard.language_probability is not None
    assert heard.language_probability < 0.3


@pytest.mark.parametrize("mean", [None, -0.4])
def test_english_speech_passes_for_an_engine_without_an_ear(english: Sound, mean: float | None) -> None:
    heard = transcribe(english, engine=Deaf(mean))
    assert (heard.text, heard.notes) == (TEXT, ())
    assert heard.language_probability is not None
    assert heard.language_probability > 0.5


def test_french_that_was_asked_for_is_not_left_out(french: Sound, english: Sound) -> None:
    assert transcribe(french, engine=Deaf(None), language="fr").text == TEXT
    assert transcribe(english, engine=Deaf(None), language="fr").text == ""


def test_a_server_guards_engines_without_an_ear(french: Sound, english: Sound) -> None:
    engine = Deaf(None)
    scheduler = WindowScheduler(engine, aligner=find_aligner(engine), detector=find_language_detector(engine))
    with scheduler.admit() as ticket:
        stand_in = scheduler.engine_for(ticket)
        assert transcribe(french, engine=stand_in).text == ""
        assert transcribe(english, engine=stand_in).text == TEXT
    scheduler.close()


def test_what_an_engine_tells_itself_is_not_asked_elsewhere(french: Sound, english: Sound) -> None:
    class Telling(Deaf):
        def detect_languages(self, windows: Sequence[NDArray[np.float32]]) -> list[dict[str, float] | None]:
            return [{"en": 0.875}, None][: len(windows)]

    told = find_language_detector(Telling(None)).detect_languages([french, french])
    assert told[0] == {"en": 0.875}
    assert told[1] == load_packaged_engine().detect_languages([french])[0]
    # Without times what an engine is sure of is not heard twice, and so nothing is told of it.
    assert transcribe(english, engine=Deaf(-0.01), times=False).language_probability is None
