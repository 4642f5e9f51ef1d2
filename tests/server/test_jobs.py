"""Jobs as a client sees them: accepted, followed, cancelled, refused, and taken up again by the next server."""

import json
import threading

import pytest
from fastapi.testclient import TestClient

from evoxtral.errors import ModelError
from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings

WAIT_S = 30  # only for a test that has failed already


def send(client: TestClient, sound: bytes, name: str = "a.wav", **fields: str) -> dict:
    answer = client.post("/jobs", files={"file": (name, sound)}, data=fields)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == f"/jobs/{answer.json()['id']}"
    return answer.json()


def follow(client: TestClient, job: dict, headers: dict | None = None) -> list[tuple[str, dict]]:
    """The events of a job until it ends."""
    told = []
    with client.stream("GET", f"/jobs/{job['id']}/events", headers=headers) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        name = ""
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                told.append((name, json.loads(line.removeprefix("data: "))))
    return told


def server(engine, folder, **settings) -> TestClient:
    settings = {"allowed_hosts": ("testserver",), "studio": folder / "none", "store": str(folder / "store")} | settings
    return TestClient(create_app(Settings(**settings), engine=engine), raise_server_exceptions=False)


def test_a_job_is_done_and_its_transcript_kept(store_client, spoken_wav):
    job = send(store_client, spoken_wav, "hello.wav", times="false")
    assert (job["state"], job["name"], job["transcript_id"], job["problem"]) == ("queued", "hello.wav", None, None)
    name, told = follow(store_client, job)[-1]
    assert name == "done"
    document = store_client.get(f"/transcripts/{told['transcript_id']}").json()
    assert document["transcript"]["text"] == "[excited] It WORKS! [laughs]"
    assert document["transcript"]["words"][0]["start_s"] is None
    assert store_client.get(f"/transcripts/{document['id']}/audio").content == spoken_wav
    ended = store_client.get(f"/jobs/{job['id']}").json()
    assert (ended["state"], ended["transcript_id"]) == ("done", document["id"])
    assert ended["done_s"] == ended["total_s"] == document["transcript"]["duration_s"]
    assert store_client.get("/jobs").json() == [ended]
    assert follow(store_client, job) == [("done", {"transcript_id": document["id"]})]


def test_what_cannot_be_transcribed_is_reported(store_client):
    job = send(store_client, b"this is no audio", "noise.bin")
    [(name, told)] = [event for event in follow(store_client, job) if event[0] != "progress"]
    assert name == "error"
    assert told["problem"]["status"] == 400
    assert "noise.bin" in told["problem"]["detail"]
    ended = store_client.get(f"/jobs/{job['id']}").json()
    assert (ended["state"], ended["problem"]) == ("failed", told["problem"])
    assert list(store_client.app.state.store.files.ids()) == []


def test_a_failure_of_the_server_is_told_without_its_inside(store_client, scripted_engine, spoken_wav):
    def fail():
        raise RuntimeError("secret path /home/someone")

    store_client.app.state.is_warm.wait(WAIT_S)
    scripted_engine.before = fail
    [*_, (name, told)] = follow(store_client, send(store_client, spoken_wav))
    assert (name, told["problem"]["status"]) == ("error", 500)
    assert "secret" not in json.dumps(told)

    def lose_its_head():
        raise ModelError("the model lost its head", "train it again")

    scripted_engine.before = lose_its_head
    [*_, (_, told)] = follow(store_client, send(store_client, spoken_wav))
    assert told["problem"]["detail"] == "the model lost its head"


@pytest.fixture
def held(store_client, scripted_engine):
    """The engine waits in its first window until it is let go; `(working, go_on)`."""
    working, go_on = threading.Event(), threading.Event()
    store_client.app.state.is_warm.wait(WAIT_S)

    def wait():
        working.set()
        go_on.wait(WAIT_S)

    scripted_engine.before = wait
    yield working, go_on
    go_on.set()


