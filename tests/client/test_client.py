"""The Python client against a running server over real sockets, and against one that stumbles."""

import asyncio
import io
from collections.abc import AsyncIterator, Coroutine, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from evoxtral.audio import resample
from evoxtral.client import Client, Done, Final, NewText, Partial, Progress, Ready, SpeechStarted
from evoxtral.errors import AudioError, ModelError, ServerError
from evoxtral.inference.transcript import Transcript
from evoxtral.retries import RetryPolicy
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from evoxtral.tts import speak
from running_server import serve_app

TEXT = "[excited] It WORKS! [laughs]"
AT_ONCE = RetryPolicy(attempts=3, first_wait_s=0.0, max_wait_s=0.0)


@pytest.fixture
def address(scripted_engine, tmp_path) -> Iterator[str]:
    settings = Settings(studio=tmp_path, api_keys=("the-key",), max_streams=1)
    with serve_app(create_app(settings, engine=scripted_engine)) as address:
        yield address


@pytest.fixture(scope="module")
def sentence() -> NDArray[np.float32]:
    speech = speak("Please bring the blue folder.", voice="espeak/amber")
    return resample(speech.samples, speech.sample_rate_hz, 16_000)


def run(address: str, do: Any, **options: Any) -> Any:
    """What `do(client)` gives."""

    async def go() -> Any:
        async with Client(address, **{"api_key": "the-key", "retries": AT_ONCE, **options}) as client:
            work: Coroutine[Any, Any, Any] = do(client)
            return await work

    return asyncio.run(go())


async def collect(events: AsyncIterator[Any]) -> list[Any]:
    return [event async for event in events]


def test_a_recording_becomes_a_transcript_whatever_it_is_given_as(address, spoken_wav, tmp_path):
    path = tmp_path / "talk.wav"
    path.write_bytes(spoken_wav)
    for recording in (path, str(path), spoken_wav, io.BytesIO(spoken_wav)):
        heard = run(address, lambda client, recording=recording: client.transcribe(recording))
        assert isinstance(heard, Transcript)
        assert heard.text == TEXT
        assert [word.word for word in heard.words] == ["It", "WORKS!"]
        assert heard.duration_s == pytest.approx(soundfile.info(path).duration, abs=0.01)


def test_options_reach_the_server(address, spoken_wav):
    heard = run(address, lambda client: client.transcribe(spoken_wav, name="a.wav", times=False, language="de"))
    assert (heard.path, heard.language, heard.words[0].start_s) == ("a.wav", "de", None)
    with pytest.raises(ServerError, match="colour") as refused:
        run(address, lambda client: client.transcribe(spoken_wav, colour="red"))
    assert refused.value.status == 422


def test_progress_and_text_come_before_the_transcript(address, spoken_wav):
    *before, last = run(address, lambda client: collect(client.transcribe_events(spoken_wav)))
    assert isinstance(last, Transcript)
    assert [event.text for event in before if isinstance(event, NewText)] == [TEXT]
    assert any(isinstance(event, Progress) for event in before)


def test_refusals_carry_the_servers_words(address):
    with pytest.raises(ServerError) as refused:
        run(address, lambda client: client.transcribe(b"no audio", name="a.wav"))
    assert refused.value.status == 400
    assert "a.wav" in refused.value.message
    assert refused.value.hint is not None
    with pytest.raises(ServerError) as refused:
        run(address, lambda client: client.speak("Hello."), api_key="wrong")
    assert refused.value.status == 401
    assert "wrong" not in str(refused.value)
    with pytest.raises(AudioError, match="not-there"):
        run(address, lambda client: client.transcribe("not-there.wav"))


def test_the_key_comes_from_the_environment(address, spoken_wav, monkeypatch):
    monkeypatch.setenv("EVOXTRAL_API_KEY", "the-key")
    assert run(address, lambda client: client.transcribe(spoken_wav), api_key=None).text == TEXT


def test_text_becomes_speech(address):
    spoken = run(address, lambda client: client.speak("[whispers] Hello there.", voice="espeak/amber", seed=3))
    assert (spoken.engine, spoken.voice, spoken.media_type) == ("local/espeak", "espeak/amber", "audio/wav")
    assert soundfile.info(io.BytesIO(spoken.content)).duration == pytest.approx(spoken.duration_s, abs=0.01)


def test_live_sound_becomes_typed_events(address, sentence):
    quiet = np.zeros(16_000, np.float32)

    async def sound() -> AsyncIterator[NDArray[np.float32]]:
        for packet in np.array_split(np.concatenate([quiet, sentence, quiet]), 40):
            yield packet

    events = run(address, lambda client: collect(client.transcribe_live(sound())))
    assert isinstance(events[0], Ready)
    assert isinstance(events[1], SpeechStarted)
    (final,) = [event for event in events if isinstance(event, Final)]
    assert final.text == TEXT
    assert [word.word for word in final.words] == ["It", "WORKS!"]
    assert final.start_s <= final.words[0].start_s <= final.words[1].end_s <= final.end_s
    assert all(TEXT.startswith(event.committed) for event in events if isinstance(event, Partial))
    assert isinstance(events[-1], Done)
    assert events[-1].stats.utterances == 1


def test_an_utterance_is_ended_by_hand(address, sentence):
    async def go(client: Client) -> list[Any]:
        async with client.stream() as live:
            await live.send(sentence)
            await live.flush()  # no silence ends it
            async for event in live:
                if isinstance(event, Final):
                    await live.stop()
                    break
            return [event, *[event async for event in live]]

    events = run(address, go)
    assert events[0].text == TEXT
    assert isinstance(events[-1], Done)


