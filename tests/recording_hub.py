"""A hub on this machine that takes uploads: the requests that huggingface_hub makes without Xet, and their commits."""

import base64
import hashlib
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

_LARGE = (".safetensors", ".bin", ".parquet", ".pt")


@dataclass
class Repository:
    """What was made by `create`, and the content after all commits."""

    created: dict[str, Any]
    files: dict[str, bytes] = field(default_factory=dict)
    commits: list[list[str]] = field(default_factory=list)


@dataclass
class RecordingHub:
    """Holds repositories by address path ("me/it", "datasets/me/it").

    Attributes:
        token: what may write.
        large: contents of large files by SHA-256, whether committed or not; `received` counts their arrivals.
        refused: SHA-256 of large files that the store does not take at present.
    """

    address: str = ""
    token: str = "hf_write"
    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    received: Counter[str] = field(default_factory=Counter)
    refused: set[str] = field(default_factory=set)


@contextmanager
def record_hub(patch: pytest.MonkeyPatch) -> Iterator[RecordingHub]:
    """Serve a hub, and let the client call it with a token that may write."""
    import huggingface_hub.constants

    hub = RecordingHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self._body()
            if self.headers["Authorization"] != f"Bearer {hub.token}":
                self._answer(401, {"error": "Invalid credentials"})
            elif self.path == "/api/repos/create":
                asked = json.loads(body)
                owner = asked.get("organization") or "me"
                prefix = "datasets/" if asked.get("type") == "dataset" else ""
                where = f"{prefix}{owner}/{asked['name']}"
                status = 409 if where in hub.repositories else 200
                hub.repositories.setdefault(where, Repository(asked))
                self._answer(status, {"url": f"{hub.address}/{where}"})
            elif self.path == "/api/validate-yaml":
                self._answer(200, {"errors": [], "warnings": []})
            elif self.path.endswith("/info/lfs/objects/batch"):
                self._answer(200, {"transfer": "basic", "objects": list(map(self._lfs, json.loads(body)["objects"]))})
            elif "/preupload/" in self.path:
                modes = [
                    {
                        "path": file["path"],
                        "uploadMode": "lfs" if file["path"].endswith(_LARGE) else "regular",
                        "shouldIgnore": False,
                    }
                    for file in json.loads(body)["files"]
                ]
                self._answer(200, {"files": modes})
            else:
                self._commit(body)

        def do_PUT(self) -> None:
            body, name = self._body(), self.path.rpartition("/")[2]
            if name in hub.refused or hashlib.sha256(body).hexdigest() != name:
                self._answer(403, {"error": "not taken"})
                return
            hub.large[name] = body
            hub.received[name] += 1
            self._answer(200, {})

        def do_GET(self) -> None:
            files = self._repository().files
            if "/tree/" in self.path:
                self._answer(200, [{"type": "file", "path": path, "size": 1, "oid": "0"} for path in files])
            else:
                self._answer(200, {"id": "me/it", "sha": "0", "siblings": [{"rfilename": path} for path in files]})

        def _lfs(self, asked: dict[str, Any]) -> dict[str, Any]:
            if asked["oid"] in hub.large:
                return asked
            return asked | {"actions": {"upload": {"href": f"{hub.address}/store/{asked['oid']}"}}}

        def _repository(self) -> Repository:
            kind, owner, name = self.path.partition("?")[0].removeprefix("/api/").split("/")[:3]
            return hub.repositories[f"{'datasets/' if kind == 'datasets' else ''}{owner}/{name}"]

        def _commit(self, body: bytes) -> None:
            repository = self._repository()
            changes: dict[str, bytes | None] = {}
            for operation in map(json.loads, body.splitlines()):
                value = operation["value"]
                if operation["key"] == "deletedFile":
                    changes[value["path"]] = None
                elif operation["key"] == "file":
                    changes[value["path"]] = base64.b64decode(value["content"])
                elif operation["key"] == "lfsFile":
                    changes[value["path"]] = hub.large[value["oid"]]
            for path, content in changes.items():
                if content is None:
                    del repository.files[path]
                else:
                    repository.files[path] = content
            repository.commits.append(sorted(changes))
            number = len(repository.commits)
            self._answer(
                200, {"commitUrl": f"{hub.address}/me/it/commit/{number}", "commitOid": str(number), "success": True}
            )

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers["Content-Length"] or 0))

        def _answer(self, status: int, answer: Any) -> None:
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_address[1]}"
    patch.setattr(huggingface_hub.constants, "ENDPOINT", hub.address)
    patch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    patch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    patch.setenv("HF_TOKEN", hub.token)
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()
