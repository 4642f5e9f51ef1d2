"""Turns of a conversation through Deepgram's own client of its second version, unmodified but for its addresses."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from websockets.sync.client import connect

from evoxtral.audio import resample
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

TEXT = "[excited] It WORKS! [laughs]"
RATE_HZ = 16_000
TURN_EVENTS = ("StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EndOfTurn")


@pytest.fixture
def address(scripted_engine, tmp_path) -> Iterator[str]:
    with serve_app(
        create_app(Settings(studio=tmp_path, stream_idle_s=600, api_keys=("the-key",)), engine=scripted_engine)
    ) as address:
        yield address


@pytest.fixture
def client(address) -> DeepgramClient:
    live = address.replace("http", "ws")
    places = DeepgramClientEnvironment(base=address, production=live, agent=live, agent_rest=address)
    return DeepgramClient(api_key="the-key", environment=places)


@pytest.fixture(scope="module")
def sentence() -> bytes:
    speech = speak("Please bring the blue folder.", voice="espeak/amber")
    samples = np.trim_zeros(resample(speech.samples, speech.sample_rate_hz, RATE_HZ))
    loud = np.flatnonzero(np.abs(samples) > 0.02)  # silences are counted from here
    samples = samples[loud[0] : loud[-1]]
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE_HZ))


class Talk:
    """A connection and what came of it. Sound comes at once: a test waits for an answer before it goes on speaking."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket
        self.messages: list[Any] = [socket.recv()]

    def send(self, data: bytes) -> None:
        for start in range(0, len(data), 1600):
            self.socket.send_media(data[start : start + 1600])

    def until(self, event: str) -> Any:
        """The next message of this event."""
        while True:
            self.messages.append(self.socket.recv())
            if getattr(self.messages[-1], "event", self.messages[-1].type) == event:
                return self.messages[-1]

    @property
    def turn_events(self) -> list[str]:
        events = [getattr(message, "event", "") for message in self.messages]
        return [event for event in events if event in TURN_EVENTS]


def connected(client: DeepgramClient, **options: Any) -> Any:
    return client.listen.v2.connect(model="flux-general-en", encoding="linear16", sample_rate=RATE_HZ, **options)


def test_an_end_that_is_told_early_is_withdrawn_when_speech_goes_on(client, sentence):
    with connected(client, eager_eot_threshold=0.4, eot_threshold=0.9) as socket:
        talk = Talk(socket)
        assert talk.messages[0].type == "Connected"
        talk.send(silence(0.5) + sentence + silence(0.5))  # between the silences of the two thresholds: 0.21, 0.96 s
        eager = talk.until("EagerEndOfTurn")
        assert eager.transcript == TEXT
        assert 0.4 <= eager.end_of_turn_confidence < 0.9
        talk.send(sentence + silence(0.5))
        talk.until("EagerEndOfTurn")
        talk.send(silence(0.8))
        end = talk.until("EndOfTurn")
    assert talk.turn_events == ["StartOfTurn", "EagerEndOfTurn", "TurnResumed", "EagerEndOfTurn", "EndOfTurn"]
    assert (end.transcript, end.trigger, end.turn_index) == (TEXT, "model", 0)
    assert end.end_of_turn_confidence >= 0.9 - 1e-4
    assert [word.word for word in end.words] == ["It", "WORKS!"]
    assert end.audio_window_start <= end.words[0].start <= end.words[1].end <= end.audio_window_end + 0.01
    assert [message.sequence_id for message in talk.messages] == list(range(len(talk.messages)))
    assert len({message.request_id for message in talk.messages}) == 1


def test_without_an_eager_threshold_nothing_is_told_early(client, sentence):
    with connected(client) as socket:
        talk = Talk(socket)
        for _ in range(2):
            talk.send(silence(0.5) + sentence + silence(1.0))
        talk.until("EndOfTurn")
        last = talk.until("EndOfTurn")
    assert talk.turn_events == ["StartOfTurn", "EndOfTurn"] * 2
    assert last.turn_index == 1


def test_the_timeout_and_the_client_end_turns_too(client, sentence):
    with connected(client, eot_threshold=0.9, eot_timeout_ms=600) as socket:
        talk = Talk(socket)
        talk.send(sentence + silence(0.75))  # the threshold would need 0.96 s
        assert talk.until("EndOfTurn").trigger == "timeout"
        talk.send(sentence)
        socket.send_force_end_turn()
        assert talk.until("EndOfTurn").trigger == "manual"
        talk.send(sentence)
        socket.send_close_stream()  # what was said is told
        assert talk.until("EndOfTurn").transcript == TEXT


def test_thresholds_change_on_the_way(client, sentence):
    with connected(client) as socket:
        talk = Talk(socket)
        socket.send_configure({"type": "Configure", "thresholds": {"eager_eot_threshold": 0.3}})
        done = talk.until("ConfigureSuccess")
        assert done.thresholds.eager_eot_threshold == 0.3
        assert (done.thresholds.eot_threshold, done.thresholds.eot_timeout_ms) == (0.7, 5000)
        socket.send_configure({"type": "Configure", "thresholds": {"eot_threshold": 0.1}})
        assert "eot_threshold" in talk.until("ConfigureFailure").description
        talk.send(silence(0.5) + sentence + silence(0.3))
        assert talk.until("EagerEndOfTurn").transcript == TEXT


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("eot_threshold=0.2", "eot_threshold"),
        ("encoding=opus", "encoding"),
        ("colour=red", "colour"),
        ("redact=pci", "redact"),
    ],
)
def test_what_it_does_not_take_is_refused_by_name(address, query, word):
    url = f"{address.replace('http', 'ws')}/v2/listen?model=flux-general-en&{query}"
    with connect(url, additional_headers={"Authorization": "Token the-key"}) as socket:
        told = json.loads(socket.recv())
    assert told["type"] == "Error"
    assert word in told["description"]
