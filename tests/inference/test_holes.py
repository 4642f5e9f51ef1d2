"""Where sound is missing: no window goes on behind a hole, and of a word that it cuts nothing is invented."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral.audio import SAMPLE_RATE_HZ, Hole
from evoxtral.inference import load_engine
from evoxtral.inference.engines.protocol import AlignedToken
from evoxtral.inference.hearing import hear_windows
from known_speech import Reader, Recording, record

SENTENCES = (
    "The quarterly report is ready.",
    "We will meet on Thursday at the station.",
    "Please bring the blue folder.",
    "The children are waiting outside.",
)


@pytest.fixture(scope="module")
def talk() -> Recording:
    return record(SENTENCES, [0.3, 0.5, 0.6, 0.5])


def without_sound(talk: Recording, hole: Hole) -> Recording:
    """The recording as it is decoded: nearly silent where it has the hole."""
    samples = talk.samples.copy()
    inside = slice(round(hole.start_s * SAMPLE_RATE_HZ), round(hole.end_s * SAMPLE_RATE_HZ))
    samples[inside] = np.random.default_rng(1).normal(0, 1e-5, inside.stop - inside.start)
    return replace(talk, samples=samples)


def hole_in(talk: Recording, first: int, last: int) -> Hole:
    """From the middle of one word to the middle of another."""
    begin, end = talk.words[first], talk.words[last]
    return Hole((begin.start_s + begin.end_s) / 2, (end.start_s + end.end_s) / 2, is_damage=True)


def texts(talk: Recording, hole: Hole, engine: Any) -> list[str]:
    heard = hear_windows([talk.samples], engine, engine, holes=[hole])
    return [word.text for window in heard for word in window.parsed.words]


@dataclass
class Doubtful(Reader):
    """Is as unsure of half words ("report?") as models are."""

    def align_windows(
        self, windows: Sequence[NDArray[np.float32]], texts: Sequence[str], *, language: str = "en"
    ) -> list[list[AlignedToken]]:
        return [
            [replace(token, probability=0.1) if text[token.start : token.end].endswith("?") else token for token in row]
            for row, text in zip(super().align_windows(windows, texts, language=language), texts, strict=True)
        ]


@pytest.mark.parametrize(("first", "last"), [(2, 9), (8, 14), (1, 2)])
def test_no_window_goes_on_behind_a_hole_and_half_words_are_left_out(talk: Recording, first: int, last: int) -> None:
    hole = hole_in(talk, first, last)
    holed = without_sound(talk, hole)
    engine = Doubtful(holed)
    whole = [word.text for word in [*talk.words[:first], *talk.words[last + 1 :]]]
    if hole.end_s - hole.start_s < 0.5:
        # So short a hole is no end; what stands there is the model's to say.
        assert set(whole) <= set(texts(holed, hole, engine))
        return
    assert texts(holed, hole, engine) == whole
    frame_s = 0.033
    assert all(end_s <= hole.start_s + frame_s or start_s >= hole.end_s - frame_s for start_s, end_s in engine.windows)


def test_a_sure_word_at_a_hole_stays(talk: Recording) -> None:
    begin, end = talk.words[4], talk.words[12]
    hole = Hole(begin.end_s, end.end_s + 0.2, is_damage=True)
    holed = without_sound(talk, hole)
    expected = [word.text for word in [*talk.words[:5], *talk.words[13:]]]
    assert [text.rstrip("?") for text in texts(holed, hole, Reader(holed))] == expected


def test_the_packaged_model_invents_nothing_at_a_hole() -> None:
    talk = record(SENTENCES, [0.3, 0.5, 0.6, 0.5], voices=["espeak/amber"])
    hole = hole_in(talk, 13, 17)
    whole = [word.text for word in [*talk.words[:13], *talk.words[18:]]]
    assert texts(without_sound(talk, hole), hole, load_engine("edge")) == whole
