"""A server to look at and a Chromium to look with; shared by the browser tests and the README's picture."""

import contextlib
import io
import json
import os
import select
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import soundfile
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from evoxtral.tags import parse

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
def chromium(*options: str) -> Iterator[Browser]:
    """Start the system's Chromium (playwright's own browser is a download, this one is a package)."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert path, "these tests drive Chromium: install the package `chromium`"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=[*CHROMIUM_OPTIONS, *options])
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
    """Choose files as a person does: through the button and the system's dialog."""
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Choose files").click()
    chooser.value.set_files(files[0] if len(files) == 1 else list(files))


def wait_until(page: Page, expression: str) -> None:
    """Wait until an expression holds in the page; Playwright's own way needs an eval, which the page forbids."""
    for _ in range(START_LIMIT_S * 20):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(50)
    raise AssertionError(f"never came true: {expression}")


def settle(page: Page) -> None:
    """Wait until nothing moves any more but what moves for ever."""
    wait_until(
        page,
        "document.getAnimations().every("
        "animation => animation.playState !== 'running' || animation.effect.getTiming().iterations === Infinity)",
    )


AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]


def assert_accessible(page: Page, width: int) -> None:
    """Nothing that axe (a script that the page must have been given) finds fault with, and nothing beside the page."""
    settle(page)
    result = page.evaluate("rules => axe.run({ runOnly: rules })", RULES)
    assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in result["violations"]] == []
    assert any(check["id"] == "color-contrast" for check in result["passes"])
    assert page.evaluate("document.documentElement.scrollWidth") <= width


WORD_S = 0.2


def keep_transcript(
    address: str,
    wav: bytes,
    *lines: str,
    name: str = "kept.wav",
    headers: Mapping[str, str] | None = None,
    confidences: Sequence[float] = (),
) -> str:
    """Have the server keep a transcript of `wav`, a segment a line (`Speaker: text`), a word every 0.2 s; its id."""
    segments: list[dict[str, object]] = []
    words: list[dict[str, object]] = []
    for line in lines:
        speaker, _, text = line.rpartition(": ")
        first = len(words)
        for word in parse(text).words:
            start_s = len(words) * WORD_S
            confidence = confidences[len(words)] if confidences else 0.9
            words.append({"word": word.text, "start_s": start_s, "end_s": start_s + WORD_S, "confidence": confidence})
        times = {"start_s": first * WORD_S, "end_s": len(words) * WORD_S}
        segments.append({**times, "speaker": speaker or None, "text": text, "plain_text": parse(text).plain_text})
    duration_s = soundfile.info(io.BytesIO(wav)).duration
    text = " ".join(str(segment["text"]) for segment in segments)
    made = {"path": name, "model": "test", "engine": "scripted", "language": "en", "duration_s": duration_s}
    transcript = {**made, "text": text, "plain_text": text, "segments": segments, "words": words, "tags": []}
    answer = httpx.post(
        f"{address}/transcripts",
        files={"file": (name, wav, "audio/wav")},
        data={"transcript": json.dumps(transcript)},
        headers=headers,
    )
    answer.raise_for_status()
    return str(answer.json()["id"])


def open_transcript(page: Page, address: str, transcript_id: str) -> Locator:
    """Open a transcript; its text."""
    page.goto(f"{address}/#/transcript/{transcript_id}")
    text = page.get_by_label("Transcript text")
    text.wait_for()
    return text
