"""A model that writes while it hears, behind the streaming protocol: partials stay, finals are what it wrote."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from websockets.sync.client import connect

from evoxtral import load_engine
from evoxtral.audio import resample
from evoxtral.errors import ModelError
from evoxtral.inference.hallucination_filter import heard_text
from evoxtral.inference.options import TranscribeOptions
from evoxtral.server.app import create_app
from evoxtral.server.live import without_half_tag
from evoxtral.server.settings import Settings
from evoxtral.server.transcribing import Transcriber
from evoxtral.tts import speak
from running_server import serve_app
from tiny_models import save_tiny_realtime

MID_SENTENCE = 20 * 3200  # bytes: half a second after it begins
WAIT_S = 60  # only for a test that has failed already


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_realtime(tmp_path_factory.mktemp("realtime"))


@pytest.fixture(scope="module")
def talk() -> NDArray[np.float32]:
    """Two sentences with silence around."""
    speech = speak("Please bring the blue folder.", voice="espeak/amber")
    sentence = resample(speech.samples, speech.sample_rate_hz, 16_000)
    quiet = np.zeros(16_000, np.float32)
    talk = np.concatenate([quiet, sentence, quiet, sentence, quiet])
    return (talk.clip(-1, 1) * 32767).round().astype("<i2").astype(np.float32) / np.float32(32768)


def events_of(address: str, talk: NDArray[np.float32]) -> list[dict[str, Any]]:
    data = (talk * 32768).astype("<i2").tobytes()
    events: list[dict[str, Any]] = []
    with connect(address) as socket:
        socket.send(json.dumps({"type": "start", "sample_rate": 16_000}))
        for start in range(0, len(data), 3200):
            socket.send(data[start : start + 3200])
            while start == MID_SENTENCE and (not events or events[-1]["type"] != "partial"):
                events.append(json.loads(socket.recv(WAIT_S)))
        socket.send(json.dumps({"type": "stop"}))
        while not events or events[-1]["type"] != "done":
            events.append(json.loads(socket.recv(WAIT_S)))
    return events


def test_finals_are_what_the_whole_utterance_says_and_partials_only_grow(
    folder: Path, talk: NDArray[np.float32], tmp_path: Path
) -> None:
    app = create_app(Settings(studio=tmp_path), engine=load_engine(str(folder)))
    with serve_app(app) as address:
        events = events_of(address.replace("http", "ws") + "/transcribe/stream", talk)
    finals = [event for event in events if event["type"] == "final"]
    assert len(finals) == 2
    assert any(len(final["text"]) > 10 for final in finals)
    offline = load_engine(str(folder))
    for final in finals:
        said = talk[round(final["start"] * 16_000) : round(final["end"] * 16_000)]
        (heard,) = offline.transcribe_windows([said])
        assert final["text"] == heard_text(heard, 1.0)
    before: dict[int, str] = {}
    for partial in (event for event in events if event["type"] == "partial"):
        assert partial["tentative"] == ""
        assert partial["committed"].startswith(before.get(partial["utterance_id"], ""))
        assert partial["committed"] != before.get(partial["utterance_id"], "")
        before[partial["utterance_id"]] = partial["committed"]
    assert before
    assert "error" not in {event["type"] for event in events}


def test_an_utterance_that_was_cut_or_broke_off_is_heard_as_a_whole(folder: Path, talk: NDArray[np.float32]) -> None:
    engine = load_engine(str(folder))
    transcriber = Transcriber(engine, Settings())
    options = TranscribeOptions(times=False)
    try:
        written = transcriber.begin_utterance(options)
        assert written.hear(talk[:32_000])
        cut = written.whole(talk[:24_000], None)
        assert cut.text == transcriber.hear_utterance(talk[:24_000], options, None).text
        written = transcriber.begin_utterance(options)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(engine, "write_streams", refuse)
            with pytest.raises(ModelError, match="too little memory"):
                written.hear(talk[:32_000])
        assert written.whole(talk, None).text == transcriber.hear_utterance(talk, options, None).text
    finally:
        transcriber.close()


def refuse(*arguments: object) -> list[str]:
    raise ModelError("too little memory")


@pytest.mark.parametrize(
    ("text", "shown"), [("a [lau", "a"), ("a [laughs] b", "a [laughs] b"), ("[", ""), ("a [x] [y", "a [x]"), ("a", "a")]
)
def test_half_a_tag_is_not_shown(text: str, shown: str) -> None:
    assert without_half_tag(text) == shown
