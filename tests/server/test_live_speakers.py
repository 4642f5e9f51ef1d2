"""Speakers in live streams, as our protocol, OpenAI's and Deepgram's own clients are told of them."""

import asyncio
import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from deepgram import DeepgramClient
from deepgram.environment import DeepgramClientEnvironment
from numpy.typing import NDArray
from openai import AsyncOpenAI
from websockets.sync.client import connect

from evoxtral.audio import resample
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

WAIT_S = 60  # only for a test that has failed already
LINES = (
    ("espeak/alan", "The train leaves at seven, and we have to be there half an hour before that."),
    ("espeak/grace", "I told them that the report was finished, but nobody had read a single page of it."),
    ("espeak/alan", "There are three things to remember: the key, the number, and the name of the dog."),
    ("espeak/grace", "We could take the long way round, through the village and over the bridge."),
)


@pytest.fixture
def address(scripted_engine, tmp_path) -> Iterator[str]:
    with serve_app(create_app(Settings(studio=tmp_path, stream_idle_s=600), engine=scripted_engine)) as address:
        yield address


@pytest.fixture(scope="module")
def conversation() -> NDArray[np.float32]:
    """Two voices in turn, with 0.8 s of silence after each, at 16 kHz."""
    parts = []
    for voice, text in LINES:
        speech = speak(text, voice=voice)
        parts += [resample(speech.samples, speech.sample_rate_hz, 16_000), np.zeros(12_800, np.float32)]
    return np.concatenate(parts)


def pcm(samples: NDArray[np.float32]) -> bytes:
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def by_lines(speakers: list[Any]) -> bool:
    """Whether four utterances are said by two speakers in turn."""
    first, second, third, fourth = speakers
    return bool(first == third != second == fourth) and None not in speakers


def test_finals_have_speakers_and_updates_set_them_right(address, conversation):
    with connect(address.replace("http", "ws") + "/transcribe/stream") as socket:
        socket.send(json.dumps({"type": "start", "diarize": True}))
        socket.send(pcm(conversation[:100_000]))
        socket.send(pcm(conversation[100_000:200_000]))
        for start in range(200_000, len(conversation), 100_000):
            socket.send(pcm(conversation[start : start + 100_000]))
        socket.send('{"type": "stop"}')
        events = [json.loads(socket.recv(WAIT_S))]
        while events[-1]["type"] != "done":
            events.append(json.loads(socket.recv(WAIT_S)))
    finals = {event["utterance_id"]: event for event in events if event["type"] == "final"}
    assert len(finals) == len(LINES)
    words = {number: [word["speaker"] for word in final["words"]] for number, final in finals.items()}
    speakers = {number: final["speaker"] for number, final in finals.items()}
    for event in events:
        if event["type"] == "speaker_update":
            assert len(event["word_speakers"]) == len(words[event["utterance_id"]])
            words[event["utterance_id"]] = event["word_speakers"]
            speakers[event["utterance_id"]] = event["speaker"]
    assert by_lines(list(speakers.values()))
    assert all(set(said) == {speakers[number]} for number, said in words.items())


def test_without_being_asked_nobody_is_told_apart(address, conversation):
    with connect(address.replace("http", "ws") + "/transcribe/stream") as socket:
        socket.send(json.dumps({"type": "start"}))
        socket.send(pcm(conversation[:100_000]))
        socket.send('{"type": "stop"}')
        events = [json.loads(socket.recv(WAIT_S))]
        while events[-1]["type"] != "done":
            events.append(json.loads(socket.recv(WAIT_S)))
    finals = [event for event in events if event["type"] == "final"]
    assert {final["speaker"] for final in finals} == {None}
    assert {word["speaker"] for final in finals for word in final["words"]} == {None}


def test_deepgrams_client_gets_a_speaker_for_each_word(address, conversation):
    live = address.replace("http", "ws")
    places = DeepgramClientEnvironment(base=address, production=live, agent=live, agent_rest=address)
    client = DeepgramClient(api_key="any", environment=places)
    with client.listen.v1.connect(model="nova-3", encoding="linear16", sample_rate=16_000, diarize=True) as socket:
        for start in range(0, len(conversation), 100_000):
            socket.send_media(pcm(conversation[start : start + 100_000]))
        socket.send_close_stream()
        messages = [socket.recv()]
        while messages[-1].type != "Metadata":
            messages.append(socket.recv())
    finals = [message for message in messages if message.type == "Results" and message.is_final]
    heard = [{word.speaker for word in final.channel.alternatives[0].words} for final in finals]
    assert heard == [{0}, {1}, {0}, {1}]


def test_openais_client_gets_segments_where_its_model_tells_speakers_apart(address, conversation):
    sound = resample(conversation, 16_000, 24_000)

    async def go(model: str) -> list[Any]:
        async with AsyncOpenAI(base_url=f"{address}/v1", api_key="any").realtime.connect(
            extra_query={"intent": "transcription"}
        ) as connection:
            session: Any = {"type": "transcription", "audio": {"input": {"transcription": {"model": model}}}}
            await connection.session.update(session=session)
            for start in range(0, len(sound), 100_000):
                await connection.input_audio_buffer.append(
                    audio=base64.b64encode(pcm(sound[start : start + 100_000])).decode()
                )
            events: list[Any] = []
            while [event.type for event in events].count("conversation.item.done") < len(LINES):
                events.append(await asyncio.wait_for(connection.recv(), WAIT_S))
            return events

    events = asyncio.run(go("gpt-4o-transcribe-diarize"))
    segments = [event for event in events if event.type.endswith("transcription.segment")]
    items = list(dict.fromkeys(segment.item_id for segment in segments))
    assert len(items) == len(LINES)
    assert by_lines([next(segment.speaker for segment in segments if segment.item_id == item) for item in items])
    assert [segment.start for segment in segments] == sorted(segment.start for segment in segments)
    assert all(segment.end > segment.start for segment in segments)
    for item in items:
        texts = [segment.text for segment in segments if segment.item_id == item]
        whole = [event.transcript for event in events if event.type.endswith("completed") and event.item_id == item]
        assert " ".join(texts) == whole[0]
    plain = asyncio.run(go("gpt-live-transcribe"))
    assert not [event for event in plain if event.type.endswith("transcription.segment")]
