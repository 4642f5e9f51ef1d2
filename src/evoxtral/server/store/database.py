"""Connections to the store's database: how SQLite and PostgreSQL are opened, brought up to date, read and written.

Knows the two systems; nothing of what the tables are for.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, create_engine, event, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from evoxtral.server.store.errors import StoreError

# A writer waits so long for another one.
_BUSY_TIMEOUT_S = 60
# Keys of PostgreSQL's advisory locks: any numbers that nobody else uses.
_MIGRATION_LOCK, _FILES_LOCK = 0x45766F78, 0x45766F79


class Database:
    """The database of one store, open and up to date.

    Raises:
        StoreError: it cannot be reached, its driver is missing, or it is of a newer version.
    """

    def __init__(self, url: URL) -> None:
        self.shown = url.render_as_string(hide_password=True)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        try:
            if self.is_sqlite:
                self._engine = _sqlite_engine(url)
                # Only one process at a time turns the write-ahead log on and brings the tables up to date.
                with FileLock(f"{url.database}.opening"):
                    self._prepare()
            else:
                self._engine = _postgres_engine(url)
                self._prepare()
        except (SQLAlchemyError, OSError) as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())[:200]
            raise StoreError(
                f"{self.shown}: the store cannot be opened: {cause}", "name another with --store, or use --no-store"
            ) from error
        except CommandError as error:
            raise StoreError(
                f"{self.shown}: the store was written by a newer version of Evoxtral", "update Evoxtral"
            ) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """One consistent look at the tables."""
        with Session(self._engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def writing(self) -> Iterator[Session]:
        """Changes that are durable when the block has ended, all or none. In SQLite, one writer at a time."""
        with Session(self._engine.execution_options(writes=True), expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def publishing(self) -> Iterator[Session]:
        """`writing` in which files may take their names: `collecting` never runs at the same time."""
        with self.writing() as session:
            if not self.is_sqlite:
                session.execute(select(func.pg_advisory_xact_lock_shared(_FILES_LOCK)))
            yield session

    @contextmanager
    def collecting(self) -> Iterator[Session]:
        """`writing` while no file takes its name."""
        with self.writing() as session:
            if not self.is_sqlite:
                session.execute(select(func.pg_advisory_xact_lock(_FILES_LOCK)))
            yield session

    def _prepare(self) -> None:
        if self.is_sqlite:
            with self._engine.connect() as connection:
                driver: sqlite3.Connection = connection.connection.dbapi_connection  # type: ignore[assignment]
                driver.execute("PRAGMA journal_mode = WAL")
        with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            if not self.is_sqlite:
                connection.execute(select(func.pg_advisory_xact_lock(_MIGRATION_LOCK)))
            migrate(connection)


def migrate(connection: Connection, revision: str = "head") -> None:
    """Bring the tables to a revision, within the transaction of `connection`."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url, connect_args={"timeout": _BUSY_TIMEOUT_S})

    @event.listens_for(engine, "connect")
    def configure(connection: sqlite3.Connection, _: Any) -> None:
        connection.isolation_level = None  # transactions begin below
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA synchronous = FULL")  # what is committed is on disk

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that reads before it writes must not find that another wrote meanwhile.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _postgres_engine(url: URL) -> Engine:
    if find_spec("psycopg") is None:
        raise StoreError("PostgreSQL needs a driver that is not installed", "pip install 'evoxtral[postgres]'")
    return create_engine(url, pool_pre_ping=True)
