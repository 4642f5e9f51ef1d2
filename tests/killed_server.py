"""A server in a process that can be killed at any moment: a real socket, a real store, an engine of fixed words.

Each process is forked from one that holds all modules already, so that it serves after a fraction of a second.
"""

import multiprocessing
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")


@dataclass(frozen=True)
class Running:
    """A server, and its process."""

    address: str
    process: BaseProcess

    def kill(self) -> None:
        """End it as `kill -9` does."""
        self.process.kill()
        self.process.join(60)


@contextmanager
def run_server(place: str, files: Path, hold: Path | None = None) -> Iterator[Running]:
    """Start a server with a store; its socket is open from the start. It is killed when the block ends.

    Args:
        hold: while there is such a file, its engine does not answer.
    """
    _CONTEXT.set_forkserver_preload(["killed_server", "evoxtral.server.app", "uvicorn", "psycopg", "scripted_engine"])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = _CONTEXT.Process(target=_serve, args=(listener, place, files, hold), daemon=True)
        process.start()
        running = Running(f"http://127.0.0.1:{listener.getsockname()[1]}", process)
    # Only the process has the socket now: who connects after its end is refused.
    try:
        yield running
    finally:
        running.kill()


def _serve(listener: socket.socket, place: str, files: Path, hold: Path | None) -> None:
    import uvicorn

    from evoxtral.server.app import create_app
    from evoxtral.server.settings import Settings
    from scripted_engine import ScriptedEngine

    settings = Settings(store=place, store_files=files, studio=files / "none")
    engine = ScriptedEngine()

    def wait() -> None:
        while hold is not None and hold.exists():
            threading.Event().wait(0.02)

    engine.before = wait
    app = create_app(settings, engine=engine)
    uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[listener])
