"""A server that runs in a thread of the tests' process, for clients that need a real socket; what tests ask of one."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator, Mapping
from typing import Any

import uvicorn
from fastapi import FastAPI


@contextlib.contextmanager
def serve_app(app: FastAPI) -> Iterator[str]:
    """Serve `app` from a thread; yields its address. The socket is open from the start, so no request is early."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def kept(client: Any, sound: bytes, name: str = "hello.wav", headers: Mapping[str, str] | None = None) -> Any:
    """Have a server transcribe a recording and keep it; gives the document."""
    file = {"file": (name, sound)}
    transcript = client.post("/transcribe", files=file, headers=headers).json()
    written = {"transcript": json.dumps(transcript)}
    answer = client.post("/transcripts", files=file, data=written, headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.json()
