"""Uploads to a service on 127.0.0.1 that answers as the Hub does."""

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from evoxtral.errors import CorpusError
from evoxtral.hub.publishing import push_dataset


@pytest.fixture
def built(tmp_path: Path) -> Path:
    """A folder with the files of a dataset."""
    folder = tmp_path / "corpus" / "dataset"
    (folder / "data").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlanguage: [en]\n---\n# A dataset\n")
    (folder / "data" / "train-0123-00000-of-00001.parquet").write_bytes(b"PAR1 rows PAR1")
    return folder


class _Hub(BaseHTTPRequestHandler):
    """The requests of the Hub's API that an upload of small files makes."""

    files: dict[str, bytes]
    token = "hf_write"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        here = f"http://{self.headers['Host']}/datasets/me"
        if self.headers["Authorization"] != f"Bearer {self.token}":
            self._answer(401, {"error": "Invalid credentials"})
        elif self.path == "/api/repos/create":
            self._answer(200, {"url": f"{here}/{json.loads(body)['name']}"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif "/preupload/" in self.path:
            asked = json.loads(body)["files"]
            modes = [{"path": file["path"], "uploadMode": "regular", "shouldIgnore": False} for file in asked]
            self._answer(200, {"files": modes})
        else:
            for operation in map(json.loads, body.splitlines()):
                if operation["key"] == "deletedFile":
                    del self.files[operation["value"]["path"]]
                if operation["key"] == "file":
                    self.files[operation["value"]["path"]] = base64.b64decode(operation["value"]["content"])
            self._answer(200, {"commitUrl": f"{here}/it/commit/1", "commitOid": "1", "success": True})

    def do_GET(self) -> None:
        if "/tree/" in self.path:
            listed = [{"type": "file", "path": path, "size": len(self.files[path]), "oid": "0"} for path in self.files]
            self._answer(200, listed)
        else:
            self._answer(200, {"id": "me/it", "sha": "0", "siblings": [{"rfilename": path} for path in self.files]})

    def _answer(self, status: int, answer: Any) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None:
        """Keep the test's output clean."""


@contextmanager
def hub() -> Iterator[tuple[str, dict[str, bytes]]]:
    files: dict[str, bytes] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Hub", (_Hub,), {"files": files}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", files
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_an_upload_carries_the_whole_dataset_and_nothing_of_an_earlier_one(built: Path) -> None:
    with hub() as (address, files):
        files["data/train-4567-00000-of-00001.parquet"] = b"of an earlier build"
        push_dataset(built, "me/it", endpoint=address, token="hf_write")
    expected = {path.relative_to(built).as_posix(): path.read_bytes() for path in built.rglob("*") if path.is_file()}
    assert files == expected


def test_a_hub_that_refuses_is_told_in_one_line(built: Path) -> None:
    with hub() as (address, files), pytest.raises(CorpusError, match="did not take me/it") as error:
        push_dataset(built, "me/it", endpoint=address, token="hf_read_only")
    assert "HF_TOKEN" in str(error.value)
    assert "hf_read_only" not in str(error.value)
    assert "\n" not in str(error.value)
    assert files == {}


def test_nothing_is_pushed_before_it_is_built(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="holds no dataset yet"):
        push_dataset(tmp_path, "me/it")
