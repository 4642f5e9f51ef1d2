"""The table of sounds: every tag of the language has one, a tag without one is spoken as if it were not there."""

import numpy as np
import pytest

from evoxtral.tags import TAG_TYPES, Category
from evoxtral.tts import nonverbal, sounds
from evoxtral.tts.local import LocalEngine
from evoxtral.tts.sounds import KNOWN, SOUNDS, Burst, Delivery, Emotion, Pause, manner_for, pause_s

KINDS = {
    Category.EMOTION: Emotion,
    Category.DELIVERY: Delivery,
    Category.NON_VERBAL: Burst,
    Category.PAUSE: Pause,
}


def test_every_tag_of_the_language_has_a_sound_of_its_kind() -> None:
    audible = {tag.name: tag.category for tag in TAG_TYPES if tag.category in KINDS}
    assert audible.keys() == KNOWN
    assert {name for name, category in audible.items() if not isinstance(SOUNDS[name], KINDS[category])} == set()


def test_a_tag_without_an_entry_is_spoken_as_neutral(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = {name: sound for name, sound in SOUNDS.items() if name not in ("sad", "laughs")}
    monkeypatch.setattr(sounds, "SOUNDS", lacking)
    monkeypatch.setattr(nonverbal, "BURSTS", {name: sounds.BURSTS[name] for name in sounds.BURSTS if name != "laughs"})
    speech = LocalEngine().speak("[sad] Well. [laughs] Yes.", voice="espeak/carl")
    assert [tag.tag for tag in speech.tags] == ["sad", "laughs"]
    assert speech.tags[1].end_s == speech.tags[1].start_s
    assert manner_for("sad", None, np.random.default_rng(1)) == manner_for(None, None, np.random.default_rng(1))


def test_a_manner_is_drawn_within_the_ranges_of_its_entry() -> None:
    sad = SOUNDS["sad"]
    assert isinstance(sad, Emotion)
    for seed in range(20):
        manner = manner_for("sad", None, np.random.default_rng(seed))
        for name, span in sad.ranges.items():
            low, high = span if isinstance(span, tuple) else (span, span)
            assert low <= getattr(manner, name) <= high


@pytest.mark.parametrize(
    ("text", "low_s", "high_s"), [("[short pause]", 0.4, 0.6), ("[pause]", 0.6, 1.1), ("[LONG pause]", 1.2, 1.8)]
)
def test_pauses_last_as_their_words_say(text: str, low_s: float, high_s: float) -> None:
    drawn = [pause_s("pause", text, np.random.default_rng(seed)) for seed in range(50)]
    assert low_s <= min(drawn) < max(drawn) <= high_s
