"""The limit on uploads, spoken to in bare ASGI so that it shows which bytes were asked for and when."""

import asyncio
import json

import pytest

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings

LIMIT_BYTES = 100_000
CHUNK_BYTES = 10_000
FORM_HEADER = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'


@pytest.fixture
def app(scripted_engine, tmp_path):
    return create_app(
        Settings(max_upload_bytes=LIMIT_BYTES, studio=tmp_path, allowed_hosts=("*",)), engine=scripted_engine
    )


def post(app, headers, chunks):
    """POST /transcribe with a body that is made as it is read; returns status, headers, document, bytes read."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": "/transcribe",
        "raw_path": b"/transcribe",
        "query_string": b"",
        "root_path": "",
        "headers": [(b"content-type", b"multipart/form-data; boundary=b"), *headers],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    chunks = iter(chunks)
    read_bytes = 0
    sent = []

    async def receive():
        nonlocal read_bytes
        chunk = next(chunks)
        read_bytes += len(chunk)
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message):
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    start, body = sent
    return start["status"], dict(start["headers"]), json.loads(body["body"]), read_bytes


def endless():
    yield FORM_HEADER
    while True:
        yield bytes(CHUNK_BYTES)


def test_a_declared_length_is_refused_before_anything_is_read(app):
    status, headers, problem, read_bytes = post(app, [(b"content-length", b"100001")], endless())
    assert (status, headers[b"content-type"]) == (413, b"application/problem+json")
    assert problem["status"] == 413
    assert "0.09537 MiB" in problem["detail"]
    assert "--max-upload-mib" in problem["hint"]
    assert read_bytes == 0


@pytest.mark.parametrize("headers", [[], [(b"content-length", b"none")]], ids=["chunked", "senseless"])
def test_an_undeclared_length_is_cut_off_at_the_limit(app, headers):
    status, headers, problem, read_bytes = post(app, headers, endless())
    assert (status, headers[b"content-type"], problem["status"]) == (413, b"application/problem+json", 413)
    assert LIMIT_BYTES < read_bytes <= LIMIT_BYTES + CHUNK_BYTES


def test_a_body_of_exactly_the_limit_is_read(client):
    """The server of `client` allows 1 MiB: the file is refused for what it is, not for its size."""
    overhead_bytes = len(client.build_request("POST", "/transcribe", files={"file": ("a", b"")}).read())
    for size_bytes, status in ((2**20 - overhead_bytes, 400), (2**20 - overhead_bytes + 1, 413)):
        assert client.post("/transcribe", files={"file": ("a", bytes(size_bytes))}).status_code == status
