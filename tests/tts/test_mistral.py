"""The engine for Voxtral TTS 3: Mistral's real SDK against a local service that speaks its wire format."""

import asyncio
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from elevenlabs_service import Naps
from evoxtral.corpus.synthesis import synthesize
from evoxtral.data.corpus_config import SynthesisConfig
from evoxtral.data.corpus_folder import CorpusFolder
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.errors import EvoxtralError, VoiceError
from evoxtral.tts import load_speech_engine
from evoxtral.tts.mistral import PRESET_VOICES, mistral_engine
from evoxtral.tts.paid.paid_engine import PaidEngine
from evoxtral.tts.speech_engine import RemoteSpeechEngine, SpokenTurn
from mistral_service import VOICES, MistralService, as_wav, refused, sound_of

TEXT = "[excited] We passed the audit! And now we rest."
SENT = "[emotion=excited] We passed the audit! [emotion=neutral]And now we rest."


@pytest.fixture
def service() -> Iterator[MistralService]:
    service = MistralService("secret-1", "secret-2")
    threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
    yield service
    service.shutdown()
    service.server_close()


@pytest.fixture
def naps() -> Naps:
    return Naps()


@pytest.fixture
def load(service: MistralService, naps: Naps, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)

    def load(*keys: str, **options: Any) -> PaidEngine:
        monkeypatch.setenv("MISTRAL_API_KEYS", ",".join(keys or ["secret-1"]))
        return mistral_engine(base_url=service.url, sleep=naps, **options)

    return load


def test_a_text_is_sent_in_the_services_own_tags_and_comes_back_as_sound(service: MistralService, load: Any) -> None:
    speech = load().speak(TEXT, voice="jesse", seed=7)
    (asked,) = service.asked
    assert asked.key == "secret-1"
    assert asked.body.model_dump(exclude_unset=True) == {
        "input": SENT,
        "model": "voxtral-mini-tts-3-0",
        "voice_id": "voice_484",
        "response_format": "wav",
        "stream": False,
    }
    np.testing.assert_array_equal(speech.samples * 32_768, sound_of(SENT))
    assert (speech.sample_rate_hz, speech.engine, speech.voice) == (24_000, "mistral/voxtral-mini-tts-3-0", "jesse")
    assert speech.notes == ()


def test_what_it_has_no_mark_for_is_left_out_and_said(load: Any) -> None:
    speech = load(expressiveness=3.0).speak("[sad] Oh no. [laughs] Never mind.")
    assert speech.notes == ("left out [laughs]",)
    assert "[laughs]" not in speech.text
    assert "[sad] Oh no." in speech.text


def test_it_is_an_engine_like_the_others() -> None:
    engine = load_speech_engine("mistral")
    assert isinstance(engine, RemoteSpeechEngine)
    assert {identifier for identifier, _ in PRESET_VOICES.values()} == VOICES
    assert [voice.name for voice in engine.voices()] == list(PRESET_VOICES)


def test_expressiveness_below_one_and_unknown_voices_are_not_sent(service: MistralService, load: Any) -> None:
    with pytest.raises(VoiceError, match="choose a number from 1"):
        load(expressiveness=0.5)
    with pytest.raises(VoiceError, match=r"'Sara'.*Sarah, Yael"):
        load().speak(TEXT, voice="Sara")
    assert not service.asked


def test_a_voice_that_the_service_does_not_know_ends_a_run(load: Any) -> None:
    with pytest.raises(VoiceError, match=r"'voice_1'.*invalid_voice: Voice 'voice_1' not found"):
        load().speak(TEXT, voice="voice_1")


