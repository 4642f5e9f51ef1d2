"""A hub of models on this machine: what the hub's client asks for, answered from a dictionary."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class LocalHub:
    """Holds `models[hub id][path] = content`; None instead of files makes a model gated. `fetched` lists paths."""

    models: dict[str, dict[str, bytes] | None] = field(default_factory=dict)
    fetched: list[str] = field(default_factory=list)
    address: str = ""


@contextmanager
def serve_hub(patch: pytest.MonkeyPatch) -> Iterator[LocalHub]:
    """Serve a hub and let the client call it."""
    import huggingface_hub.constants

    hub = LocalHub()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0].strip("/")
            if path.startswith("api/models/"):
                name, _, action = path.removeprefix("api/models/").partition("/")
                owned, _, action = action.partition("/")
                self._answer_api(f"{name}/{owned}", action)
            else:
                name, _, file = path.partition("/resolve/")
                self._answer_file(name, file.partition("/")[2])

        def do_HEAD(self) -> None:
            self.do_GET()

        def _answer_api(self, name: str, action: str) -> None:
            if name not in hub.models:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            elif (files := hub.models[name]) is None:
                self._send(403, b"{}", {"X-Error-Code": "GatedRepo"})
            elif action.startswith("tree/"):
                listed = [
                    {"type": "file", "path": path, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                    for path, data in files.items()
                ]
                self._send_json(listed)
            else:
                self._send_json({"id": name, "sha": COMMIT, "siblings": [{"rfilename": path} for path in files]})

        def _answer_file(self, name: str, path: str) -> None:
            data = (hub.models.get(name) or {}).get(path)
            if data is None:
                self._send(404, b"", {"X-Error-Code": "EntryNotFound"})
                return
            if self.command == "GET":
                hub.fetched.append(path)
            tag = hashlib.sha1(data).hexdigest()
            self._send(200, data, {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT})

        def _send_json(self, content: Any) -> None:
            self._send(200, json.dumps(content).encode(), {"Content-Type": "application/json"})

        def _send(self, status: int, data: bytes, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    patch.setattr(huggingface_hub.constants, "ENDPOINT", hub.address)
    patch.setattr(
        huggingface_hub.constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        hub.address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()
