"""Drafts of the edge model: what an utterance says so far, begun with what is certain."""

from pathlib import Path

import pytest

from evoxtral import load_engine
from evoxtral.audio import load_audio
from evoxtral.inference.engines.edge import EdgeEngine
from evoxtral.inference.engines.protocol import Drafter

READING = Path(__file__).parents[3] / "examples" / "reading.opus"


@pytest.fixture(scope="module")
def engine() -> EdgeEngine:
    engine = load_engine("edge")
    assert isinstance(engine, EdgeEngine)
    assert isinstance(engine, Drafter)
    return engine


def test_drafts_grow_with_the_sound_and_keep_their_beginnings(engine: EdgeEngine) -> None:
    sound = load_audio(READING)
    parts = [sound[: 16_000 * 3], sound[: 16_000 * 8]]
    begun = "You don't mean that you thought me so silly. [laughs] I really"
    first, second = engine.draft_windows(parts, ["You don't mean", begun])
    assert first.text == "You don't mean that you thought me so silly."
    assert second.text.startswith(f"{begun} like that account")
    assert second.mean_log_probability is not None


def test_a_certain_beginning_is_kept_though_something_else_is_heard(engine: EdgeEngine) -> None:
    (draft,) = engine.draft_windows([load_audio(READING)[: 16_000 * 3]], ["Surely, you don't mean,"])
    assert draft.text.startswith("Surely, you don't mean")
    assert "silly" in draft.text
