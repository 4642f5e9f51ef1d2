"""Transcripts are spoken by services that charge: the real SDKs against local services."""

import dataclasses
import threading
from collections import Counter

import pytest

from elevenlabs_service import Account, Naps, running
from evoxtral.errors import VoiceError
from evoxtral.inference.transcript import Transcript
from evoxtral.respeaking import SentenceCache, speak_transcript
from evoxtral.tts.elevenlabs import elevenlabs_engine
from evoxtral.tts.mistral import mistral_engine
from mistral_service import MistralService

SENTENCES = ["[excited] It works!", "[laughs] We are going home.", "Nobody knew."]
TRANSCRIPT = Transcript("talk.wav", "edge", "ctranslate2", "en", 10.0, " ".join(SENTENCES), "")


@pytest.fixture
def elevenlabs(monkeypatch):
    service = running([("secret-1", Account(limit=2)), ("secret-2", Account(limit=2))])
    monkeypatch.delenv("ELEVENLABS_API_KEY", raising=False)
    monkeypatch.setenv("ELEVENLABS_API_KEYS", "secret-1,secret-2")
    yield service
    service.shutdown()
    service.server_close()


def test_no_sentence_is_paid_twice(elevenlabs, tmp_path):
    cache, engine = SentenceCache(tmp_path), elevenlabs_engine(base_url=elevenlabs.url, sleep=Naps())
    first = speak_transcript(TRANSCRIPT, engine, cache=cache)
    assert elevenlabs.paid == Counter(SENTENCES)
    assert engine.charged_characters == sum(map(len, SENTENCES))
    assert (first.engine, first.voice) == ("elevenlabs/eleven_v3", "Sarah")
    again = speak_transcript(
        dataclasses.replace(TRANSCRIPT, text=f"{TRANSCRIPT.text} Or did they?"), engine, cache=cache
    )
    assert elevenlabs.paid == Counter([*SENTENCES, "Or did they?"])
    assert [one.cached for one in again.sentences] == [True, True, True, False]


def test_what_was_paid_before_the_keys_ran_out_is_kept(elevenlabs, tmp_path):
    for account in elevenlabs.accounts.values():
        account.quota = len(SENTENCES[1])
    cache = SentenceCache(tmp_path)
    with pytest.raises(VoiceError, match="no ElevenLabs key is left"):
        speak_transcript(TRANSCRIPT, elevenlabs_engine(base_url=elevenlabs.url, sleep=Naps()), cache=cache)
    paid = Counter(elevenlabs.paid)
    assert paid
    for account in elevenlabs.accounts.values():
        account.quota = 1_000
    speak_transcript(TRANSCRIPT, elevenlabs_engine(base_url=elevenlabs.url, sleep=Naps()), cache=cache)
    assert elevenlabs.paid == Counter(SENTENCES)


def test_what_a_service_has_no_mark_for_is_said(monkeypatch, tmp_path):
    service = MistralService("secret-1")
    threading.Thread(target=service.serve_forever, args=(0.05,), daemon=True).start()
    monkeypatch.setenv("MISTRAL_API_KEYS", "secret-1")
    cache, engine = SentenceCache(tmp_path), mistral_engine(base_url=service.url, sleep=Naps())
    first = speak_transcript(TRANSCRIPT, engine, cache=cache)
    again = speak_transcript(TRANSCRIPT, engine, cache=cache)
    service.shutdown()
    service.server_close()
    assert first.notes == again.notes == ("left out [laughs]",)
    assert sum(service.paid.values()) == 3
