"""What a base voice is asked to say for text that people paste: words, and never the names of signs."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.errors import VoiceError
from evoxtral.findings import Finding
from evoxtral.models import ModelStore
from evoxtral.tags import parse
from evoxtral.tts import base_voices, espeak
from evoxtral.tts.local import LocalEngine
from evoxtral.tts.plain_speech import BaseVoice, PlainSpeech
from evoxtral.tts.speech_engine import Speech, Voice
from evoxtral.tts.spoken_text import SpokenText, make_speakable


class Listener:
    """A family of one voice, which speaks and keeps what it was asked to say."""

    engine = "local/listener"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def speak_words(self, words: Sequence[str]) -> PlainSpeech:
        self.asked += words
        return espeak.speak_words(words, espeak.VOICES["carl"])

    def sample(self) -> PlainSpeech:
        return espeak.speak_words(["Ah,", "far."], espeak.VOICES["carl"])

    def voices(self, store: ModelStore) -> list[Voice]:
        return [Voice("listener/one", "")]

    def load(self, name: str, store: ModelStore, cache_folder: Path | None) -> BaseVoice:
        return self

    def probe(self, store: ModelStore) -> Finding:
        return Finding("listener", True, "1 voice")


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Listener:
    listener = Listener()
    monkeypatch.setattr(base_voices, "FAMILIES", {"listener": listener})
    return listener


def said(listener: Listener, text: str) -> tuple[str, Speech]:
    speech = LocalEngine().speak(text, voice="listener/one")
    return " ".join(listener.asked), speech


@pytest.mark.parametrize(
    ("text", "spoken"),
    [
        ("# Plan\n\n- Buy **milk**\n- call *Ann*\n", "Plan Buy milk call Ann"),
        ("> It is `done`.\n\n---\n1. Go", "It is done. 1. Go"),
        ("| who | when |\n|-----|:----:|\n| Ann | noon |", "who, when Ann, noon"),
        ('See [the guide](https://example.org/a_b?c=1 "Guide").', "See the guide."),
        ("Go to https://www.example.org/a_b?c=1, now.", "Go to example dot org, now."),
        ("Write to ann.lee@example.org.", "Write to ann dot lee at example dot org."),
        ("![a red boat](boat.png) sails", "a red boat sails"),
        ("Use snake_case and 3 * 4.", "Use snake case and 3 times 4."),
        ("Item #4 takes ~5 days", "Item number 4 takes about 5 days"),
        ("Well **", "Well"),
        ("fish &amp; chips", "fish and chips"),
        ('I <sub alias="World Wide Web">WWW</sub> you', "I World Wide Web you"),
        ("a < b and b > c", "a is less than b and b is more than c"),
        ("The angle α is 5°.", "The angle alpha is 5°."),
        ("A → B", "A to B"),
        ("Ünïcode naïve straße", "Ünïcode naïve straße"),
        ('Well — no, (really) "yes".', 'Well — no, (really) "yes".'),
    ],
)
def test_signs_are_spoken_as_people_would(listener: Listener, text: str, spoken: str) -> None:
    assert said(listener, text)[0] == spoken


@pytest.mark.parametrize(
    ("text", "spoken", "noted"),
    [
        ("Hello 😀👍🏽 👩‍👩‍👧 🇫🇷 friend", "Hello friend", "😀"),
        ("The word 你好 means hello", "The word means hello", "Chinese script (你好)"),
        ("She said привет to me", "She said to me", "Cyrillic script (привет)"),
        ("Say สวัสดี now", "Say now", "Thai script"),
        ("<speak>Hi <prosody rate='slow'>you</prosody></speak>", "Hi you", "markup"),
        ("See https://example.org/long/way?x=1", "See example dot org", "address"),
        ("Well [rings a bell] yes", "Well yes", "[rings a bell]"),
    ],
)
def test_what_is_left_out_is_said(listener: Listener, text: str, spoken: str, noted: str) -> None:
    words, speech = said(listener, text)
    assert words == spoken
    assert any(noted in note for note in speech.notes), speech.notes


@pytest.mark.parametrize("text", ["(laughs) Oh no. *sighs*", "_laughs_ Oh no. (sighs)", "[laughs] Oh no. [sighs]"])
def test_stage_directions_are_tags_in_other_brackets(listener: Listener, text: str) -> None:
    words, speech = said(listener, text)
    assert words == "Oh no."
    assert [tag.tag for tag in speech.tags] == ["laughs", "sighs"]
    assert speech.notes == ()


def test_a_break_is_a_pause(listener: Listener) -> None:
    words, speech = said(listener, 'One. <break time="1s"/> Two.')
    assert words == "One. Two."
    assert [tag.tag for tag in speech.tags] == ["pause"]


def test_words_are_counted_in_the_text_that_is_given_back(listener: Listener) -> None:
    _, speech = said(listener, "**One** 😀 [two](https://example.org/) [laughs] three")
    assert [word.word for word in speech.words] == [word.text for word in parse(speech.text).words]
    assert [word.word for word in speech.words] == ["One", "two", "three"]


@pytest.mark.parametrize("text", ["😀😀", "你好", "</s>", "***"])
def test_of_signs_alone_nothing_is_spoken_by_name(listener: Listener, text: str) -> None:
    with pytest.raises(VoiceError, match="nothing to speak"):
        said(listener, text)
    assert listener.asked == []


@given(st.lists(st.sampled_from(["Well", "it's", "x-ray,", "[sad]", "[laughs]", "NO!", "(so", "they)", "...", "—"])))
def test_ordinary_tagged_text_comes_back_as_it_is(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert make_speakable(text) == SpokenText(text)


@given(st.text(max_size=200))
def test_no_sign_that_a_voice_reads_by_name_is_left(text: str) -> None:
    speakable = make_speakable(text).text
    assert not set("*_`~|^\\#") & set(speakable)
    assert make_speakable(speakable).notes == () or "<" in text or "&" in text
