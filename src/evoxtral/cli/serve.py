"""`evoxtral serve`: opens the socket, loads the model and runs the server until it is stopped."""

import contextlib
import socket
from functools import partial
from typing import TYPE_CHECKING

import click

from evoxtral.cli.options import ChosenModel, model_options
from evoxtral.server.settings import Settings
from evoxtral.server.store.place import NO_STORE
from evoxtral.tags.dialect_table import DIALECTS

if TYPE_CHECKING:
    from fastapi import FastAPI

MEBIBYTE = 2**20
# What is under way when the server is told to stop has so long to end.
_SHUTDOWN_S = 10
# A process that does not answer for so long is replaced; one that loads its model is busy.
_HANGS_AFTER_S = 120


@click.command()
@model_options(Settings().model)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on; 0 for any free one.")
@click.option(
    "--max-upload-mib",
    type=click.IntRange(min=1),
    default=Settings().max_upload_bytes // MEBIBYTE,
    show_default=True,
    help="Largest upload, in MiB.",
)
@click.option(
    "--store",
    "kept_at",
    metavar="PLACE",
    help="Where transcripts and their audio are kept: a folder, or the URL of a SQLite or PostgreSQL database."
    "  [default: the user's data folder]",
)
@click.option("--no-store", is_flag=True, help="Keep nothing.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="Processes that share the socket and the store; each loads the model.",
)
@click.option(
    "--dialect",
    type=click.Choice(list(DIALECTS)),
    default=Settings().dialect,
    show_default=True,
    help="How tags are written in answers of POST /transcribe that name no dialect.",
)
def command(
    chosen: ChosenModel,
    host: str,
    port: int,
    max_upload_mib: int,
    kept_at: str | None,
    no_store: bool,
    workers: int,
    dialect: str,
) -> None:
    """Serve transcription, speech and the Studio over HTTP."""
    if kept_at is not None and no_store:
        raise click.UsageError("--store and --no-store contradict each other")
    import uvicorn
    from uvicorn.supervisors import Multiprocess

    # The socket first: a port that is taken shows at once, and a client that comes early waits for the model.
    with open_socket(host, port) as listener:
        hosts = () if host in ("127.0.0.1", "localhost", "::1") else ("*",) if host in ("0.0.0.0", "::") else (host,)  # noqa: S104
        settings = Settings(model=chosen.model, max_upload_bytes=max_upload_mib * MEBIBYTE, dialect=dialect)
        places = {"store": NO_STORE if no_store else kept_at} if no_store or kept_at else {}
        settings = settings.model_copy(update={"allowed_hosts": (*settings.allowed_hosts, *hosts), **places})
        kept_in = where_kept(settings)
        app = partial(make_app, settings, chosen) if workers > 1 else make_app(settings, chosen)
        config = uvicorn.Config(
            app,
            factory=workers > 1,
            log_level="warning",
            timeout_graceful_shutdown=_SHUTDOWN_S,
            timeout_worker_healthcheck=_HANGS_AFTER_S,
            workers=workers,
        )
        shown_host = f"[{host}]" if ":" in host else host
        click.echo(f"Evoxtral serves at http://{shown_host}:{listener.getsockname()[1]} (Ctrl-C stops it)", err=True)
        click.echo(f"Transcripts are kept in {kept_in}" if kept_in else "Nothing is kept", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            if workers > 1:
                Multiprocess(config, sockets=[listener]).run()
            else:
                uvicorn.Server(config).run(sockets=[listener])


def make_app(settings: Settings, chosen: ChosenModel) -> "FastAPI":
    """The application with its model; each process makes its own."""
    from evoxtral.server.app import create_app

    return create_app(settings, engine=chosen.load())


def where_kept(settings: Settings) -> str | None:
    """Open the store once, so that what is wrong with it shows before anything is served; None for no store."""
    from evoxtral.server.app import open_store_of

    store = open_store_of(settings)
    if store is None:
        return None
    store.close()
    return store.shown


def open_socket(host: str, port: int) -> socket.socket:
    """Listen at host and port.

    Raises:
        click.ClickException: the address cannot be had.
    """
    try:
        return socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        message = f"cannot listen on {host} port {port}: {error} (choose another with --host and --port)"
        raise click.ClickException(message) from error
