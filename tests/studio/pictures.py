"""Make the README's pictures, of a real recording by the packaged model. Run by `make studio-images`.

Usage: python tests/studio/pictures.py FOLDER
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page
from studio_browser import EXAMPLE, choose, chromium, evoxtral_serve, settle

DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 760}
MODEL_LIMIT_MS = 120_000


def upload(page: Page, address: str) -> str:
    """Have the example transcribed; the address of its transcript."""
    page.goto(address)
    choose(page, EXAMPLE)
    page.get_by_label("Transcript text").wait_for(timeout=MODEL_LIMIT_MS)
    return page.url


def respeak(page: Page) -> None:
    page.get_by_role("link", name="Re-speak").click()
    page.get_by_role("button", name="Speak").click()
    page.locator("svg[role=img] path[d^=M]").first.wait_for(state="attached", timeout=MODEL_LIMIT_MS)


def go_on_a_second(page: Page) -> None:
    """Move the playhead off the start, in a waveform that is there."""
    page.get_by_role("slider", name="Position").press("ArrowRight")
    page.locator("[role=slider] canvas").first.wait_for()
    settle(page)


def take_pictures(browser: Browser, address: str, folder: Path) -> None:
    page = browser.new_page(viewport=DESKTOP, device_scale_factor=1.5, color_scheme="light")
    transcript = upload(page, address)
    go_on_a_second(page)
    page.screenshot(path=folder / "studio.png")
    respeak(page)
    settle(page)
    page.screenshot(path=folder / "studio-respeak.png")
    phone = browser.new_page(viewport=PHONE, device_scale_factor=2, color_scheme="dark")
    phone.goto(transcript)
    phone.get_by_label("Transcript text").wait_for()
    go_on_a_second(phone)
    phone.screenshot(path=folder / "studio-phone.png")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as scratch,
        evoxtral_serve("--store", f"{scratch}/store") as address,
        chromium() as browser,
    ):
        take_pictures(browser, address, folder)
    for path in sorted(folder.glob("studio*")):
        print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
