"""Deepgram's own SDK against a running server, unmodified but for its addresses."""

import hashlib
import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile
from deepgram import DeepgramClient
from deepgram.core.api_error import ApiError
from deepgram.environment import DeepgramClientEnvironment

from evoxtral.audio import resample
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

TEXT = "[excited] It WORKS! [laughs]"
RATE_HZ = 24_000


@pytest.fixture
def client(scripted_engine, tmp_path) -> Iterator[DeepgramClient]:
    settings = Settings(studio=tmp_path, api_keys=("the-key",))
    with serve_app(create_app(settings, engine=scripted_engine)) as address:
        live = address.replace("http", "ws")
        places = DeepgramClientEnvironment(base=address, production=live, agent=live, agent_rest=address)
        yield DeepgramClient(api_key="the-key", environment=places)


@pytest.fixture(scope="module")
def sentence() -> bytes:
    """Half a second of silence and a sentence, at 24 kHz."""
    speech = speak("Please bring the blue folder.", voice="espeak/amber")
    samples = resample(speech.samples, speech.sample_rate_hz, RATE_HZ)
    return pcm(np.concatenate([np.zeros(RATE_HZ // 2, np.float32), samples]))


def pcm(samples: np.ndarray) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


SILENCE = bytes(2 * RATE_HZ)  # a second


def test_a_recording_becomes_words(client, spoken_wav):
    heard = client.listen.v1.media.transcribe_file(
        request=spoken_wav, model="nova-3", language="en-US", smart_format=True, utterances=True
    )
    (best,) = heard.results.channels[0].alternatives
    assert best.transcript == TEXT
    assert [(word.word, word.punctuated_word) for word in best.words] == [("it", "It"), ("works", "WORKS!")]
    assert 0 <= best.words[0].start <= best.words[0].end <= best.words[1].start <= heard.metadata.duration
    assert best.confidence == pytest.approx(0.9)
    assert heard.metadata.sha256 == hashlib.sha256(spoken_wav).hexdigest()
    assert [utterance.transcript for utterance in heard.results.utterances] == [TEXT]


def test_speakers_are_numbers_from_zero(client, spoken_wav):
    heard = client.listen.v1.media.transcribe_file(request=spoken_wav, model="nova-3", diarize=True)
    assert {word.speaker for word in heard.results.channels[0].alternatives[0].words} == {0}


@pytest.mark.parametrize(
    ("options", "word"), [({"redact": "pci"}, "redact"), ({"callback": "http://elsewhere"}, "callback")]
)
def test_what_it_does_not_do_is_refused_by_name(client, spoken_wav, options, word):
    with pytest.raises(ApiError) as refused:
        client.listen.v1.media.transcribe_file(request=spoken_wav, model="nova-3", **options)
    assert refused.value.status_code == 422
    assert word in refused.value.body["detail"]


def test_addresses_of_others_are_not_fetched(client):
    with pytest.raises(ApiError) as refused:
        client.listen.v1.media.transcribe_url(url="http://127.0.0.1/secret.wav", model="nova-3")
    assert refused.value.status_code == 422
    assert "fetches nothing" in refused.value.body["detail"]


def until(socket: Any, last: str) -> list[Any]:
    messages: list[Any] = []
    while not messages or messages[-1].type != last:
        messages.append(socket.recv())
    return messages


def test_live_sound_becomes_finals_and_closing_drains_the_stream(client, sentence):
    with client.listen.v1.connect(
        model="nova-3", encoding="linear16", sample_rate=RATE_HZ, interim_results=True, vad_events=True, punctuate=True
    ) as socket:
        socket.send_keep_alive()
        data = sentence + SILENCE + sentence
        for start in range(0, len(data), 4801):  # an odd number of bytes: samples may be torn apart
            socket.send_media(data[start : start + 4801])
        socket.send_close_stream()
        messages = until(socket, "Metadata")
    assert [message.type for message in messages].count("SpeechStarted") == 2
    finals = [message for message in messages if message.type == "Results" and message.is_final]
    assert [final.channel.alternatives[0].transcript for final in finals] == [TEXT, TEXT]
    assert all(final.speech_final for final in finals)
    words = finals[1].channel.alternatives[0].words
    assert finals[1].start <= words[0].start <= words[1].end <= finals[1].start + finals[1].duration + 0.001
    assert finals[1].start > finals[0].start + finals[0].duration - 0.001
    assert messages[-1].duration == pytest.approx(len(data) / 2 / RATE_HZ, abs=0.1)


def test_finalize_ends_the_turn_and_is_answered_even_when_nobody_speaks(client, sentence):
    with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=RATE_HZ) as socket:
        socket.send_finalize()
        answer = socket.recv()
        assert (answer.from_finalize, answer.channel.alternatives[0].transcript) == (True, "")
        socket.send_media(sentence)  # no silence ends it
        socket.send_finalize()
        final, answer = socket.recv(), socket.recv()
        assert (final.is_final, final.channel.alternatives[0].transcript) == (True, TEXT)
        assert answer.from_finalize


def test_other_encodings_are_refused_by_name(client):
    with client.listen.v1.connect(model="nova-3", encoding="opus", sample_rate=RATE_HZ) as socket:
        told = socket.recv()
    assert told.type == "Error"
    assert "encoding" in told.description


def test_channels_and_key_terms_in_its_own_form(client, spoken_wav):
    samples, rate_hz = soundfile.read(io.BytesIO(spoken_wav), dtype="float32")
    stereo = io.BytesIO()
    soundfile.write(stereo, np.stack([samples, samples], axis=1), rate_hz, format="WAV")
    heard = client.listen.v1.media.transcribe_file(
        request=stereo.getvalue(), multichannel=True, keyterm=["Okafor", "Ann Smith"], keywords="Bob:2"
    )
    assert [channel.alternatives[0].transcript for channel in heard.results.channels] == [TEXT, TEXT]
    assert [word.word for word in heard.results.channels[1].alternatives[0].words] == ["it", "works"]
    assert heard.metadata.channels == 2
