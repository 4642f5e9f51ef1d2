"""Tags decided from frames whose answer is known by hand; and which voices speak the tagger's clips."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

_EDGE = Path(__file__).parents[2] / "recipes" / "edge"


def _load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


decisions = _load(_EDGE / "tagger" / "tag_decisions.py")

TEXT = "Hello there friend."
# "Hello" 0.2 to 0.6 s, "there" `gap_s` later for 0.4 s, "friend." right after it for 0.4 s.
FIRST_S, WORD_S = 0.2, 0.4
LOUD_DB, QUIET_DB = -20.0, -80.0


def _words(gap_s: float) -> list:
    second_s = FIRST_S + WORD_S + gap_s
    return [
        decisions.HeardWord(0, 5, FIRST_S, FIRST_S + WORD_S, 0.95),
        decisions.HeardWord(6, 11, second_s, second_s + WORD_S, 0.95),
        decisions.HeardWord(12, 19, second_s + WORD_S, second_s + 2 * WORD_S, 0.95),
    ]


def _frames(gap_s: float):
    """Frames in which the words are heard at a steady level, and nothing else is."""
    words = _words(gap_s)
    count = round((words[-1].end_s + 0.2) * 50)
    events = np.zeros((count, len(decisions.EVENTS)), np.float32)
    events[:, 0] = 1.0
    level_db = np.full(count, QUIET_DB, np.float32)
    for word in words:
        level_db[round(word.start_s * 50) : round(word.end_s * 50)] = LOUD_DB
    emotion = np.zeros((count, len(decisions.EMOTIONS)), np.float32)
    whispers, shouts, stammers = np.zeros((3, count), np.float32)
    stress = np.full(count, -5.0, np.float32)
    return decisions.HeardFrames(events, whispers, shouts, stammers, stress, emotion, level_db)


def _write(heard, gap_s: float) -> str:
    return decisions.write_tags(TEXT, _words(gap_s), heard, decisions.Thresholds())


def _hear_sound(heard, name: str, start_s: float, end_s: float) -> None:
    here = slice(round(start_s * 50), round(end_s * 50))
    heard.events[here] = 0.0
    heard.events[here, decisions.EVENTS.index(name)] = 1.0
    heard.level_db[here] = LOUD_DB


def test_a_laugh_between_two_words_stands_between_them_and_is_no_pause() -> None:
    heard = _frames(gap_s=1.0)
    _hear_sound(heard, "laughs", 0.7, 1.5)
    assert _write(heard, 1.0) == "Hello [laughs] there friend."


def test_a_cough_is_none_of_the_tags() -> None:
    heard = _frames(gap_s=1.0)
    _hear_sound(heard, "cough", 0.6, 1.6)
    assert _write(heard, 1.0) == TEXT


def test_frames_that_favour_nothing_give_no_tag() -> None:
    heard = _frames(gap_s=0.0)
    heard.events[:] = 1 / len(decisions.EVENTS)
    assert _write(heard, 0.0) == TEXT


@pytest.mark.parametrize(("gap_s", "written"), [(0.7, "Hello [pause] there friend."), (0.4, TEXT)])
def test_silence_between_words_is_a_pause_from_550_ms_on(gap_s: float, written: str) -> None:
    assert _write(_frames(gap_s), gap_s) == written


def test_whole_sentence_whispered_in_anger_has_both_tags_before_it() -> None:
    heard = _frames(gap_s=0.0)
    heard.whispers[:] = 0.9
    heard.emotion[:, decisions.EMOTIONS.index("angry")] = 6.0
    assert _write(heard, 0.0) == f"[angry] [whispers] {TEXT}"


def test_sensitivity_is_in_logits() -> None:
    # 0.7 is the logit log(7/3); one logit lower is the probability 1 / (1 + e * 3/7).
    assert decisions.Thresholds().moved(1.0).whispers == pytest.approx(1 / (1 + np.e * 3 / 7))


def test_clips_for_the_tagger_are_spoken_by_no_voice_that_is_kept_out() -> None:
    corpora, spoken = _load(_EDGE / "make_corpora.py"), _load(_EDGE / "tagger" / "speak_training_texts.py")
    assert set(corpora.TEST_VOICES) == spoken.TEST_VOICES
    assert set(corpora.VALIDATION_VOICES) == spoken.VALIDATION_VOICES
    assert set(corpora._UNUSED_VOICES) == spoken.UNUSED_VOICES
