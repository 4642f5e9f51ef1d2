"""A server to look at and a Chromium to look with; shared by the browser tests and the README's picture."""

import contextlib
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

EXAMPLE = Path(__file__).parents[2] / "examples/reading.opus"

START_LIMIT_S = 120  # only for a server that never starts

# A browser that talks to nobody but the server under test.
CHROMIUM_OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """Start the system's Chromium (playwright's own browser is a download, this one is a package)."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "these tests drive Chromium: install the package `chromium`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@contextlib.contextmanager
def evoxtral_serve(*options: str) -> Iterator[str]:
    """Run `evoxtral serve` on a free port; yields its address once it says that it serves."""
    command = [sys.executable, "-m", "evoxtral.cli.main", "serve", "--port", "0", *options]
    environment = os.environ | {"OMP_NUM_THREADS": "2"}
    with subprocess.Popen(command, stderr=subprocess.PIPE, env=environment, text=True) as process:
        try:
            assert process.stderr is not None
            ready, _, _ = select.select([process.stderr], [], [], START_LIMIT_S)
            line = process.stderr.readline() if ready else "(nothing)"
            address = next((word for word in line.split() if word.startswith("http://")), None)
            assert address, f"evoxtral serve said: {line}"
            yield address
        finally:
            process.terminate()


def choose(page: Page, *files: object) -> None:
    """Choose a file as a person does: through the button and the system's dialog."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose a file").click()
    chooser.value.set_files(*files)


def wait_until(page: Page, expression: str) -> None:
    """Wait until an expression holds in the page; Playwright's own way needs an eval, which the page forbids."""
    for _ in range(START_LIMIT_S * 20):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def settle(page: Page) -> None:
    """Wait until everything has faded in."""
    wait_until(
        page, "[...document.querySelectorAll('main :is(div, span, p)')].every(e => getComputedStyle(e).opacity === '1')"
    )
