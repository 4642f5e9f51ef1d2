"""What the Studio's page does, in a real Chromium, with an engine that says what it is told."""

import json
import threading
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from studio_browser import choose, settle, wait_until

pytestmark = pytest.mark.browser

AXE = Path(__file__).parents[2] / "web/node_modules/axe-core/axe.min.js"

# Every category, an alias, an unknown tag, and stress.
RICH_TEXT = "[excited] It WORKS! [giggles] So [pause] [whispers] listen: [rings a bell] it is NOW..."


@pytest.fixture
def clip_file(spoken_wav: bytes) -> dict[str, object]:
    return {"name": "my voice.wav", "mimeType": "audio/wav", "buffer": spoken_wav}


def chips(page: Page) -> list[tuple[str, str]]:
    found = page.get_by_role("region", name="Transcript").locator("[data-tag]").all()
    return [(chip.get_attribute("data-tag") or "", chip.inner_text()) for chip in found]


def test_tags_are_chips_of_their_category_and_the_rest_is_the_text(page, clip_file, scripted_engine):
    scripted_engine.text = RICH_TEXT
    choose(page, clip_file)
    transcript = page.get_by_role("region", name="Transcript")
    expect(transcript.get_by_role("paragraph")).to_have_text(RICH_TEXT)
    assert chips(page) == [
        ("emotion", "[excited]"),
        ("non-verbal", "[giggles]"),
        ("pause", "[pause]"),
        ("delivery", "[whispers]"),
        ("unknown", "[rings a bell]"),
    ]
    assert transcript.get_by_role("emphasis").all_inner_texts() == ["WORKS!", "NOW..."]
    legend = transcript.get_by_role("listitem").all_inner_texts()
    assert [" ".join(entry.split()) for entry in legend] == [
        "Emotion 1", "Delivery 1", "Sound 1", "Pause 1", "Other 1", "AB Stress 2",
    ]  # fmt: skip
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_silence_is_said_to_be_silence(page, clip_file, scripted_engine):
    scripted_engine.text = ""
    choose(page, clip_file)
    expect(page.get_by_text("Nothing was said in this recording.")).to_be_visible()
    expect(page.get_by_text("No tags", exact=True)).to_be_visible()


def test_the_text_and_the_json_can_be_taken_away(page, clip_file, scripted_engine):
    scripted_engine.text = RICH_TEXT
    with page.expect_response("**/transcribe") as answer:
        choose(page, clip_file)
    page.get_by_role("button", name="Copy text").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == RICH_TEXT
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON").click()
    assert download.value.suggested_filename == "my voice.json"
    assert json.loads(download.value.path().read_text(encoding="utf-8")) == answer.value.json()


def test_the_recording_can_be_played_and_sought_with_the_keyboard(page, clip_file):
    choose(page, clip_file)
    position = page.get_by_role("slider", name="Position")
    position.press("ArrowRight")
    expect(position).to_have_attribute("aria-valuenow", "0.1")
    position.press("End")
    position.press("ArrowLeft")
    play = page.get_by_role("button", name="Play")
    play.press("Enter")
    wait_until(page, "document.querySelector('audio').ended")
    expect(play).to_be_visible()


def test_a_file_can_be_dropped_anywhere(page, spoken_wav):
    data = page.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.wav", { type: "audio/wav" }));
            return data;
        }""",
        list(spoken_wav),
    )
    page.dispatch_event("header", "dragover", {"dataTransfer": data})
    expect(page.get_by_text("Let go to transcribe")).to_be_visible()
    page.dispatch_event("header", "drop", {"dataTransfer": data})
    expect(page.get_by_role("heading", name="dropped.wav")).to_be_visible()


def test_what_cannot_be_decoded_shows_the_servers_words(page):
    choose(page, {"name": "broken.wav", "mimeType": "audio/wav", "buffer": b"this is no audio"})
    notice = page.get_by_role("alert").filter(has_text="Could not transcribe")
    expect(notice).to_contain_text("broken.wav")
    expect(notice).to_contain_text("What to do: send a whole recording")
    expect(notice).to_be_focused()
    notice.get_by_role("button", name="Choose another file").click()
    expect(page.get_by_role("button", name="Choose a file")).to_be_visible()


def test_a_file_that_is_too_large_is_not_even_sent(page):
    sent = []
    page.on("request", lambda request: sent.append(request.url))
    choose(page, {"name": "long.wav", "mimeType": "audio/wav", "buffer": bytes(2 * 2**20)})
    notice = page.get_by_role("alert").filter(has_text="Could not transcribe")
    expect(notice).to_contain_text("long.wav has 2 MiB; this server takes up to 1 MiB")
    assert not [url for url in sent if url.endswith("/transcribe")]


def test_a_page_that_does_not_know_the_limit_shows_the_servers_413(browser, address):
    page = browser.new_page()
    page.route("**/health", lambda route: route.abort())
    with page.expect_event("requestfailed"):
        page.goto(address)
    page.unroute("**/health")
    choose(page, {"name": "long.wav", "mimeType": "audio/wav", "buffer": bytes(3 * 2**20)})
    notice = page.get_by_role("alert").filter(has_text="limit of 1 MiB")
    expect(notice).to_contain_text("--max-upload-mib")
    page.close()


def test_a_server_that_is_gone_is_named_and_the_upload_can_be_repeated(page, clip_file):
    page.route("**/transcribe", lambda route: route.abort())
    choose(page, clip_file)
    expect(page.get_by_role("alert").filter(has_text="The server does not answer")).to_contain_text("evoxtral serve")
    page.unroute("**/transcribe")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("region", name="Transcript")).to_be_visible()


def test_waiting_can_be_cancelled(page, clip_file, scripted_engine):
    finish = threading.Event()
    scripted_engine.before = finish.wait
    try:
        choose(page, clip_file)
        expect(page.get_by_role("status")).to_have_text("Listening")
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("button", name="Choose a file")).to_be_visible()
    finally:
        finish.set()


def test_the_theme_follows_the_system_until_it_is_chosen(browser, address):
    page = browser.new_page(color_scheme="dark")
    page.goto(address)
    page_color = "getComputedStyle(document.documentElement).colorScheme"
    assert page.evaluate(page_color) == "dark"
    page.get_by_role("button", name="Switch between dark and light").click()
    assert page.evaluate(page_color) == "light"
    page.reload()
    assert page.evaluate(page_color) == "light"
    page.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_views_are_accessible_fit_and_ask_nobody_else(browser, address, clip_file, scripted_engine, scheme, width):
    scripted_engine.text = RICH_TEXT
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page = context.new_page()
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)

    def assert_accessible() -> None:
        settle(page)
        result = page.evaluate("axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] })")
        assert [(fault["id"], [node["html"] for node in fault["nodes"]]) for fault in result["violations"]] == []
        assert any(check["id"] == "color-contrast" for check in result["passes"])
        assert page.evaluate("document.documentElement.scrollWidth") <= width

    page.get_by_text("model test").wait_for()
    page.add_script_tag(path=AXE)
    assert_accessible()
    choose(page, clip_file)
    page.get_by_role("region", name="Transcript").wait_for()
    assert_accessible()
    page.get_by_role("button", name="New recording").click()
    choose(page, {"name": "broken.wav", "mimeType": "audio/wav", "buffer": b"this is no audio"})
    page.get_by_text("Could not transcribe").wait_for()
    assert_accessible()
    assert [url for url in asked if not url.startswith((address, f"blob:{address}"))] == []
    context.close()
