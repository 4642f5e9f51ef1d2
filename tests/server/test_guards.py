"""What keeps a server up: hosts, keys, headers, full queues, clients that leave, recordings without end."""

import errno
import io
import re
import tempfile
import threading

import numpy as np
import pytest
import soundfile
from fastapi.testclient import TestClient

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from running_server import serve_app

WAIT_S = 30  # only for a test that has failed already


def started(engine, tmp_path, **settings) -> TestClient:
    settings = {"allowed_hosts": ("testserver",), "studio": tmp_path} | settings
    return TestClient(create_app(Settings(**settings), engine=engine), raise_server_exceptions=False)


def test_every_answer_has_security_headers_and_an_id(client):
    for response in (client.get("/health"), client.get("/nowhere"), client.post("/transcribe")):
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["x-frame-options"] == "DENY"
        assert "frame-ancestors 'none'" in response.headers["content-security-policy"]
        assert len(response.headers["x-request-id"]) == 16
    told = client.get("/health", headers={"X-Request-ID": "my-id.1"})
    assert told.headers["x-request-id"] == "my-id.1"
    assert client.get("/health", headers={"X-Request-ID": "bad id\t"}).headers["x-request-id"] != "bad id\t"


def test_pages_that_are_named_may_show_it_in_a_frame(scripted_engine, tmp_path):
    with started(scripted_engine, tmp_path, framed_by=("https://huggingface.co",)) as client:
        headers = client.get("/health").headers
    assert headers["content-security-policy"].endswith("frame-ancestors https://huggingface.co")
    assert "x-frame-options" not in headers


def test_unknown_hosts_are_turned_away(client):
    answer = client.get("/health", headers={"Host": "evil.example"})
    assert answer.status_code == 421
    assert "EVOXTRAL_SERVER_ALLOWED_HOSTS" in answer.json()["hint"]
    assert client.get("/health", headers={"Host": "testserver:8000"}).status_code == 200


def test_keys_are_asked_for_where_there_are_any(scripted_engine, tmp_path, spoken_wav):
    with started(scripted_engine, tmp_path, api_keys=("secret-one",)) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/models").status_code == 401
        assert client.get("/models", headers={"Authorization": "Bearer secret-two"}).status_code == 401
        assert client.get("/models", headers={"Authorization": "Bearer secret-one"}).status_code == 200
        assert client.get("/models", headers={"Authorization": "Token secret-one"}).status_code == 200
        assert client.get("/models", headers={"xi-api-key": "secret-one"}).status_code == 200
    assert "secret-one" not in repr(Settings(api_keys=("secret-one",)))


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("EVOXTRAL_SERVER_MAX_REQUESTS", "3")
    monkeypatch.setenv("EVOXTRAL_SERVER_ALLOWED_HOSTS", '["a.example", "b.example"]')
    assert Settings().max_requests == 3
    assert Settings().allowed_hosts == ("a.example", "b.example")


def test_ready_only_after_the_engine_ran(scripted_engine, tmp_path):
    go_on = threading.Event()
    scripted_engine.before = lambda: go_on.wait(WAIT_S)
    with started(scripted_engine, tmp_path) as client:
        assert client.get("/health").status_code == 200
        assert client.get("/ready").status_code == 503
        go_on.set()
        client.app.state.is_warm.wait(WAIT_S)
        assert client.get("/ready").json() == {"status": "ready"}
        assert client.head("/ready").status_code == 200


def test_a_full_queue_answers_at_once_with_the_time_to_come_again(scripted_engine, tmp_path, spoken_wav):
    go_on, working = threading.Event(), threading.Event()

    def wait() -> None:
        working.set()
        go_on.wait(WAIT_S)

    with started(scripted_engine, tmp_path, max_requests=1) as client:
        client.app.state.is_warm.wait(WAIT_S)
        scripted_engine.before = wait
        results = []
        first = threading.Thread(
            target=lambda: results.append(client.post("/transcribe", files={"file": ("a.wav", spoken_wav)}))
        )
        first.start()
        assert working.wait(WAIT_S)
        refused = client.post("/transcribe", files={"file": ("b.wav", spoken_wav)})
        go_on.set()
        first.join()
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) >= 1
    assert results[0].status_code == 200


