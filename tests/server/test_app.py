"""The server's answers as a client sees them: transcripts, health, and a problem document for everything else."""

import io
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import soundfile

import evoxtral
from evoxtral.errors import ModelError

WAIT_S = 30  # only for a test that has failed already


def assert_problem(response, status: int, *told: str) -> None:
    """The answer is an RFC 9457 document of `status` whose detail and hint contain each of `told`."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] == "about:blank"
    assert problem["title"]
    for part in told:
        assert part in f"{problem['detail']} {problem['hint']}"


def test_transcribe_answers_the_transcript(client, spoken_wav):
    response = client.post("/transcribe", files={"file": ("hello.wav", spoken_wav)})
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    transcript = response.json()
    assert transcript["path"] == "hello.wav"
    assert (transcript["model"], transcript["engine"], transcript["language"]) == ("test", "scripted", "en")
    assert transcript["duration_s"] == pytest.approx(soundfile.info(io.BytesIO(spoken_wav)).duration, abs=0.01)
    assert transcript["text"] == "[excited] It WORKS! [laughs]"
    assert transcript["plain_text"] == "It works!"
    assert [(word["word"], word["emphasis"]) for word in transcript["words"]] == [("It", False), ("WORKS!", True)]
    assert [(tag["tag"], tag["category"], tag["group"], tag["known"], tag["gap"]) for tag in transcript["tags"]] == [
        ("excited", "emotion", "joy", True, 0),
        ("laughs", "non-verbal", "laughter", True, 2),
    ]


def test_health_tells_what_a_client_needs_before_it_uploads(client):
    assert client.get("/health").json() == {
        "status": "ok",
        "version": evoxtral.__version__,
        "model": "test",
        "engine": "scripted",
        "max_upload_bytes": 2**20,
        "max_duration_s": 4 * 3600,
    }


@pytest.mark.parametrize("content", [b"", b"this is no audio", b"RIFF\x24\x00\x00\x00WAVEfmt "], ids=len)
def test_what_is_not_audio_is_the_clients_fault(client, content):
    assert_problem(client.post("/transcribe", files={"file": ("noise.bin", content)}), 400, "noise.bin")


def test_a_form_without_the_file_names_the_field(client):
    assert_problem(client.post("/transcribe", files={"audio": ("a.wav", b"x")}), 422, "file", "/docs")
    assert_problem(client.post("/transcribe", data={"file": "just text"}), 422, "file")
    assert_problem(client.post("/transcribe"), 422, "file")


def test_a_broken_form_is_the_clients_fault(client):
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert_problem(client.post("/transcribe", content=b"--y\r\n\r\n", headers=headers), 422, "form cannot be read")


def test_unknown_addresses_and_methods_are_problems_too(client):
    assert_problem(client.get("/nothing/here"), 404, "/nothing/here", "/docs")
    assert_problem(client.get("/transcribe"), 405, "/transcribe")


def test_an_expected_failure_of_the_engine_keeps_its_words(client, spoken_wav, scripted_engine):
    def fail():
        raise ModelError("the model lost its head", "train it again")

    scripted_engine.before = fail
    response = client.post("/transcribe", files={"file": ("a.wav", spoken_wav)})
    assert_problem(response, 500, "the model lost its head", "train it again")


def test_an_unexpected_failure_tells_nothing_of_the_inside(client, spoken_wav, scripted_engine):
    def fail():
        raise RuntimeError("secret path /home/someone")

    scripted_engine.before = fail
    response = client.post("/transcribe", files={"file": ("a.wav", spoken_wav)})
    assert_problem(response, 500, "log")
    assert "secret" not in response.text


def test_the_server_answers_while_it_transcribes(client, spoken_wav, scripted_engine):
    listening, finish = threading.Event(), threading.Event()

    def wait():
        listening.set()
        assert finish.wait(WAIT_S)

    scripted_engine.before = wait
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(client.post, "/transcribe", files={"file": ("a.wav", spoken_wav)})
        try:
            assert listening.wait(WAIT_S)
            assert client.get("/health").status_code == 200
            assert not pending.done()
        finally:
            finish.set()
        assert pending.result(WAIT_S).status_code == 200


def test_recordings_take_turns(client, spoken_wav, scripted_engine):
    meeting = threading.Barrier(2)
    met = []

    def look_around():
        try:
            meeting.wait(0.2)  # returns only when two are inside at once
            met.append(True)
        except threading.BrokenBarrierError:
            meeting.reset()

    scripted_engine.before = look_around
    with ThreadPoolExecutor(3) as pool:
        answers = list(pool.map(lambda _: client.post("/transcribe", files={"file": ("a.wav", spoken_wav)}), range(3)))
    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert not met


def test_the_interface_is_described_for_clients(client):
    operation = client.get("/openapi.json").json()["paths"]["/transcribe"]["post"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Transcript")
    assert {"400", "413", "422"} <= operation["responses"].keys()
