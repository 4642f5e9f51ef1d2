"""`evoxtral serve`: opens the socket, loads the model and runs the server until it is stopped."""

import contextlib
import socket

import click

from evoxtral.cli.options import ChosenModel, model_options
from evoxtral.server.settings import Settings

MEBIBYTE = 2**20
# What is under way when the server is told to stop has so long to end.
_SHUTDOWN_S = 10


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
def command(chosen: ChosenModel, host: str, port: int, max_upload_mib: int) -> None:
    """Serve transcription, speech and the Studio over HTTP."""
    import uvicorn

    from evoxtral.server.app import create_app

    # The socket first: a port that is taken shows at once, and a client that comes early waits for the model.
    with open_socket(host, port) as listener:
        hosts = () if host in ("127.0.0.1", "localhost", "::1") else ("*",) if host in ("0.0.0.0", "::") else (host,)  # noqa: S104
        settings = Settings(model=chosen.model, max_upload_bytes=max_upload_mib * MEBIBYTE)
        settings = settings.model_copy(update={"allowed_hosts": (*settings.allowed_hosts, *hosts)})
        app = create_app(settings, engine=chosen.load())
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=_SHUTDOWN_S))
        shown_host = f"[{host}]" if ":" in host else host
        click.echo(f"Evoxtral serves at http://{shown_host}:{listener.getsockname()[1]} (Ctrl-C stops it)", err=True)
        with contextlib.suppress(KeyboardInterrupt):
            server.run(sockets=[listener])


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
