"""Film a walk through the Studio: a message is spoken, read, corrected and spoken again. Run by `make studio-walk`.

The page, the server and the packaged model are the real ones; the microphone hears examples/message.opus. Waiting is
cut short, and the recording is shown faster than it was.

Usage: python tests/studio/walk.py FILE.webp
"""

import io
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
from PIL import Image
from playwright.sync_api import Locator, Page
from studio_browser import EXAMPLE, chromium, evoxtral_serve, settle

from evoxtral.audio import SAMPLE_RATE_HZ, load_audio

SPOKEN = EXAMPLE.with_name("message.opus")
VIEW = {"width": 1120, "height": 700}
FILM_PX = (960, 600)
COMPARISON_PX = 330  # how far down the comparison stands
SHOT_EVERY_S = 0.2
LONGEST_STILL_S = 0.7  # in which nothing happens
LONGEST_WAIT_S = 1.2  # in which something turns
WEBP_QUALITY = 80
MODEL_LIMIT_MS = 120_000

# A dot where the mouse is, which a picture of a page lacks, and a word on what is being done.
GUIDE = """addEventListener("DOMContentLoaded", () => {
    const add = style => document.documentElement.appendChild(Object.assign(document.createElement("div"), { style }));
    const dot = add("position:fixed;z-index:99;width:20px;height:20px;margin:-12px;border-radius:50%;left:-50px;" +
        "background:rgb(190 70 20/.3);border:2px solid rgb(190 70 20);pointer-events:none");
    addEventListener("mousemove", ({ clientX, clientY }) => {
        dot.style.left = `${clientX}px`;
        dot.style.top = `${clientY}px`;
    }, true);
    addEventListener("mousedown", () => { dot.style.scale = .6; }, true);
    addEventListener("mouseup", () => { dot.style.scale = 1; }, true);
    const caption = add("position:fixed;z-index:98;top:15px;left:50%;translate:-50%;padding:6px 18px;" +
        "border-radius:99px;background:#2a211c;color:#fff;font:500 15px 'Instrument Sans Variable',sans-serif;" +
        "pointer-events:none");
    window.caption = text => { caption.textContent = text; };
})"""


