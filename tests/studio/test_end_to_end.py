"""The whole product once, as users get it: the wheel, `evoxtral serve` without Node, its model, and a browser."""

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect
from studio_browser import EXAMPLE, choose, evoxtral_serve

from evoxtral.server.settings import STUDIO_FOLDER

ROOT = Path(__file__).parents[2]
MARK = "<!-- from the wheel -->"
MODEL_LIMIT_MS = 120_000  # only for a server that never answers


def files_in(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """What `pip install` of the wheel puts into a folder."""
    built, site = tmp_path_factory.mktemp("built"), tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(built)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = built.glob("evoxtral-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    return site


def test_the_wheel_holds_the_built_page(site):
    assert files_in(site / "evoxtral/server/studio") == files_in(STUDIO_FOLDER)


@pytest.fixture
def address(site, tmp_path, monkeypatch) -> Iterator[str]:
    """A server that runs from the wheel, where no program is found; its page carries a mark."""
    index = site / "evoxtral/server/studio/index.html"
    page = index.read_bytes()
    index.write_bytes(page + MARK.encode())
    with monkeypatch.context() as changed:
        changed.setenv("PYTHONPATH", str(site))
        changed.setenv("PATH", "/nowhere")
        with evoxtral_serve("--store", str(tmp_path)) as address:
            yield address
    index.write_bytes(page)


@pytest.mark.browser
def test_the_bundled_example_becomes_words_and_chips(browser, address):
    assert httpx.get(address).text.endswith(MARK)
    page = browser.new_page()
    page.goto(address)
    choose(page, EXAMPLE)
    text = page.get_by_label("Transcript text")
    text.wait_for(timeout=MODEL_LIMIT_MS)
    heard = httpx.get(f"{address}/transcripts/{page.url.rpartition('/')[2]}").json()["transcript"]
    # What is really said there, whatever the model thinks: a reader, a laugh, and the reader again.
    assert "account of himself" in heard["plain_text"]
    assert [tag["tag"] for tag in heard["tags"]] == ["laughs"]
    expect(text.locator(".segment-text")).to_have_text([segment["text"] for segment in heard["segments"]])
    categories = [chip.get_attribute("data-tag") for chip in text.locator("[data-tag]").all()]
    assert categories == ["non-verbal"]
    page.close()
