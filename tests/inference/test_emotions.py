"""Emotion tags beside the writer's: where they stand, what stays as it is, and what the packaged model hears."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from evoxtral import bench
from evoxtral.audio import SAMPLE_RATE_HZ, Hole, load_audio
from evoxtral.inference import load_engine, transcribe
from evoxtral.inference.emotion_head import Emotion
from evoxtral.inference.hearing import hear_windows
from evoxtral.inference.scheduler import WindowScheduler
from known_speech import Reader, Recording, record

REAL_SET = Path(bench.__file__).parent / "testset_real"
SENTENCES = (
    "The quarterly report is ready.",
    "[angry] We will meet on Thursday at the station.",
    "Please bring the blue folder. [laughs]",
    "The children are waiting outside.",
    "No.",
)


class Feeling(Reader):
    """Hears every utterance as sad, or as nothing, in turn; English only."""

    utterances: list[float]

    def hears_emotions_in(self, language: str) -> bool:
        return language == "en"

    def hear_emotions(self, utterances: Sequence[NDArray[np.float32]], *, language: str = "en") -> list[Emotion | None]:
        self.utterances = [*getattr(self, "utterances", []), *(len(heard) / SAMPLE_RATE_HZ for heard in utterances)]
        return [Emotion("sad", 0.75)] * len(utterances)


@pytest.fixture(scope="module")
def talk() -> Recording:
    return record(SENTENCES, [0.3, 0.5, 0.6, 0.5, 0.4])


EXPECTED = (
    "[sad] The quarterly report is ready. [angry] We will meet on Thursday at the station. "
    "[sad] Please bring the blue folder. [laughs] [sad] The children are waiting outside. No."
)


@pytest.mark.parametrize("times", [True, False])
def test_sentences_without_a_tag_of_the_writer_get_one_and_the_rest_stays(talk: Recording, times: bool) -> None:
    heard = transcribe(talk.samples, engine=Feeling(talk), times=times)
    assert heard.text == EXPECTED
    plain = transcribe(talk.samples, engine=Reader(talk), times=times)
    assert heard.words == plain.words or [word.word for word in heard.words] == [word.word for word in plain.words]
    if times:
        sad = [tag for tag in heard.tags if tag.tag == "sad"]
        assert [tag.confidence for tag in sad] == [0.75] * 3
        others = [(tag.tag, tag.start_s, tag.end_s, tag.confidence) for tag in heard.tags if tag.tag != "sad"]
        assert others == [(tag.tag, tag.start_s, tag.end_s, tag.confidence) for tag in plain.tags]
        # A tag of emotion is heard as long as its sentence.
        assert [(tag.start_s, tag.end_s) for tag in sad[:1]] == [(heard.words[0].start_s, heard.words[4].end_s)]


def test_an_engine_is_asked_about_sentences_and_nothing_else(talk: Recording) -> None:
    engine = Feeling(talk)
    transcribe(talk.samples, engine=engine)
    words = talk.words
    spans = [(words[0], words[4]), (words[13], words[17]), (words[18], words[22])]
    lengths = [last.end_s - first.start_s for first, last in spans]
    # A tenth of a second on either side, and what the alignment errs by.
    assert engine.utterances == pytest.approx([length + 0.2 for length in lengths], abs=0.25)


def test_other_languages_and_places_of_damage_get_none(talk: Recording) -> None:
    assert transcribe(talk.samples, engine=Feeling(talk), language="fr").text == talk.text
    hole = Hole(talk.words[23].end_s + 0.1, talk.words[23].end_s + 0.3, is_damage=True)
    engine = Feeling(talk)
    heard = list(hear_windows([talk.samples], engine, engine, holes=[hole]))
    assert not [tag for window in heard for tag in window.parsed.tags if tag.name == "sad"]


def test_a_server_asks_its_engine(talk: Recording) -> None:
    scheduler = WindowScheduler(Feeling(talk))
    with scheduler.admit() as ticket:
        assert transcribe(talk.samples, engine=scheduler.engine_for(ticket)).text == EXPECTED
    scheduler.close()


@pytest.mark.parametrize(
    ("clip", "emotion"),
    [("emotion-03a01Wa", "angry"), ("emotion-16a01Tb", "sad"), ("emotion-03a01Nc", None)],
)
@pytest.mark.parametrize("gain_db", [-20.0, 0.0])
def test_the_packaged_model_hears_an_actor_of_the_test_set_near_and_far(
    clip: str, emotion: str | None, gain_db: float
) -> None:
    samples = load_audio(REAL_SET / "audio" / f"{clip}.opus") * np.float32(10 ** (gain_db / 20))
    heard = transcribe(samples, engine=load_engine("edge"), language="de")
    assert [(tag.tag, tag.gap) for tag in heard.tags] == ([] if emotion is None else [(emotion, 0)])
