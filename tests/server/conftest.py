"""A running server whose engine says what it is told."""

from collections.abc import Iterator

import pytest
from fastapi.testclient import TestClient

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings


@pytest.fixture
def client(scripted_engine, tmp_path) -> Iterator[TestClient]:
    """A running server without Studio; uploads up to 1 MiB; unexpected errors become answers."""
    app = create_app(
        Settings(max_upload_bytes=2**20, studio=tmp_path / "no-studio", allowed_hosts=("testserver",)),
        engine=scripted_engine,
    )
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def store_client(scripted_engine, tmp_path) -> Iterator[TestClient]:
    """The same with a store."""
    settings = Settings(
        max_upload_bytes=2**20,
        studio=tmp_path / "no-studio",
        allowed_hosts=("testserver",),
        store=str(tmp_path / "store"),
    )
    with TestClient(create_app(settings, engine=scripted_engine), raise_server_exceptions=False) as client:
        yield client
