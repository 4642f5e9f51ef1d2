"""The Studio on every screen, in both themes and with every aid; and what it costs to open it."""

import gzip
import re

import httpx
import pytest
from playwright.sync_api import expect
from studio_browser import AXE, assert_accessible, choose, keep_transcript, open_transcript, settle

from evoxtral.server.settings import STUDIO_FOLDER

pytestmark = pytest.mark.browser

MAX_FIRST_SCRIPTS_BYTES = 300_000

LINES = (
    "SPEAKER_1: [excited] It WORKS! [giggles] So [pause] [whispers] listen:",
    "SPEAKER_2: [rings a bell] Really?",
)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_views_are_accessible_fit_and_ask_nobody_else(browser, server, spoken_wav, scheme, width):
    transcript_id = keep_transcript(server.address, spoken_wav, *LINES)
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.address)
    page.add_script_tag(path=AXE)
    expect(page.get_by_role("link", name="kept.wav").first).to_be_visible()
    assert_accessible(page, width)

    choose(page, {"name": "broken.wav", "mimeType": "audio/wav", "buffer": b"this is no audio"})
    page.get_by_text("Could not transcribe").wait_for()
    assert_accessible(page, width)

    text = open_transcript(page, server.address, transcript_id)
    assert_accessible(page, width)
    page.get_by_role("button", name="Edit", exact=True).click()
    text.press("End")
    page.keyboard.type(" [")
    page.get_by_role("listbox", name="Tags").wait_for()
    page.get_by_text("Saved", exact=True).wait_for()
    assert_accessible(page, width)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+f")
    page.get_by_role("search", name="Find and replace").wait_for()
    assert_accessible(page, width)
    page.get_by_role("button", name="Close find").click()
    page.get_by_role("button", name="More", exact=True).click()
    page.get_by_role("menuitem", name="Keyboard").click()
    page.get_by_role("dialog", name="Keyboard").wait_for()
    assert_accessible(page, width)
    page.keyboard.press("Escape")

    page.get_by_role("link", name="Re-speak").click()
    page.get_by_label("Voice").wait_for()
    assert_accessible(page, width)
    page.get_by_role("link", name="Record").first.click()
    page.get_by_role("button", name="Start").wait_for()
    assert_accessible(page, width)
    assert [url for url in asked if not url.startswith((server.address, f"blob:{server.address}"))] == []
    context.close()


def test_nothing_jumps_while_the_page_and_a_transcript_open(browser, server, spoken_wav):
    transcript_id = keep_transcript(server.address, spoken_wav, *LINES)
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    page.add_init_script(
        """window.shifts = [];
        new PerformanceObserver(list => list.getEntries().forEach(entry => {
            if (!entry.hadRecentInput) window.shifts.push(entry.value);
        })).observe({ type: "layout-shift", buffered: true });"""
    )
    for address in (server.address, f"{server.address}/#/transcript/{transcript_id}"):
        page.goto("about:blank")
        page.goto(address)
        page.get_by_text("kept.wav" if address == server.address else "Really?").first.wait_for()
        settle(page)
        assert sum(page.evaluate("window.shifts")) < 0.05  # up to 0.1 is what web.dev calls good
    page.close()


def test_the_theme_follows_the_system_until_it_is_chosen(browser, server):
    page = browser.new_page(color_scheme="dark")
    page.goto(server.address)
    page_color = "getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(page_color) == "dark"
    page.get_by_role("button", name="Switch between dark and light").click()
    assert page.evaluate(page_color) == "light"
    page.reload()
    assert page.evaluate(page_color) == "light"
    page.close()


def test_the_first_page_loads_few_scripts(server):
    page = httpx.get(server.address).text
    scripts = set(re.findall(r'/_next/static/[^"\\]+\.js', page))
    assert scripts
    total = sum(len(gzip.compress((STUDIO_FOLDER / path.lstrip("/")).read_bytes())) for path in scripts)
    assert total <= MAX_FIRST_SCRIPTS_BYTES


def test_only_the_pages_own_scripts_may_run(browser, server):
    policy = httpx.get(server.address).headers["content-security-policy"]
    scripts = next(rule for rule in policy.split("; ") if rule.startswith("script-src"))
    assert "'unsafe-inline'" not in scripts
    assert "'sha256-" in scripts  # that those are the right ones, every other test shows
    page = browser.new_page()
    page.goto(server.address)
    page.evaluate("document.head.append(Object.assign(document.createElement('script'), { text: 'window.ran = 1' }))")
    assert page.evaluate("window.ran") is None
    page.close()
