"""Names are written right where they are said, and nowhere else: the rules on texts, and the packaged model."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, resample
from evoxtral.errors import EvoxtralError
from evoxtral.inference import TranscribeOptions, transcribe
from evoxtral.inference.engines.loading import load_packaged_engine
from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.inference.keywords import likeliest, split_keywords, with_keywords
from evoxtral.tts import speak

NAMES = ["Okafor", "Quetzalcoatl", "Bhattacharya", "Kubernetes"]


@pytest.mark.parametrize(
    ("text", "prompted", "expected"),
    [
        ("[sad] I saw a kefir, so happy! [laughs]", "I saw Okafor so sad.", "[sad] I saw Okafor, so happy! [laughs]"),
        ("They met Okafor.", "They met Okafor.", "They met Okafor."),
        ("a kefir's hat", "Okafor's hat", "Okafor's hat"),
        # Where nothing was heard, nothing is written.
        ("", "Okafor.", ""),
        ("We were happy.", "We were happy, Okafor.", "We were happy."),
        # Nor in the place of words that sound otherwise, or of half a sentence.
        ("We saw the mountains.", "We saw the Okafor.", "We saw the mountains."),
        ("One two three four five six kefir.", "Okafor.", "One two three four five six kefir."),
        # What else the other text says does not count.
        ("The kefir is late today.", "The Okafor was lately stray.", "The kefir is late today."),
    ],
)
def test_a_keyword_stands_for_what_sounds_like_it(text: str, prompted: str, expected: str) -> None:
    assert with_keywords(text, prompted, ["Okafor"]) == expected


def test_likely_is_what_sounds_alike_and_is_not_there() -> None:
    assert likeliest("I met a kefir there.", NAMES)[-1] == "Okafor"
    assert likeliest("Six.", NAMES) == []
    assert likeliest("I met Okafor there.", ["Okafor"]) == []
    assert likeliest("[laughs]", NAMES) == likeliest("", NAMES) == []


@given(text=st.text(max_size=60), prompted=st.text(max_size=60))
def test_without_keywords_any_text_stays(text: str, prompted: str) -> None:
    assert with_keywords(text, prompted, []) == with_keywords(text, text, NAMES) == text


def test_lists_of_keywords_are_split() -> None:
    assert split_keywords(["Ann, Bob Smith", "Ann\nCid;  "]) == ("Ann", "Bob Smith", "Cid")
    for wrong in ("[]", "x" * 61):
        with pytest.raises(EvoxtralError, match="is no keyword"):
            TranscribeOptions(keywords=(wrong,))


@pytest.fixture(scope="module")
def said() -> NDArray[np.float32]:
    speech = speak("I have never seen Kowalczyk so happy before.", voice="espeak/amber", seed=0)
    return resample(speech.samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)


def test_the_packaged_model_writes_a_name_that_it_is_told(said: NDArray[np.float32]) -> None:
    engine = load_packaged_engine()
    without = transcribe(said, engine=engine, times=False)
    assert "Kowalczyk" not in without.text
    told = transcribe(said, engine=engine, times=False, keywords=("Nakamura", "Kowalczyk", "Metoprolol"))
    assert "Kowalczyk" in told.text
    assert not {"Nakamura", "Metoprolol"} & set(told.text.split())


def test_what_nobody_says_changes_nothing(said: NDArray[np.float32]) -> None:
    engine = load_packaged_engine()
    noise = np.random.default_rng(0).normal(0, 0.01, 4 * SAMPLE_RATE_HZ).astype(np.float32)
    for sound in (said, noise, np.zeros_like(noise)):
        plain = transcribe(sound, engine=engine, times=False)
        assert transcribe(sound, engine=engine, times=False, keywords=("Ljubljana", "Ouagadougou")).text == plain.text


def test_an_engine_that_takes_none_is_said(scripted_engine, said: NDArray[np.float32]) -> None:
    heard = transcribe(said, engine=scripted_engine, keywords=("Ann",))
    assert heard.notes == ("keywords are not used: test takes none",)


class Prompted:
    """An engine that writes what its prompt asks for, whatever is said."""

    name, model, max_window_s, batch_size, takes_keywords = "prompted", "test", 30.0, 4, True

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    def transcribe_windows(self, windows: Sequence[NDArray[np.float32]], *, language: str = "en"):
        return [Hypothesis("I saw a kefir.", -0.1, 0.0) for _ in windows]

    def detect_languages(self, windows):
        return [None] * len(windows)

    def transcribe_prompted(self, windows, keywords, *, language: str = "en"):
        self.asked += [list(asked) for asked in keywords]
        return [Hypothesis(f"I saw {asked[-1]}.", -0.1, 0.0) for asked in keywords]

    def align_windows(self, windows, texts, *, language: str = "en"):
        return [[] for _ in windows]


def test_only_likely_keywords_are_asked_for(said: NDArray[np.float32]) -> None:
    engine = Prompted()
    assert transcribe(said, engine=engine, times=False, keywords=tuple(NAMES)).text == "I saw Okafor."
    ((*_, nearest),) = engine.asked
    assert nearest == "Okafor"