class Film:
    """Pictures of a page and how long each is shown."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self._shots: list[tuple[Image.Image, float]] = []
        self._last_png = b""

    def caption(self, text: str) -> None:
        self.page.evaluate("text => window.caption(text)", text)

    def shoot(self, shown_s: float) -> None:
        """Take a picture; of one like the last, only the time is added, as far as nothing may happen."""
        png = self.page.screenshot()
        if png == self._last_png:
            image, before_s = self._shots.pop()
            self._shots.append((image, max(before_s, min(before_s + shown_s, LONGEST_STILL_S))))
            return
        self._last_png = png
        image = Image.open(io.BytesIO(png)).convert("RGB").resize(FILM_PX, Image.Resampling.LANCZOS)
        self._shots.append((image, shown_s))

    def hold(self, shown_s: float) -> None:
        """Let what stands there be read."""
        settle(self.page)
        self.shoot(0)
        image, before_s = self._shots.pop()
        self._shots.append((image, max(before_s, shown_s)))

    def roll(self, for_s: float, speed: float = 1.0) -> None:
        """Film for a time."""
        now_s = time.monotonic()
        end_s = now_s + for_s
        while now_s < end_s:
            self.page.wait_for_timeout(1000 * SHOT_EVERY_S)
            before_s, now_s = now_s, time.monotonic()
            self.shoot((now_s - before_s) / speed)

    def until(self, there: Locator) -> None:
        """Wait until something can be seen; of a long wait the beginning is filmed."""
        end_s = time.monotonic() + LONGEST_WAIT_S
        while not there.is_visible() and time.monotonic() < end_s:
            self.roll(SHOT_EVERY_S)
        there.wait_for(timeout=MODEL_LIMIT_MS)

    def click(self, target: Locator) -> None:
        """Go to the middle of something with the mouse, and press."""
        target.scroll_into_view_if_needed()
        box = target.bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        self.hold(0.4)
        self.page.mouse.down()
        self.shoot(0.15)
        self.page.mouse.up()

    def type(self, text: str) -> None:
        for letter in text:
            self.page.keyboard.type(letter)
            self.shoot(0.2)

    def save(self, path: Path) -> None:
        first, *rest = (image for image, _ in self._shots)
        times_ms = [max(1, round(1000 * shown_s)) for _, shown_s in self._shots]
        options = {"duration": times_ms, "quality": WEBP_QUALITY, "method": 4, "loop": 0}
        first.save(path, save_all=True, append_images=rest, minimize_size=True, **options)
        size = path.stat().st_size // 1000
        print(f"{path}: {len(times_ms)} pictures, {sum(times_ms) / 1000:.1f} s, {size} kB")


def record(film: Film, for_s: float) -> None:
    page = film.page
    film.caption("Record")
    film.hold(0.3)
    film.click(page.get_by_role("button", name="Start"))
    page.get_by_role("button", name="Stop").wait_for()
    film.roll(for_s, speed=3)
    film.until(page.get_by_role("log", name="Live transcript").locator(".segment").first)
    film.roll(0.6)
    film.click(page.get_by_role("button", name="Stop"))
    film.until(page.get_by_label("Transcript text"))


def read(film: Film) -> None:
    page = film.page
    film.caption("Read how it was said")
    page.locator("[role=slider] canvas").first.wait_for()
    film.hold(1.2)
    film.click(page.get_by_role("button", name="Play"))
    film.roll(2.5)
    page.get_by_role("button", name="Pause").click()


def edit(film: Film) -> None:
    page = film.page
    film.caption("Correct a tag")
    film.click(page.get_by_role("button", name="Edit", exact=True))
    line = page.get_by_label("Transcript text").locator(".segment-text").last
    film.click(line)
    page.keyboard.press("Home")
    if line.inner_text().startswith("["):
        page.keyboard.press("Delete")
        film.hold(0.5)
    film.type("[sad")
    page.keyboard.press("Enter")
    film.until(page.get_by_text("Saved", exact=True))
    film.hold(1)


def respeak(film: Film) -> None:
    page = film.page
    film.caption("Hear it spoken again")
    film.click(page.get_by_role("link", name="Re-speak"))
    page.get_by_label("Voice").wait_for()
    film.click(page.get_by_role("button", name="Speak"))
    film.until(page.get_by_role("button", name="Re-spoken"))
    page.locator("svg[role=img] path[d^=M]").first.wait_for(state="attached", timeout=MODEL_LIMIT_MS)
    film.hold(0.5)
    page.mouse.wheel(0, COMPARISON_PX)
    film.hold(0.5)
    film.click(page.get_by_role("button", name="Play"))
    film.roll(2)
    film.click(page.get_by_role("button", name="Re-spoken"))
    film.roll(2.5)
    film.hold(1.2)


def main(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        spoken = load_audio(SPOKEN)
        heard = Path(scratch) / "heard.wav"
        soundfile.write(heard, np.concatenate([np.zeros(SAMPLE_RATE_HZ // 2, np.float32), spoken]), SAMPLE_RATE_HZ)
        microphone = f"--use-file-for-fake-audio-capture={heard}%noloop"
        with (
            evoxtral_serve("--store", f"{scratch}/store") as address,
            chromium("--use-fake-device-for-media-stream", microphone) as browser,
        ):
            context = browser.new_context(viewport=VIEW, color_scheme="light", permissions=["microphone"])
            page = context.new_page()
            page.add_init_script(GUIDE)
            page.goto(f"{address}/#/record")
            page.get_by_text("model edge").wait_for()
            film = Film(page)
            record(film, for_s=len(spoken) / SAMPLE_RATE_HZ + 3)
            read(film)
            edit(film)
            respeak(film)
            film.save(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
