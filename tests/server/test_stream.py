"""The streaming protocol over a real socket, spoken by the library `websockets`; sound is sent faster than it lasts."""

import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from evoxtral import load_engine
from evoxtral.audio import resample
from evoxtral.inference import transcribe
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

WAIT_S = 60  # only for a test that has failed already


@pytest.fixture
def address(scripted_engine, tmp_path) -> Iterator[str]:
    app = create_app(Settings(studio=tmp_path, max_streams=1), engine=scripted_engine)
    with serve_app(app) as address:
        yield address.replace("http", "ws") + "/transcribe/stream"


@pytest.fixture(scope="module")
def sentence() -> NDArray[np.float32]:
    speech = speak("Please bring the blue folder.", voice="espeak/amber")
    return resample(speech.samples, speech.sample_rate_hz, 16_000)


def pcm(samples: NDArray[np.float32]) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes()


def stream(socket: ClientConnection, samples: NDArray[np.float32], rate_hz: int = 16_000) -> list[dict[str, Any]]:
    socket.send(json.dumps({"type": "start", "sample_rate": rate_hz}))
    data = pcm(samples)
    step = rate_hz // 10 + 1  # an odd number of bytes: samples may be torn apart
    for start in range(0, len(data), step):
        socket.send(data[start : start + step])
    socket.send(json.dumps({"type": "stop"}))
    events = []
    while not events or events[-1]["type"] != "done":
        events.append(json.loads(socket.recv(WAIT_S)))
    return events


def test_an_utterance_goes_through_the_protocol(address, sentence):
    quiet = np.zeros(16_000, np.float32)
    with connect(address) as socket:
        events = stream(socket, np.concatenate([quiet, sentence, quiet]))
    kinds = [event["type"] for event in events]
    assert kinds[0] == "ready"
    assert kinds[1] == "speech_started"
    assert kinds[-2:] == ["final", "done"]
    final = events[-2]
    assert final["text"] == "[excited] It WORKS! [laughs]"
    assert [word["word"] for word in final["words"]] == ["It", "WORKS!"]
    # Times count from the start of the stream: the speech begins after a second of silence.
    assert 0.6 <= final["start"] <= 1.1
    assert all(final["start"] <= word["start_s"] <= word["end_s"] <= final["end"] for word in final["words"])
    assert events[-1]["stats"]["utterances"] == 1


def test_another_sample_rate_is_heard_alike(address, sentence):
    sound = resample(np.concatenate([np.zeros(8_000, np.float32), sentence]), 16_000, 44_100)
    with connect(address) as socket:
        events = stream(socket, sound, 44_100)
    assert [event["type"] for event in events].count("final") == 1
    assert events[-1]["stats"]["audio_s"] == pytest.approx(len(sound) / 44_100, abs=0.05)


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('{"type": "hello"}', "invalid_start"),
        ('{"type": "start", "sample_rate": 5}', "invalid_start"),
        ('{"type": "start", "colour": "red"}', "invalid_start"),
        ("[" * 5000, "invalid_start"),
        (b"\0\0", "invalid_start"),
    ],
)
def test_a_wrong_beginning_is_told_and_closed(address, message, code):
    with connect(address) as socket:
        socket.send(message)
        assert json.loads(socket.recv(WAIT_S))["code"] == code
        with pytest.raises(ConnectionClosed):
            socket.recv(WAIT_S)


def test_there_are_so_many_streams_and_a_place_is_free_again(address, sentence):
    with connect(address) as first:
        first.send('{"type": "start"}')
        assert json.loads(first.recv(WAIT_S))["type"] == "ready"
        with connect(address) as second:
            told = json.loads(second.recv(WAIT_S))
            assert (told["code"], told["retryable"]) == ("busy", True)
    while True:  # the server notices the end of the first a moment later
        with connect(address) as third:
            third.send('{"type": "start"}')
            if json.loads(third.recv(WAIT_S))["type"] == "ready":
                break


def test_finals_are_what_offline_decoding_of_the_utterance_gives(tmp_path, sentence):
    engine = load_engine("edge")
    quiet = np.zeros(16_000, np.float32)
    app = create_app(Settings(studio=tmp_path), engine=engine)
    with serve_app(app) as address, connect(address.replace("http", "ws") + "/transcribe/stream") as socket:
        events = stream(socket, np.concatenate([quiet, sentence, quiet]))
    (final,) = [event for event in events if event["type"] == "final"]
    sound = np.frombuffer(pcm(np.concatenate([quiet, sentence, quiet])), "<i2").astype(np.float32) / 32768
    first, last = round(final["start"] * 16_000), round(final["end"] * 16_000)
    offline = transcribe(sound[first:last], engine=load_engine("edge"))
    assert final["text"] == offline.text
    assert "blue folder" in final["text"]
    for partial in (event for event in events if event["type"] == "partial"):
        assert partial["committed"] in final["text"]


def test_a_draft_that_says_more_than_anybody_can_is_not_shown(address, sentence, scripted_engine):
    scripted_engine.text = "Bring the folder. " * 9
    with connect(address) as socket:
        events = stream(socket, sentence[:12_000])
    assert [event for event in events if event["type"] == "partial" and event["tentative"]] == []