def test_a_client_that_leaves_frees_its_place(scripted_engine, tmp_path, spoken_wav):
    import httpx

    go_on, working = threading.Event(), threading.Event()
    app = create_app(Settings(studio=tmp_path), engine=scripted_engine)
    with serve_app(app) as address:
        assert httpx.get(f"{address}/health", timeout=WAIT_S).status_code == 200
        app.state.is_warm.wait(WAIT_S)

        def wait() -> None:
            working.set()
            go_on.wait(WAIT_S)

        scripted_engine.before = wait
        with httpx.Client() as leaving, pytest.raises(httpx.ReadTimeout):
            leaving.post(f"{address}/transcribe", files={"file": ("a.wav", spoken_wav)}, timeout=1.0)
        assert working.wait(WAIT_S)
        go_on.set()
        scheduler = app.state.transcriber.scheduler
        while scheduler.admitted:
            threading.Event().wait(0.01)


def test_a_recording_is_bounded_as_it_is_decoded(scripted_engine, tmp_path):
    buffer = io.BytesIO()
    soundfile.write(buffer, np.zeros(16_000 * 200, np.float32), 16_000, format="OGG", subtype="OPUS")
    with started(scripted_engine, tmp_path, max_duration_s=100) as client:
        answer = client.post("/transcribe", files={"file": ("long.opus", buffer.getvalue())})
    assert answer.status_code == 413
    assert "long.opus" in answer.json()["detail"]
    assert "MAX_DURATION" in answer.json()["hint"]


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"colour": "red"}, "colour"),
        ({"diarize": "perhaps"}, "diarize"),
        ({"min_speakers": "0"}, "min_speakers"),
        ({"language": ["en", "de"]}, "language"),
        ({"diarize": "true", "min_speakers": "3", "max_speakers": "2"}, "min_speakers"),
    ],
)
def test_fields_are_never_ignored_without_a_word(client, spoken_wav, fields, told):
    answer = client.post("/transcribe", files={"file": ("a.wav", spoken_wav)}, data=fields)
    assert answer.status_code == 422
    assert told in answer.json()["detail"]


def test_two_files_are_one_too_many(client, spoken_wav):
    answer = client.post("/transcribe", files=[("file", ("a.wav", spoken_wav)), ("file", ("b.wav", spoken_wav))])
    assert answer.status_code == 422
    assert "2" in answer.json()["detail"]


def test_events_tell_progress_text_and_the_transcript(client, spoken_wav):
    answer = client.post("/transcribe", files={"file": ("a.wav", spoken_wav)}, data={"stream": "true"})
    assert answer.headers["content-type"].startswith("text/event-stream")
    names = [line.removeprefix("event: ") for line in answer.text.splitlines() if line.startswith("event: ")]
    assert names[-1] == "transcript"
    assert names.index("text") < names.index("transcript")
    assert "progress" in names


def test_what_happens_is_counted(client, spoken_wav):
    client.post("/transcribe", files={"file": ("a.wav", spoken_wav)})
    text = client.get("/metrics").text
    assert 'evoxtral_request_seconds_count{method="POST",route="/transcribe",status="200"}' in text
    assert "evoxtral_audio_seconds_total" in text
    assert "evoxtral_requests_admitted 0.0" in text


@pytest.mark.parametrize("path", ["/health", "/metrics", "/v1/models", "/docs", "/openapi.json"])
def test_head_is_get_without_the_body(client, path):
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-type"] == client.get(path).headers["content-type"]


def test_the_documentation_loads_nothing_from_elsewhere(client):
    page = client.get("/docs").text
    loaded = re.findall(r"""(?:src|href)="([^"]+)""", page)
    assert any(address.endswith(".js") for address in loaded)
    for address in loaded:
        assert client.get(address).status_code == 200, address
    assert "//" not in "".join(loaded)


def test_a_full_disk_is_not_the_clients_fault(client, monkeypatch):
    def full(file: tempfile.SpooledTemporaryFile) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", full)
    monkeypatch.setattr("starlette.formparsers.MultiPartParser.spool_max_size", 1024)
    answer = client.post("/transcribe", files={"file": ("a.wav", bytes(100_000))})
    assert answer.status_code == 507
    assert "disk is full" in answer.json()["detail"]
