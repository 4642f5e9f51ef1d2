"""Files that are made to hurt: each is one answer, opens nothing, and the next request is served."""

import socket

import pytest

from evoxtral.audio.decoding_process import DecodingProcesses, Limits
from playlists import PLAYLISTS


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_nothing(client, listener, kind, spoken_wav, tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(spoken_wav)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}/a.mp3"
    content = PLAYLISTS[kind].format(file=secret, address=address).encode()
    refused = client.post("/transcribe", files={"file": ("list", content)})
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    with pytest.raises(BlockingIOError):
        listener.accept()


@pytest.mark.parametrize(
    "limits", [Limits(block_s=0.0), Limits(memory_bytes=4096), Limits(cpu_s=0)], ids=["time", "memory", "processor"]
)
def test_beyond_a_bound_is_one_answer_and_the_next_is_served(client, limits, spoken_wav):
    transcriber = client.app.state.transcriber
    usual, transcriber.decoding = transcriber.decoding, DecodingProcesses(limits)
    refused = client.post("/transcribe", files={"file": ("big.wav", spoken_wav)})
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/problem+json")
    assert refused.json()["detail"].startswith("big.wav: ")
    transcriber.decoding.close()
    transcriber.decoding = usual
    assert client.post("/transcribe", files={"file": ("a.wav", spoken_wav)}).json()["plain_text"] == "It works!"
