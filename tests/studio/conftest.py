"""The built Studio in a real browser, before a real server whose engine says what it is told."""

import dataclasses
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from studio_browser import chromium

from evoxtral.server.app import create_app
from evoxtral.server.settings import STUDIO_FOLDER, Settings
from running_server import serve_app
from scripted_engine import ScriptedEngine

MAX_UPLOAD_BYTES = 2**20

# Only for a test that has failed already: a busy machine may take its time.
expect.set_options(timeout=60_000)


@dataclasses.dataclass
class StudioServer:
    """A server with a store, shared by all tests, and the engine that they tell what to hear."""

    address: str
    engine: ScriptedEngine


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory) -> Iterator[StudioServer]:
    assert (STUDIO_FOLDER / "index.html").is_file(), "the Studio is not built: run `make studio`"
    settings = Settings(max_upload_bytes=MAX_UPLOAD_BYTES, store=str(tmp_path_factory.mktemp("store")))
    engine = ScriptedEngine()
    with serve_app(create_app(settings, engine=engine)) as address:
        yield StudioServer(address, engine)


@pytest.fixture
def server(shared_server: StudioServer) -> StudioServer:
    """The shared server, with an engine that nobody has told anything."""
    fresh = ScriptedEngine()
    shared_server.engine.text, shared_server.engine.before = fresh.text, fresh.before
    return shared_server


@pytest.fixture
def forgetful_address(tmp_path) -> Iterator[str]:
    """A server that keeps nothing."""
    with serve_app(create_app(Settings(store="none"), engine=ScriptedEngine())) as address:
        yield address


# Not for the session: while playwright runs, its event loop occupies the thread, and other rooms' tests need theirs.
@pytest.fixture(scope="module")
def browser(spoken_wav, tmp_path_factory) -> Iterator[Browser]:
    """A browser whose microphone hears the spoken clip, again and again."""
    heard = tmp_path_factory.mktemp("microphone") / "heard.wav"
    heard.write_bytes(spoken_wav)
    with chromium("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={heard}") as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, server: StudioServer) -> Iterator[Page]:
    """The Studio, freshly opened and in touch with its server; no error may reach its console unexpectedly."""
    context = browser.new_context(
        permissions=["clipboard-read", "clipboard-write", "microphone"], viewport={"width": 1280, "height": 800}
    )
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda message: errors.append(message.text) if "Content Security" in message.text else None)
    page.goto(server.address)
    page.get_by_text("model test").wait_for()
    yield page
    context.close()
    assert not errors


@pytest.fixture
def clip_file(spoken_wav: bytes) -> dict[str, object]:
    return {"name": "my voice.wav", "mimeType": "audio/wav", "buffer": spoken_wav}
