"""A server for one program alone: in a thread of it, on a free port of the loopback interface, behind a key of its own.

Knows how a server is run; nothing of what it answers.
"""

import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from evoxtral.inference.engines.protocol import TranscriptionEngine

_SHUTDOWN_S = 2


@dataclass(frozen=True, slots=True)
class LocalServer:
    """Where it is, and the key that it wants."""

    address: str
    api_key: SecretStr


@contextmanager
def serve_locally(engine: TranscriptionEngine) -> Iterator[LocalServer]:
    """Serve for as long as the block runs. Whoever comes early waits until it is ready."""
    import uvicorn

    from evoxtral.server.app import create_app
    from evoxtral.server.settings import Settings
    from evoxtral.server.store.place import NO_STORE

    key = SecretStr(secrets.token_urlsafe(32))
    settings = Settings(api_keys=(key,), allowed_hosts=("127.0.0.1",), store=NO_STORE)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(settings, engine=engine), log_level="error", timeout_graceful_shutdown=_SHUTDOWN_S
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="server", daemon=True)
        thread.start()
        try:
            yield LocalServer(f"http://127.0.0.1:{listener.getsockname()[1]}", key)
        finally:
            server.should_exit = True
            thread.join()