def test_a_job_is_cancelled_while_it_waits_and_while_it_runs(store_client, spoken_wav, held):
    working, go_on = held
    running = send(store_client, spoken_wav)
    assert working.wait(WAIT_S)
    assert store_client.delete(f"/jobs/{running['id']}").json()["state"] == "cancelled"
    go_on.set()
    [(name, told)] = follow(store_client, running)
    assert (name, told["problem"]["status"]) == ("error", 409)
    assert store_client.get("/transcripts").json()["items"] == []
    assert list(store_client.app.state.store.files.ids()) == []
    assert store_client.delete(f"/jobs/{running['id']}").json()["state"] == "cancelled"
    later = send(store_client, spoken_wav)
    assert follow(store_client, later)[-1][0] == "done"
    assert store_client.delete(f"/jobs/{later['id']}").json()["state"] == "done"


def test_no_more_are_accepted_than_may_wait(scripted_engine, tmp_path, spoken_wav):
    go_on = threading.Event()
    with server(scripted_engine, tmp_path, max_jobs=1) as client:
        client.app.state.is_warm.wait(WAIT_S)
        scripted_engine.before = lambda: go_on.wait(WAIT_S)
        first = send(client, spoken_wav)
        refused = client.post("/jobs", files={"file": ("b.wav", spoken_wav)})
        go_on.set()
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert follow(client, first)[-1][0] == "done"
        assert follow(client, send(client, spoken_wav))[-1][0] == "done"


def test_a_job_that_was_under_way_when_the_server_stopped_is_done_by_the_next(scripted_engine, tmp_path, spoken_wav):
    working, go_on = threading.Event(), threading.Event()

    def wait():
        working.set()
        go_on.wait(WAIT_S)

    with server(scripted_engine, tmp_path) as client:
        client.app.state.is_warm.wait(WAIT_S)
        scripted_engine.before = wait
        job = send(client, spoken_wav, "left.wav")
        assert working.wait(WAIT_S)
        threading.Timer(0.2, go_on.set).start()  # the engine ends its batch, and the server its shutdown
    scripted_engine.before = lambda: None
    with server(scripted_engine, tmp_path) as client:
        assert follow(client, job)[-1][0] == "done"
        [item] = client.get("/transcripts").json()["items"]
        assert item["name"] == "left.wav"


@pytest.mark.parametrize("path", ["/jobs/none", f"/jobs/{'0' * 31}", f"/jobs/{'0' * 32}", f"/jobs/{'0' * 32}/events"])
def test_what_is_no_job_is_missing_or_refused(store_client, path):
    assert store_client.get(path).status_code in (404, 422)


def test_fields_of_jobs_are_read_as_strictly_as_those_of_transcriptions(store_client, spoken_wav):
    answer = store_client.post("/jobs", files={"file": ("a.wav", spoken_wav)}, data={"colour": "red"})
    assert answer.status_code == 422
    assert list(store_client.app.state.store.files.ids()) == []


def test_one_key_may_have_its_share_of_the_jobs(scripted_engine, tmp_path, spoken_wav):
    go_on = threading.Event()
    with server(scripted_engine, tmp_path, api_keys=("one", "two"), max_jobs_per_key=1) as client:
        client.app.state.is_warm.wait(WAIT_S)
        scripted_engine.before = lambda: go_on.wait(WAIT_S)

        def status(key: str) -> int:
            headers = {"Authorization": f"Bearer {key}"}
            return client.post("/jobs", files={"file": ("a.wav", spoken_wav)}, headers=headers).status_code

        assert [status("one"), status("one"), status("two"), status("two")] == [202, 429, 202, 429]
        go_on.set()


def test_one_key_may_have_so_much_under_way(scripted_engine, tmp_path, spoken_wav):
    working, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        working.set()
        go_on.wait(WAIT_S)

    one, two = {"Authorization": "Bearer one"}, {"Authorization": "Bearer two"}
    file = {"file": ("a.wav", spoken_wav)}
    with server(scripted_engine, tmp_path, api_keys=("one", "two"), max_requests_per_key=1) as client:
        client.app.state.is_warm.wait(WAIT_S)
        scripted_engine.before = wait
        answers = []
        first = threading.Thread(
            target=lambda: answers.append(client.post("/transcribe", files=file, headers=one).status_code)
        )
        first.start()
        assert working.wait(WAIT_S)
        refused = client.post("/jobs", files=file, headers=one)
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "1")
        assert client.get("/transcripts", headers=one).status_code == 200
        assert client.post("/jobs", files=file, headers=two).status_code == 202
        go_on.set()
        first.join(WAIT_S)
        assert answers == [200]
        assert client.post("/jobs", files=file, headers=one).status_code == 202
