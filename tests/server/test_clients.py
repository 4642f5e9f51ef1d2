"""OpenAI's own SDK against a running server, unmodified but for the base URL."""

import base64
import io
from collections.abc import Iterator

import pytest
import soundfile
from openai import APIStatusError, OpenAI

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from running_server import serve_app


@pytest.fixture
def client(scripted_engine, tmp_path) -> Iterator[OpenAI]:
    settings = Settings(studio=tmp_path, api_keys=("first-key", "second-key"))
    with serve_app(create_app(settings, engine=scripted_engine)) as address:
        yield OpenAI(base_url=f"{address}/v1", api_key="second-key", max_retries=0)


def test_a_recording_becomes_text(client, spoken_wav):
    heard = client.audio.transcriptions.create(file=("a.wav", spoken_wav), model="gpt-transcribe")
    assert heard.text == "[excited] It WORKS! [laughs]"


@pytest.mark.parametrize("kind", ["text", "srt", "vtt"])
def test_other_forms_are_plain_text(client, spoken_wav, kind):
    heard = client.audio.transcriptions.create(file=("a.wav", spoken_wav), model="any", response_format=kind)
    assert "[excited] It WORKS! [laughs]" in str(heard)
    assert ("-->" in str(heard)) == (kind != "text")


def test_words_and_segments_have_times(client, spoken_wav):
    heard = client.audio.transcriptions.create(
        file=("a.wav", spoken_wav),
        model="whisper-1",
        response_format="verbose_json",
        timestamp_granularities=["word", "segment"],
    )
    length_s = soundfile.info(io.BytesIO(spoken_wav)).duration
    assert heard.duration == pytest.approx(length_s, abs=0.01)
    assert [word.word for word in heard.words] == ["It", "WORKS!"]
    assert 0 <= heard.words[0].start <= heard.words[0].end <= heard.words[1].start <= heard.words[1].end <= length_s
    assert heard.segments[0].text == heard.text


def test_speakers_are_told_apart_in_its_own_form(client, spoken_wav):
    heard = client.audio.transcriptions.create(
        file=("a.wav", spoken_wav), model="gpt-4o-transcribe-diarize", response_format="diarized_json"
    )
    assert heard.segments[0].type == "transcript.text.segment"
    assert heard.segments[0].speaker


def test_text_streams_in_pieces_that_join_to_the_whole(client, spoken_wav):
    stream = client.audio.transcriptions.create(file=("a.wav", spoken_wav), model="any", stream=True)
    events = list(stream)
    assert "".join(event.delta for event in events[:-1]) == events[-1].text == "[excited] It WORKS! [laughs]"


def test_text_becomes_speech(client, tmp_path):
    with client.audio.speech.with_streaming_response.create(
        input="[whispers] Hello there.", model="local", voice="espeak/amber", response_format="wav"
    ) as answer:
        answer.stream_to_file(tmp_path / "hello.wav")
        assert answer.headers["X-Evoxtral-Voice"] == "espeak/amber"
    assert soundfile.info(tmp_path / "hello.wav").duration > 0.4
    raw = client.audio.speech.create(input="Hello.", model="tts-1", voice="alloy", response_format="pcm")
    assert len(raw.content) % 2 == 0


def test_failures_carry_the_servers_words(client, spoken_wav):
    with pytest.raises(APIStatusError) as refused:
        client.audio.transcriptions.create(file=("a.wav", b"no audio"), model="any")
    assert refused.value.status_code == 400
    assert "a.wav" in refused.value.response.json()["detail"]
    with pytest.raises(APIStatusError) as refused:
        client.audio.speech.create(input="Hello.", model="local", voice="nobody")
    assert refused.value.status_code == 400
    with pytest.raises(APIStatusError) as refused:
        client.with_options(api_key="wrong").models.list()
    assert refused.value.status_code == 401
    assert "wrong" not in refused.value.response.text


def test_models_are_listed(client):
    assert [model.id for model in client.models.list()] == ["test", "local", "elevenlabs", "mistral"]


def test_known_speakers_and_keywords_in_its_own_form(client, spoken_wav):
    heard = client.audio.transcriptions.create(
        file=("a.wav", spoken_wav),
        model="gpt-4o-transcribe-diarize",
        response_format="diarized_json",
        keywords=["Okafor", "Ann Smith"],
        known_speaker_names=["Ann"],
        known_speaker_references=[f"data:audio/wav;base64,{base64.b64encode(spoken_wav).decode()}"],
    )
    assert {segment.speaker for segment in heard.segments} == {"Ann"}
