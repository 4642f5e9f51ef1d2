"""What a request may choose beyond the language: keywords, channels, known speakers, the dialect of tags."""

import base64
import io
import json

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from evoxtral.inference.engines.protocol import Hypothesis
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings


class Attentive:
    """Says a keyword in the place of what sounds like it, and remembers what it was asked."""

    takes_keywords = True

    def __init__(self, engine):
        self.name, self.model, self.max_window_s, self.batch_size = "attentive", "test", 30.0, 4
        self.align_windows = engine.align_windows
        self.asked = []

    def transcribe_windows(self, windows, *, language="en"):
        return [Hypothesis("[excited] I saw a kefir. [laughs]", -0.1, 0.0) for _ in windows]

    def detect_languages(self, windows):
        return [None] * len(windows)

    def transcribe_prompted(self, windows, keywords, *, language="en"):
        self.asked += [list(asked) for asked in keywords]
        return [Hypothesis(f"I saw {asked[-1]}.", -0.1, 0.0) for asked in keywords]


@pytest.fixture
def engine(scripted_engine):
    return Attentive(scripted_engine)


@pytest.fixture
def attentive(engine, tmp_path):
    settings = Settings(studio=tmp_path / "none", allowed_hosts=("testserver",), dialect="elevenlabs")
    with TestClient(create_app(settings, engine=engine)) as client:
        yield client


@pytest.fixture
def stereo(spoken_wav):
    """The same words on two channels, half a second later on the second."""
    samples, rate_hz = soundfile.read(io.BytesIO(spoken_wav), dtype="float32")
    late = np.concatenate([np.zeros(rate_hz // 2, np.float32), samples])
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([np.pad(samples, (0, rate_hz // 2)), late], 1), rate_hz, format="WAV")
    return buffer.getvalue()


def test_keywords_reach_the_engine_by_every_address(attentive, engine, spoken_wav):
    told = "[excited] I saw Okafor. [laughs]"
    file = {"file": ("a.wav", spoken_wav)}
    ours = attentive.post("/transcribe", files=file, data={"keywords": ["Okafor, Nakamura", "Ann"]})
    assert ours.json()["text"] == told
    openai = attentive.post("/v1/audio/transcriptions", files=file, data={"model": "any", "keywords[]": ["Okafor"]})
    assert openai.json()["text"] == told
    by_prompt = {"model": "any", "prompt": "This is a talk about some things and people, Okafor"}
    assert attentive.post("/v1/audio/transcriptions", files=file, data=by_prompt).json()["text"] == told
    eleven = attentive.post("/v1/speech-to-text", files=file, data={"model_id": "scribe_v2", "keyterms": ["Okafor"]})
    assert eleven.json()["text"] == "I saw Okafor. (laughs)"
    for query in ("keyterm=Okafor", "keywords=Okafor:2.5"):
        deepgram = attentive.post(f"/v1/listen?{query}", content=spoken_wav)
        assert deepgram.json()["results"]["channels"][0]["alternatives"][0]["transcript"] == told
    assert all(asked[-1] == "Okafor" for asked in engine.asked)
    assert len(engine.asked) == 6


def test_what_is_no_keyword_is_refused(attentive, spoken_wav):
    refused = attentive.post("/transcribe", files={"file": ("a.wav", spoken_wav)}, data={"keywords": "x" * 61})
    assert refused.status_code == 422
    assert "is no keyword" in refused.json()["detail"]
    assert attentive.post(f"/v1/listen?keyterm={'x' * 61}", content=spoken_wav).status_code == 422


def test_channels_are_told_in_everybodys_form(attentive, stereo):
    file = {"file": ("a.wav", stereo)}
    ours = attentive.post("/transcribe", files=file, data={"channels": "true"}).json()
    assert (ours["channels"], {word["speaker"] for word in ours["words"]}) == (2, {"CHANNEL_1", "CHANNEL_2"})
    deepgram = attentive.post("/v1/listen?multichannel=true&utterances=true", content=stereo).json()
    assert deepgram["metadata"]["channels"] == 2
    texts = [channel["alternatives"][0]["transcript"] for channel in deepgram["results"]["channels"]]
    assert texts == ["[excited] I saw a kefir. [laughs]"] * 2
    assert {utterance["channel"] for utterance in deepgram["results"]["utterances"]} == {0, 1}
    form = {"model_id": "scribe_v2", "use_multi_channel": "true"}
    separate = attentive.post("/v1/speech-to-text", files=file, data=form).json()
    assert [part["channel_index"] for part in separate["transcripts"]] == [0, 1]
    assert [part["text"] for part in separate["transcripts"]] == ["I saw a kefir. (laughs)"] * 2
    combined = attentive.post(
        "/v1/speech-to-text", files=file, data={**form, "multichannel_output_style": "combined"}
    ).json()
    assert {word.get("channel_index") for word in combined["words"] if word["type"] == "word"} == {0, 1}
    assert attentive.post("/transcribe", files=file, data={"channels": "true", "diarize": "true"}).status_code == 422


def test_a_known_speaker_is_called_by_name(attentive, spoken_wav):
    files = [("file", ("a.wav", spoken_wav)), ("known_speakers", ("Ann.wav", spoken_wav))]
    heard = attentive.post("/transcribe", files=files).json()
    assert {word["speaker"] for word in heard["words"]} == {"Ann"}
    url = f"data:audio/wav;base64,{base64.b64encode(spoken_wav).decode()}"
    form = {
        "model": "gpt-4o-transcribe-diarize",
        "response_format": "diarized_json",
        "known_speaker_names[]": ["Ann"],
        "known_speaker_references[]": [url],
    }
    openai = attentive.post("/v1/audio/transcriptions", files=files[:1], data=form)
    assert {segment["speaker"] for segment in openai.json()["segments"]} == {"Ann"}
    for wrong in (
        {"known_speaker_references[]": ["Ann.wav"]},
        {"known_speaker_names[]": ["Ann", "Bob"]},
        {"response_format": "json"},
    ):
        assert attentive.post("/v1/audio/transcriptions", files=files[:1], data={**form, **wrong}).status_code == 422


def test_tags_are_written_in_the_dialect_that_is_asked_for(attentive, spoken_wav):
    file = {"file": ("a.wav", spoken_wav)}
    plain = attentive.post("/transcribe", files=file, data={"dialect": "scribe"}).json()
    assert plain["text"] == "I saw a kefir. (laughs)"
    assert plain["notes"] == ["scribe: left out [excited] (1)"]
    streamed = attentive.post("/transcribe", files=file, data={"dialect": "scribe", "stream": "true"}).text
    texts = [json.loads(line[6:])["text"] for line in streamed.splitlines() if line.startswith('data: {"text"')]
    assert texts == ["I saw a kefir. (laughs)"]
    assert attentive.post("/transcribe", files=file, data={"dialect": "klingon"}).status_code == 422
