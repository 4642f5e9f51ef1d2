"""The Studio before a server that asks for a key: it is entered once, opens everything, and is seen nowhere."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect
from studio_browser import AXE, assert_accessible, choose, keep_transcript

from evoxtral.server.app import create_app
from evoxtral.server.settings import Settings
from running_server import serve_app
from scripted_engine import ScriptedEngine

pytestmark = pytest.mark.browser

KEY = "a-key-that-nobody-sees"
HEADERS = {"Authorization": f"Bearer {KEY}"}


@pytest.fixture(scope="module")
def locked(tmp_path_factory) -> Iterator[str]:
    settings = Settings(api_keys=("another", KEY), store=str(tmp_path_factory.mktemp("locked")))
    with serve_app(create_app(settings, engine=ScriptedEngine())) as address:
        yield address


@pytest.fixture
def context(browser) -> Iterator[BrowserContext]:
    context = browser.new_context(permissions=["microphone"], viewport={"width": 1280, "height": 800})
    yield context
    context.close()


def enter(page: Page, key: str) -> None:
    page.get_by_label("Key", exact=True).fill(key)
    page.get_by_role("button", name="Open").click()


def test_a_key_opens_everything_and_is_seen_nowhere(context, locked, clip_file):
    page = context.new_page()
    seen = []
    page.on("request", lambda request: seen.append(request.url))
    page.on("websocket", lambda socket: seen.append(socket.url))
    page.on("console", lambda message: seen.append(message.text))
    page.goto(locked)
    expect(page.get_by_role("heading", name="This server asks for a key")).to_be_visible()
    expect(page.get_by_role("button", name="Choose files")).to_have_count(0)
    enter(page, "wrong")
    expect(page.get_by_text("That is none of this server's keys.")).to_be_visible()
    enter(page, KEY)

    choose(page, clip_file)
    text = page.get_by_label("Transcript text")
    expect(text.locator(".segment-text")).to_have_text("[excited] It WORKS! [laughs]")
    expect(page.locator("[role=slider] canvas").first).to_be_attached()  # its levels came
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("slider", name="Position")).not_to_have_attribute("aria-valuenow", "0")  # its sound came
    page.get_by_role("button", name="Export").click()
    with page.expect_download() as download:
        page.get_by_role("menuitem", name="Word").click()
    assert download.value.path().stat().st_size > 0

    page.get_by_role("link", name="Record").first.click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("log", name="Live transcript")).to_contain_text("It WORKS!")
    page.get_by_role("button", name="Stop").click()
    expect(text.locator(".segment-text").first).to_contain_text("It WORKS!")

    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")
    assert KEY not in stored
    assert not [where for where in seen if KEY in where]
    assert any(where.startswith("ws:") for where in seen)


def test_the_session_lasts_until_one_signs_out(context, locked, spoken_wav):
    transcript_id = keep_transcript(locked, spoken_wav, "Only for me", name="mine.wav", headers=HEADERS)
    page = context.new_page()
    page.goto(f"{locked}/#/transcript/{transcript_id}")
    enter(page, KEY)
    expect(page.get_by_label("Transcript text")).to_contain_text("Only for me")  # where one wanted to go
    page.reload()
    expect(page.get_by_label("Transcript text")).to_contain_text("Only for me")
    page.get_by_role("link", name="Library").click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="This server asks for a key")).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="This server asks for a key")).to_be_visible()
    expect(page.get_by_text("mine.wav")).to_have_count(0)


def test_what_was_written_outlives_a_session_that_ends(context, locked, spoken_wav):
    transcript_id = keep_transcript(locked, spoken_wav, "Before", headers=HEADERS)
    page = context.new_page()
    page.goto(f"{locked}/#/transcript/{transcript_id}")
    enter(page, KEY)
    text = page.get_by_label("Transcript text")
    text.wait_for()
    context.clear_cookies()
    page.get_by_role("button", name="Edit", exact=True).click()
    text.press("End")
    page.keyboard.type(" and after")
    expect(page.get_by_role("heading", name="The server asks for your key again")).to_be_visible()
    enter(page, KEY)
    kept = page.expect_response(lambda answer: answer.request.method == "PUT" and answer.ok)
    with kept:
        pass
    expect(text).to_contain_text("Before and after")
    page.reload()
    expect(text).to_contain_text("Before and after")


def test_a_browser_that_keeps_no_cookies_is_told_so(context, locked):
    page = context.new_page()
    page.route("**/session", lambda route: route.fulfill(status=204))  # an answer whose cookie is dropped
    page.goto(locked)
    enter(page, KEY)
    expect(page.get_by_text("The browser did not keep the session.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [375, 1280])
def test_the_page_that_asks_is_accessible_and_fits(browser, locked, scheme, width):
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, bypass_csp=True)
    page = context.new_page()
    page.goto(locked)
    page.add_script_tag(path=AXE)
    page.get_by_label("Key", exact=True).wait_for()
    assert_accessible(page, width)
    enter(page, "wrong")
    page.get_by_text("That is none of this server's keys.").wait_for()
    assert_accessible(page, width)
    enter(page, KEY)
    page.get_by_role("button", name="Sign out").wait_for()
    assert_accessible(page, width)
    context.close()
