"""A private PostgreSQL for tests: Debian's programs, a cluster in a temporary folder, a user that is not root."""

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Speed over safety: what the tests keep in it need not survive anything.
_OPTIONS = "-c fsync=off -c synchronous_commit=off -c full_page_writes=off -c max_connections=200"


@contextmanager
def running_postgres() -> Iterator[str]:
    """Start a server; yields the URL of its database `postgres`."""
    programs = _find_programs()
    folder = Path(tempfile.mkdtemp(prefix="evoxtral-pg-", dir="/tmp"))  # short: a socket's path has 107 characters
    user = _user()
    if user is not None:
        shutil.chown(folder, user)

    def run(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, *arguments], check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=120
        )

    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    data = str(folder / "data")
    try:
        run("initdb", "--pgdata", data, "--username=evoxtral", "--auth=trust", "--encoding=UTF8", "--no-sync")
        log = str(folder / "log")
        options = f"-p {port} -k {folder} -c listen_addresses=127.0.0.1 {_OPTIONS}"
        run("pg_ctl", "start", "--wait", "--pgdata", data, "--log", log, "--options", options)
        try:
            yield f"postgresql://evoxtral@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--pgdata", data, "--mode", "immediate")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _find_programs() -> Path:
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if versions:
        return versions[-1].parent
    found = shutil.which("initdb")
    assert found, "PostgreSQL is not installed: make .venv/postgres.done, or apt-get install postgresql"
    return Path(found).resolve().parent


def _user() -> str | None:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise AssertionError("there is no user but root to run PostgreSQL as")
