"""Live transcription through OpenAI's own realtime client, and in vLLM's dialect of the same address."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from openai import AsyncOpenAI
from openai.resources.realtime.realtime import AsyncRealtimeConnection
from websockets.sync.client import connect

from evoxtral.audio import resample
from evoxtral.errors import ModelError
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

WAIT_S = 60  # only for a test that has failed already
TEXT = "[excited] It WORKS! [laughs]"


@pytest.fixture
def address(scripted_engine, tmp_path) -> Iterator[str]:
    settings = Settings(studio=tmp_path, api_keys=("the-key",), max_streams=1)
    with serve_app(create_app(settings, engine=scripted_engine)) as address:
        yield f"{address}/v1"


@asynccontextmanager
async def connected(address: str, key: str = "the-key") -> AsyncIterator[AsyncRealtimeConnection]:
    client = AsyncOpenAI(base_url=address, api_key=key)
    async with client.realtime.connect(extra_query={"intent": "transcription"}) as connection:
        yield connection


def sound(rate_hz: int, *parts: float | str) -> str:
    """Silences (seconds) and sentences as Base64 PCM."""
    pieces: list[NDArray[np.float32]] = []
    for part in parts:
        if isinstance(part, str):
            speech = speak(part, voice="espeak/amber")
            pieces.append(resample(speech.samples, speech.sample_rate_hz, rate_hz))
        else:
            pieces.append(np.zeros(round(part * rate_hz), np.float32))
    samples = (np.clip(np.concatenate(pieces), -1, 1) * 32767).astype("<i2")
    return base64.b64encode(samples.tobytes()).decode()


async def events_until(connection: AsyncRealtimeConnection, last: str) -> list[Any]:
    events: list[Any] = []
    while not events or events[-1].type != last:
        events.append(await asyncio.wait_for(connection.recv(), WAIT_S))
    return events


COMPLETED = "conversation.item.input_audio_transcription.completed"


def test_the_server_finds_the_turns(address):
    async def go() -> list[Any]:
        async with connected(address) as connection:
            await connection.session.update(
                session={
                    "type": "transcription",
                    "audio": {
                        "input": {
                            "format": {"type": "audio/pcm", "rate": 24000},
                            "transcription": {"model": "gpt-live-transcribe", "language": "de"},
                            "turn_detection": {"type": "server_vad"},
                        }
                    },
                }
            )
            await connection.input_audio_buffer.append(audio=sound(24_000, 1.0, "The blue folder, please.", 1.5))
            return await events_until(connection, "conversation.item.done")

    events = asyncio.run(go())
    kinds = [event.type for event in events if not event.type.endswith(".delta")]
    assert kinds == [
        "session.created",
        "session.updated",
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        COMPLETED,
        "conversation.item.done",
    ]
    by_kind = {event.type: event for event in events}
    assert by_kind["session.updated"].session.audio.input.transcription.language == "de"
    assert by_kind["session.updated"].session.audio.input.turn_detection.silence_duration_ms == 500
    started, stopped = (by_kind[f"input_audio_buffer.speech_{what}"] for what in ("started", "stopped"))
    assert 500 <= started.audio_start_ms <= 1100  # after the second of silence, less the padding
    assert stopped.audio_end_ms > started.audio_start_ms + 500
    assert by_kind[COMPLETED].transcript == TEXT
    assert by_kind[COMPLETED].usage.seconds == pytest.approx(
        (stopped.audio_end_ms - started.audio_start_ms) / 1000, abs=0.1
    )
    deltas = [event.delta for event in events if event.type.endswith(".delta")]
    assert "".join(deltas) == TEXT
    items = {event.item_id for event in events if hasattr(event, "item_id")}
    assert items == {by_kind["conversation.item.added"].item.id}


def test_a_client_that_ends_its_turns_itself_gets_one_text_for_each_commit(address, scripted_engine):
    async def go() -> list[Any]:
        async with connected(address) as connection:
            await connection.session.update(
                session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            )
            await events_until(connection, "session.updated")
            events = []
            # The silence would end a turn, if the server looked for it.
            for _ in range(2):
                await connection.input_audio_buffer.append(audio=sound(24_000, "One thing.", 1.5, "And another."))
                await connection.input_audio_buffer.commit()
                events += await events_until(connection, "conversation.item.done")
            return events

    events = asyncio.run(go())
    assert [event.transcript for event in events if event.type == COMPLETED] == [TEXT, TEXT]
    assert not [event.type for event in events if "speech_" in event.type]
    first, second = [event for event in events if event.type == "input_audio_buffer.committed"]
    assert (first.previous_item_id, second.previous_item_id) == (None, first.item_id)


def test_what_is_cleared_is_not_heard_and_an_empty_commit_is_an_error(address):
    async def go() -> list[Any]:
        async with connected(address) as connection:
            await connection.session.update(
                session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            )
            await connection.input_audio_buffer.append(audio=sound(24_000, "Forget this."))
            await connection.input_audio_buffer.clear()
            await connection.input_audio_buffer.commit()
            return await events_until(connection, "error")

    events = asyncio.run(go())
    assert [event.type for event in events if not event.type.endswith(".delta")][-2:] == [
        "input_audio_buffer.cleared",
        "error",
    ]
    assert events[-1].error.code == "input_audio_buffer_commit_empty"


def test_a_failure_names_its_item_and_the_session_goes_on(address, scripted_engine):
    def fail() -> None:
        raise ModelError("the model lost its head", "train it again")

    async def go() -> tuple[list[Any], list[Any]]:
        async with connected(address) as connection:
            await connection.session.update(
                session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            )
            scripted_engine.before = fail
            await connection.input_audio_buffer.append(audio=sound(24_000, "One thing."))
            await connection.input_audio_buffer.commit()
            failed = await events_until(connection, "conversation.item.input_audio_transcription.failed")
            scripted_engine.before = lambda: None
            await connection.input_audio_buffer.append(audio=sound(24_000, "Another."))
            await connection.input_audio_buffer.commit()
            return failed, await events_until(connection, COMPLETED)

    failed, completed = asyncio.run(go())
    committed = next(event for event in failed if event.type == "input_audio_buffer.committed")
    assert failed[-1].item_id == committed.item_id
    assert "lost its head" in failed[-1].error.message
    assert completed[-1].transcript == TEXT


@pytest.mark.parametrize(
    ("message", "param"),
    [
        ({"type": "session.update", "session": {"type": "realtime"}}, "session.type"),
        (
            {"type": "session.update", "session": {"audio": {"input": {"format": {"type": "audio/pcmu"}}}}},
            "session.audio.input.format.type",
        ),
        ({"type": "input_audio_buffer.append", "audio": "?"}, "audio"),
        ({"type": "response.create"}, "type"),
    ],
)
def test_what_it_cannot_do_is_told_by_name_and_the_session_goes_on(address, message, param):
    async def go() -> list[Any]:
        async with connected(address) as connection:
            await connection.send({**message, "event_id": "mine"})
            events = await events_until(connection, "error")
            await connection.session.update(session={"type": "transcription"})
            return [*events, *await events_until(connection, "session.updated")]

    error = next(event.error for event in asyncio.run(go()) if event.type == "error")
    assert (error.type, error.param, error.event_id) == ("invalid_request_error", param, "mine")


def test_turn_detection_is_settled_by_the_first_sound(address):
    async def go() -> Any:
        async with connected(address) as connection:
            await connection.input_audio_buffer.append(audio=sound(24_000, 0.2))
            await connection.session.update(
                session={"type": "transcription", "audio": {"input": {"turn_detection": None}}}
            )
            return (await events_until(connection, "error"))[-1]

    assert asyncio.run(go()).error.code == "locked"


def test_a_second_stream_is_told_that_there_is_no_place(address):
    async def go() -> Any:
        async with connected(address) as first, connected(address) as second:
            await first.recv()
            return await asyncio.wait_for(second.recv(), WAIT_S)

    assert asyncio.run(go()).error.code == "busy"


def test_vllms_clients_send_16_khz_and_end_with_a_final_commit(address):
    url = address.replace("http", "ws") + "/realtime"
    with connect(url, additional_headers={"Authorization": "Bearer the-key"}) as socket:
        assert json.loads(socket.recv(WAIT_S))["type"] == "session.created"
        socket.send(json.dumps({"type": "session.update", "model": "mistralai/Voxtral-Mini-4B-Realtime-2602"}))
        socket.send(json.dumps({"type": "input_audio_buffer.commit"}))
        data = sound(16_000, 0.5, "One thing.", 1.5, "And another.")
        for start in range(0, len(data), 4000):
            socket.send(json.dumps({"type": "input_audio_buffer.append", "audio": data[start : start + 4000]}))
        socket.send(json.dumps({"type": "input_audio_buffer.commit", "final": True}))
        events = [json.loads(socket.recv(WAIT_S))]
        while events[-1]["type"] != "transcription.done":
            events.append(json.loads(socket.recv(WAIT_S)))
    assert events[-1]["text"] == f"{TEXT} {TEXT}"
    assert "".join(event["delta"] for event in events[:-1]) == events[-1]["text"]