def test_a_failed_utterance_is_told_and_the_stream_goes_on(address, sentence, scripted_engine):
    def fail() -> None:
        raise ModelError("the model lost its head")

    scripted_engine.before = fail

    async def sound() -> AsyncIterator[NDArray[np.float32]]:
        yield sentence

    events = run(address, lambda client: collect(client.transcribe_live(sound())))
    assert [event.type for event in events if event.type in ("error", "final", "done")] == ["error", "done"]
    assert "lost its head" in next(event.message for event in events if event.type == "error")


def test_what_stops_a_stream_is_raised(address):
    async def no_sound() -> AsyncIterator[bytes]:
        raise AudioError("the microphone fell off")
        yield b""

    async def second(client: Client) -> None:
        async with client.stream(), client.stream():
            pass

    with pytest.raises(AudioError, match="fell off"):
        run(address, lambda client: collect(client.transcribe_live(no_sound())))
    with pytest.raises(ServerError, match="taken") as full:
        run(address, second)
    assert full.value.status == 503
    with pytest.raises(ServerError, match="start message"):
        run(address, lambda client: collect(client.transcribe_live(no_sound(), colour="red")))
    with pytest.raises(ServerError) as refused:
        run(address, lambda client: collect(client.transcribe_live(no_sound())), api_key="wrong")
    assert refused.value.status == 403
    assert "EVOXTRAL_API_KEY" in refused.value.hint


@pytest.fixture
def keeping(scripted_engine, tmp_path) -> Iterator[str]:
    """A server with a store."""
    settings = Settings(studio=tmp_path / "none", store=str(tmp_path / "store"))
    with serve_app(create_app(settings, engine=scripted_engine)) as address:
        yield address


def test_a_job_is_left_and_followed_to_its_transcript(keeping, spoken_wav):
    async def go(client: Client) -> None:
        job = await client.submit(spoken_wav, name="hello.wav", times=False)
        *before, last = await collect(client.follow(job.id))
        assert isinstance(last, Transcript)
        assert (last.text, last.words[0].start_s) == (TEXT, None)
        # Texts of one that was done before it was followed are in its transcript alone.
        assert {event.text for event in before if isinstance(event, NewText)} <= {TEXT}
        ended = await client.job(job.id)
        assert (ended.state, ended.name) == ("done", "hello.wav")
        assert await client.jobs() == [ended]
        assert await client.cancel(job.id) == ended
        wrong = await client.submit(b"no audio", name="noise.bin")
        with pytest.raises(ServerError, match="noise") as failed:
            await collect(client.follow(wrong.id))
        assert failed.value.status == 400

    run(keeping, go)


def test_a_job_is_sent_again_only_where_it_was_not_accepted(stumbling):
    address, server = stumbling
    accepted = b'{"id": "a", "name": "b", "state": "queued"}'
    server.answers[:] = [(503, b"{}"), (202, accepted)]
    assert run(address, lambda client: client.submit(b"x")).state == "queued"
    server.answers[:] = [(500, b"{}"), (202, accepted)]
    with pytest.raises(ServerError, match="HTTP 500"):
        run(address, lambda client: client.submit(b"x"))


class Stumbling(BaseHTTPRequestHandler):
    """Answers as `answers` says, one after the other; notes the names of what it is sent."""

    answers: list[tuple[int, bytes]]
    seen: list[bytes]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.seen.append(body)
        status, content = self.answers.pop(0)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        return


@pytest.fixture
def stumbling() -> Iterator[tuple[str, type[Stumbling]]]:
    kind = type("Handler", (Stumbling,), {"answers": [], "seen": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), kind) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", kind
        server.shutdown()


def test_a_busy_server_is_asked_again_with_the_whole_recording(stumbling, spoken_wav, tmp_path):
    address, server = stumbling
    document = b'{"path":"a","model":"m","engine":"e","language":"en","duration_s":1,"text":"Hi.","plain_text":"Hi.",'
    server.answers[:] = [(503, b'{"detail": "full"}'), (500, b"no document"), (200, document + b'"new_field":1}')]
    path = tmp_path / "talk.wav"
    path.write_bytes(spoken_wav)
    assert run(address, lambda client: client.transcribe(path)).text == "Hi."
    assert len(server.seen) == 3
    assert all(spoken_wav in body for body in server.seen)


def test_what_cannot_get_better_is_not_tried_again_and_patience_ends(stumbling, spoken_wav):
    address, server = stumbling
    server.answers[:] = [(413, b'{"detail": "too long", "hint": "cut it"}')]
    with pytest.raises(ServerError) as refused:
        run(address, lambda client: client.transcribe(spoken_wav))
    assert (refused.value.status, refused.value.hint, len(server.seen)) == (413, "cut it", 1)
    server.answers[:] = [(503, b"{}")] * 3
    with pytest.raises(ServerError, match="HTTP 503"):
        run(address, lambda client: client.transcribe(spoken_wav))
    assert len(server.seen) == 4


def test_nobody_at_the_address_is_said_with_what_starts_one(stumbling):
    with pytest.raises(ServerError, match="evoxtral serve") as missing:
        run("http://127.0.0.1:9", lambda client: client.transcribe(b"x"))
    assert missing.value.status is None
    address, server = stumbling
    server.answers[:] = [(200, b'{"hello": 1}')]
    with pytest.raises(ServerError, match="not what was asked for"):
        run(address, lambda client: client.transcribe(b"x"))
