"""Stores on both databases: each test with `store` runs on SQLite and on a PostgreSQL of its own."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import create_engine, text

from evoxtral.server.store.opening import Store, open_store
from postgres_server import running_postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL server that ends with the tests."""
    with running_postgres() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request, tmp_path) -> Iterator[str]:
    """Where an empty store may be: a folder, or the URL of an empty database."""
    if request.param == "sqlite":
        yield str(tmp_path / "store")
        return
    url = request.getfixturevalue("postgres")
    name = f"test_{secrets.token_hex(6)}"
    engine = create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield url.rpartition("/")[0] + f"/{name}"
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def opened(place, tmp_path) -> Iterator[Callable[..., Store]]:
    """Opens the store, as often as a test likes: each is as another process would have it."""
    stores: list[Store] = []

    def open_it(**retention) -> Store:
        stores.append(open_store(place, tmp_path / "files", **retention))
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(opened) -> Store:
    return opened()