def test_without_a_key_or_the_sdk_what_is_missing_is_named(load: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "mistralai"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mistralai", None)
    with pytest.raises(VoiceError, match=r"pip install 'evoxtral\[mistral\]'"):
        load().speak(TEXT)
    monkeypatch.undo()
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    monkeypatch.delenv("MISTRAL_API_KEYS", raising=False)
    with pytest.raises(VoiceError, match=r"no Mistral key .set MISTRAL_API_KEY"):
        mistral_engine().speak(TEXT)


def test_a_refused_key_is_set_aside_and_the_next_speaks(service: MistralService, load: Any) -> None:
    engine = load("unknown-key", "secret-2")
    engine.speak("One.")
    engine.speak("Two.")
    assert [asked.key for asked in service.asked] == ["unknown-key", "secret-2", "secret-2"]
    with pytest.raises(VoiceError, match=r"no Mistral key is left .key 1 of 1: 401: Unauthorized"):
        load("unknown-key").speak(TEXT)


@pytest.mark.parametrize(
    "fault",
    [
        refused(500, "internal_server_error"),
        refused(503, "unavailable", retry_after="3"),
        lambda handler: handler.cut(),
        lambda handler: handler.speak(b"RIFF, but no WAV file"),
        lambda handler: handler.speak(as_wav(sound_of(SENT)[:500])),  # cut off
        lambda handler: handler.speak(as_wav(np.zeros(50_000, np.int16))),
        lambda handler: handler.reply(200, b"<html>Bad gateway</html>", "text/html"),
        lambda handler: handler.reply(200, b'{"audio": 1}'),
    ],
)
def test_what_passes_is_tried_again(service: MistralService, load: Any, naps: Naps, fault: Any) -> None:
    service.faults.append(fault)
    speech = load().speak(TEXT)
    np.testing.assert_array_equal(speech.samples * 32_768, sound_of(SENT))
    assert len(service.asked) == 2
    assert len(naps.taken_s) == 1


def test_a_key_with_too_many_requests_rests_as_long_as_it_is_told(
    service: MistralService, load: Any, naps: Naps
) -> None:
    service.faults.append(refused(429, "rate_limited", "Requests rate limit exceeded", retry_after="7"))
    load().speak(TEXT)
    assert naps.taken_s == [7.0]
    assert len(service.asked) == 2


def test_a_text_that_is_moderated_fails_alone_and_keeps_its_key(service: MistralService, load: Any) -> None:
    service.faults.append(refused(403, "moderation", "secret-1 may not say this"))
    engine = load()
    with pytest.raises(EvoxtralError, match=r"refuses the text: moderation: \[key\] may not say this") as caught:
        engine.speak(TEXT)
    assert not isinstance(caught.value, VoiceError)
    engine.speak(TEXT)
    assert [asked.key for asked in service.asked] == ["secret-1", "secret-1"]


def test_a_validation_error_is_told_in_its_own_words(load: Any, service: MistralService) -> None:
    service.faults.append(
        lambda handler: handler.reply(
            422, b'{"object": "error", "message": {"detail": [{"msg": "Input should be shorter", "loc": []}]}}'
        )
    )
    with pytest.raises(EvoxtralError, match="Input should be shorter"):
        load().speak(TEXT)


def test_what_is_sent_is_charged_and_counted(load: Any) -> None:
    engine = load()
    assert engine.cost_of(TEXT) == len(SENT)
    engine.speak(TEXT)
    assert engine.charged_characters == len(SENT)
    engine.limit_charges(len(SENT) - 1)
    with pytest.raises(VoiceError, match="the budget is spent"):
        engine.speak(TEXT)


def test_a_corpus_is_spoken_and_no_clip_gets_a_label_that_is_not_heard(
    service: MistralService, naps: Naps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MISTRAL_API_KEYS", "secret-1,secret-2")
    texts = [f"[{tag}] Line number {index} is here." for index, tag in enumerate(["sad", "calm", "angry", "excited"])]
    texts += ["Nothing but words.", "[laughs] This cannot be said."]
    corpus = CorpusFolder(tmp_path)
    corpus.append_scripts(
        [
            Script(id=str(n), tagged_text=text, slice_type=SliceType.LIGHT, domain=Domain.PODCAST, writer="test")
            for n, text in enumerate(texts)
        ]
    )
    config = SynthesisConfig(engine="mistral", engine_options={"base_url": service.url}, max_voice_share=1)
    report = synthesize(corpus, config)
    assert len(corpus.read_clips()) == 5
    assert {clip.engine for clip in corpus.read_clips()} == {"mistral/voxtral-mini-tts-3-0"}
    assert "[laughs] This cannot be said." not in [clip.tagged_text for clip in corpus.read_clips()]
    assert sum(service.paid.values()) == 5
    assert report.characters == sum(len(asked.body.input) for asked in service.asked)
    synthesize(corpus, config)
    assert sum(service.paid.values()) == 5
    assert Counter(asked.key for asked in service.asked).keys() == {"secret-1", "secret-2"}


def test_a_dialogue_is_spoken_turn_by_turn_and_paid_together(service: MistralService, load: Any) -> None:
    first, second = list(PRESET_VOICES)[:2]
    turns = [SpokenTurn("We passed the audit!", first), SpokenTurn("Oh, really?", second)]
    paid = asyncio.run(load().speak_dialogue_paid(turns, seed=3))
    assert [asked.body.input for asked in service.asked] == [turn.text for turn in turns]
    assert [asked.body.voice_id for asked in service.asked] == [PRESET_VOICES[turn.voice][0] for turn in turns]
    assert paid.characters == sum(len(turn.text) for turn in turns)
    before, after = paid.speech.turns
    assert before.start_s == 0
    assert 0.1 <= after.start_s - before.end_s <= 0.9
    assert paid.speech.duration_s == pytest.approx(after.end_s)
