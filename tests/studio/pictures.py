"""Make the README's pictures and its walk, of real recordings by the packaged model. Run by `make studio-images`.

Usage: python tests/studio/pictures.py FOLDER
"""

import sys
import tempfile
from pathlib import Path

import av
from PIL import Image
from playwright.sync_api import Browser, Page
from studio_browser import EXAMPLE, choose, chromium, evoxtral_serve, settle

MESSAGE = EXAMPLE.with_name("message.opus")
DESKTOP = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 760}
WALK = {"width": 1120, "height": 700}
WALK_FRAME_MS = 200
MODEL_LIMIT_MS = 120_000


class Walk:
    """Frames of an animated WebP; a frame that looks like the last one makes that one longer."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.durations_ms: list[int] = []

    def look(self, for_ms: int) -> None:
        """Take pictures of the page for a while."""
        for _ in range(max(1, for_ms // WALK_FRAME_MS)):
            with tempfile.NamedTemporaryFile(suffix=".png") as file:
                self.page.screenshot(path=file.name)
                frame = Image.open(file.name).convert("RGB").resize((WALK["width"] * 3 // 4, WALK["height"] * 3 // 4))
            if self.frames and self.frames[-1].tobytes() == frame.tobytes():
                self.durations_ms[-1] += WALK_FRAME_MS
            else:
                self.frames.append(frame)
                self.durations_ms.append(WALK_FRAME_MS)
            self.page.wait_for_timeout(WALK_FRAME_MS)

    def save(self, path: Path) -> None:
        first, *rest = self.frames
        first.save(path, save_all=True, append_images=rest, duration=self.durations_ms, loop=0, quality=60, method=4)


def as_wav(recording: Path, path: Path) -> None:
    """Chromium's microphone hears WAV files only."""
    with av.open(recording) as source, av.open(path, "w") as target:
        stream = target.add_stream("pcm_s16le", rate=48_000)
        for frame in source.decode(audio=0):
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))


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


def take_pictures(browser: Browser, address: str, folder: Path) -> None:
    page = browser.new_page(viewport=DESKTOP, device_scale_factor=1.5, color_scheme="light")
    transcript = upload(page, address)
    page.get_by_role("slider", name="Position").press("ArrowRight")
    settle(page)
    page.screenshot(path=folder / "studio.png")
    respeak(page)
    settle(page)
    page.screenshot(path=folder / "studio-respeak.png")
    phone = browser.new_page(viewport=PHONE, device_scale_factor=2, color_scheme="dark")
    phone.goto(transcript)
    phone.get_by_label("Transcript text").wait_for()
    phone.get_by_role("slider", name="Position").press("ArrowRight")
    settle(phone)
    phone.screenshot(path=folder / "studio-phone.png")


def take_walk(browser: Browser, address: str, path: Path) -> None:
    """Recording, tags, an edit, and the text spoken again."""
    page = browser.new_context(viewport=WALK, color_scheme="light", permissions=["microphone"]).new_page()
    walk = Walk(page)
    page.goto(f"{address}/#/record")
    page.get_by_role("button", name="Start").click()
    page.locator("[data-live]").first.wait_for(timeout=MODEL_LIMIT_MS)
    walk.look(for_ms=5000)
    page.get_by_role("button", name="Stop").click()
    text = page.get_by_label("Transcript text")
    text.wait_for(timeout=MODEL_LIMIT_MS)
    settle(page)
    walk.look(for_ms=1200)
    page.get_by_role("button", name="Edit", exact=True).click()
    text.locator(".segment-text").first.click()
    page.keyboard.press("End")
    for character in " [wh":
        page.keyboard.type(character)
        walk.look(for_ms=WALK_FRAME_MS)
    walk.look(for_ms=800)
    page.keyboard.press("Enter")
    page.get_by_text("Saved", exact=True).wait_for()
    walk.look(for_ms=1200)
    respeak(page)
    settle(page)
    walk.look(for_ms=1000)
    page.get_by_role("button", name="Play").click()
    walk.look(for_ms=2000)
    page.keyboard.press("b")
    walk.look(for_ms=2500)
    walk.save(path)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        heard = Path(scratch) / "heard.wav"
        as_wav(MESSAGE, heard)
        options = ("--use-fake-device-for-media-stream", f"--use-file-for-fake-audio-capture={heard}")
        with evoxtral_serve("--store", f"{scratch}/store") as address, chromium(*options) as browser:
            take_pictures(browser, address, folder)
            take_walk(browser, address, folder / "studio-walk.webp")
    for path in sorted(folder.glob("studio*")):
        print(f"{path}: {path.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
