"""`evoxtral listen`: live transcription of a microphone, or of a recording played in real time.

Speaks the streaming protocol to a server: the one that is named, or one of its own on this machine. Knows how events
are shown; nothing of how they come about.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import click

from evoxtral.cli.options import ChosenModel, keywords_option, model_options

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from pydantic import SecretStr

    from evoxtral.client import Final, Partial, StreamEvent

# How much of a recording is sent at a time.
_PACKET_S = 0.05


@click.command()
@click.argument("file", required=False)
@model_options()
@click.option("--server", metavar="URL", help="A running server, such as http://127.0.0.1:8000.  [default: none]")
@click.option("--device", metavar="D", help="The microphone, by number or part of its name.  [default: the system's]")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["txt", "json"]),
    default="txt",
    show_default=True,
    help="Tagged text, a line an utterance; every event of the stream as a line of JSON.",
)
@keywords_option
@click.option("--diarize", is_flag=True, help="Tell speakers apart.")
@click.option("--language", default="en", show_default=True, metavar="CODE", help="Spoken language (ISO 639-1).")
def command(
    file: str | None,
    chosen: ChosenModel,
    server: str | None,
    device: str | None,
    output_format: str,
    keywords: tuple[str, ...],
    diarize: bool,
    language: str,
) -> int:
    """Transcribe the microphone while somebody speaks, or FILE as fast as it was spoken.

    On a terminal the utterance that is being spoken is shown as it grows: what is certain bright, what may still change
    dim. Ctrl-C ends it: what was said until then is transcribed. Exit code 1: some utterances failed.

    \b
    evoxtral listen
    evoxtral listen talk.mp3 --server http://127.0.0.1:8000 --format json
    """
    from pathlib import Path

    if file is not None and device is not None:
        raise click.UsageError("FILE and --device are two sources")
    if file is not None and not Path(file).exists():
        raise click.UsageError(f"{file}: is not there")
    from evoxtral.inference.keywords import split_keywords

    wanted = {"diarize": diarize, "language": language, "keywords": split_keywords(keywords)}
    show: _Show = _JsonLines() if output_format == "json" else _Terminal() if sys.stdout.isatty() else _Lines()
    with ExitStack() as stack:
        address, key = server, None
        if address is None:
            from evoxtral.server.local import serve_locally

            local = stack.enter_context(serve_locally(chosen.load()))
            address, key = local.address, local.api_key
        stack.enter_context(show)
        source = _play(file) if file is not None else _record(device)
        return asyncio.run(_listen(source, address, key, show, wanted))


Source = Callable[[asyncio.Event], "AsyncIterator[int | bytes | NDArray[np.float32]]"]
"""Gives the sample rate and then sound, until there is no more or the event is set."""


def _play(file: str) -> Source:
    """A recording at its own pace: each packet comes when its last sample would have been heard."""

    async def play(stop: asyncio.Event) -> "AsyncIterator[int | bytes | NDArray[np.float32]]":
        from evoxtral.audio import SAMPLE_RATE_HZ, open_audio

        loop = asyncio.get_running_loop()
        with open_audio(file) as reader:
            yield SAMPLE_RATE_HZ
            packets = reader.blocks(_PACKET_S)
            started_s, sent = loop.time(), 0
            while (packet := await asyncio.to_thread(next, packets, None)) is not None:
                sent += len(packet)
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(started_s + sent / SAMPLE_RATE_HZ):
                        await stop.wait()
                        return
                yield packet

    return play


def _record(device: str | None) -> Source:
    async def record(stop: asyncio.Event) -> "AsyncIterator[int | bytes | NDArray[np.float32]]":
        from evoxtral.audio.microphone import open_microphone

        loop = asyncio.get_running_loop()
        packets: asyncio.Queue[bytes | None] = asyncio.Queue()
        with open_microphone(lambda packet: _call(loop, packets.put_nowait, packet), device) as rate_hz:
            yield rate_hz
            stopped = asyncio.ensure_future(stop.wait())
            stopped.add_done_callback(lambda _: packets.put_nowait(None))
            try:
                while (packet := await packets.get()) is not None:
                    yield packet
            finally:
                stopped.cancel()

    return record


def _call(loop: asyncio.AbstractEventLoop, function: Callable[..., object], *arguments: object) -> None:
    with suppress(RuntimeError):  # the loop has ended, and nobody listens any more
        loop.call_soon_threadsafe(function, *arguments)


async def _listen(source: Source, address: str, key: "SecretStr | None", show: "_Show", options: dict[str, Any]) -> int:
    """Send sound and show events until both end; gives the exit code."""
    from evoxtral.client import Client, StreamFault

    stop = asyncio.Event()
    failed = False
    with _ctrl_c_sets(stop):
        sound = source(stop)
        rate_hz = await anext(sound)
        assert isinstance(rate_hz, int)
        async with Client(address, api_key=key) as client:
            packets = (packet async for packet in sound if not isinstance(packet, int))
            async for event in client.transcribe_live(packets, sample_rate_hz=rate_hz, **options):
                show.event(event)
                if isinstance(event, StreamFault):
                    failed = True
                    click.echo(f"evoxtral: {event.message}", err=True)
    return 1 if failed else 0


@contextmanager
def _ctrl_c_sets(stop: asyncio.Event) -> Iterator[None]:
    """The first Ctrl-C sets the event, the next one interrupts as ever."""
    loop = asyncio.get_running_loop()

    def interrupt() -> None:
        stop.set()
        loop.remove_signal_handler(signal.SIGINT)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    try:
        loop.add_signal_handler(signal.SIGINT, interrupt)
    except (NotImplementedError, RuntimeError):  # Windows, or not the main thread: Ctrl-C interrupts
        yield
        return
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGINT)


class _Show:
    """What is done with events."""

    def __enter__(self) -> None:
        return

    def __exit__(self, *error: object) -> None:
        return

    def event(self, event: "StreamEvent") -> None:
        raise NotImplementedError


class _JsonLines(_Show):
    def event(self, event: "StreamEvent") -> None:
        click.echo(event.model_dump_json(by_alias=True))
        sys.stdout.flush()


class _Lines(_Show):
    """Finals alone, for other programs."""

    def event(self, event: "StreamEvent") -> None:
        if event.type == "ready":
            click.echo("Listening (Ctrl-C ends).", err=True)
        elif event.type == "final" and event.text:
            click.echo(_line(event))
            sys.stdout.flush()


class _Terminal(_Show):
    """Finals as lines, and below them the utterance that is being spoken."""

    def __enter__(self) -> None:
        from rich.console import Console
        from rich.live import Live

        self._live = Live(console=Console(), auto_refresh=False, transient=True)
        self._live.start()

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def event(self, event: "StreamEvent") -> None:
        from rich.text import Text

        match event.type:
            case "ready":
                self._show(Text("Listening (Ctrl-C ends).", style="dim"))
            case "partial":
                self._show(_growing(event))
            case "final" if event.text:
                self._live.console.print(Text(_line(event)))
                self._show(Text())
            case "speaker_update":
                self._live.console.print(Text(f"(utterance {event.utterance_id}: {event.speaker})", style="dim"))

    def _show(self, text: Any) -> None:
        self._live.update(text, refresh=True)


def _growing(event: "Partial") -> Any:
    from rich.text import Text

    return Text.assemble(event.committed, " " if event.committed else "", (event.tentative, "dim"))


def _line(event: "Final") -> str:
    return event.text if event.speaker is None else f"{event.speaker}: {event.text}"
