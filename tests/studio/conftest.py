"""Pages of the built Studio in a real browser, before a server whose engine says what it is told."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect
from studio_browser import chromium

from evoxtral.server.app import create_app
from evoxtral.server.settings import STUDIO_FOLDER, Settings
from running_server import serve_app

MAX_UPLOAD_BYTES = 2**20

# Only for a test that has failed already: a busy machine may take its time.
expect.set_options(timeout=60_000)


@pytest.fixture(scope="session", autouse=True)
def built_studio() -> None:
    assert (STUDIO_FOLDER / "index.html").is_file(), "the Studio is not built: run `make studio`"


# Not for the session: while playwright runs, its event loop occupies the thread, and other rooms' tests need theirs.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def address(scripted_engine) -> Iterator[str]:
    with serve_app(create_app(Settings(max_upload_bytes=MAX_UPLOAD_BYTES), engine=scripted_engine)) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The Studio, freshly opened and in touch with its server; no error may reach its console unexpectedly."""
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    page.get_by_text("model test").wait_for()
    yield page
    context.close()
    assert not errors
