"""How recordings come into the Studio, and the library of what was made of them."""

import io
import re
import threading

import numpy as np
import pytest
import soundfile
from playwright.sync_api import Dialog, Page, Route, expect
from studio_browser import choose, keep_transcript, settle

pytestmark = pytest.mark.browser

# Every category, an alias, an unknown tag, and stress.
RICH_TEXT = "[excited] It WORKS! [giggles] So [pause] [whispers] listen: [rings a bell] it is NOW..."


def test_an_upload_becomes_a_transcript_whose_tags_are_chips(page, clip_file, server):
    server.engine.text = RICH_TEXT
    choose(page, clip_file)
    text = page.get_by_label("Transcript text")
    expect(text.locator(".segment-text")).to_have_text(RICH_TEXT)
    chips = [(chip.get_attribute("data-tag"), chip.inner_text()) for chip in text.locator("[data-tag]").all()]
    assert chips == [
        ("emotion", "[excited]"),
        ("non-verbal", "[giggles]"),
        ("pause", "[pause]"),
        ("delivery", "[whispers]"),
        ("unknown", "[rings a bell]"),
    ]
    assert text.get_by_role("emphasis").all_inner_texts() == ["WORKS!", "NOW..."]
    scopes = [(scope.get_attribute("data-scope"), scope.inner_text()) for scope in text.locator("[data-scope]").all()]
    assert scopes[0] == ("[excited]", "It ")
    legend = page.get_by_role("list", name="What the colours mean").get_by_role("listitem").all_inner_texts()
    assert ["".join(line.split()) for line in legend] == [
        "Emotionhowitfelt1", "Deliveryhowitwasvoiced1", "Soundnotaword1", "Pauseasilence1", "Otherunknown1",
        "ABStressastressedword2",
    ]  # fmt: skip
    expect(page.locator("[data-marker]")).to_have_count(5)


def test_several_files_are_sent_and_listed(page, spoken_wav, server):
    files = [{"name": f"part {n}.wav", "mimeType": "audio/wav", "buffer": spoken_wav} for n in (1, 2, 3)]
    choose(page, *files)
    for number in (1, 2, 3):
        expect(page.get_by_role("link", name=f"part {number}.wav").first).to_be_visible()
    expect(page.get_by_role("region", name="Under way")).to_have_count(0)


def test_many_files_keep_the_page_working_and_can_be_cancelled_at_once(page, spoken_wav, server):
    finish = threading.Event()
    server.engine.before = finish.wait
    try:
        choose(page, *({"name": f"m{n}.wav", "mimeType": "audio/wav", "buffer": spoken_wav} for n in range(20)))
        under_way = page.get_by_role("region", name="Under way")
        expect(under_way.get_by_role("heading")).to_have_text("20 recordings under way")
        expect(under_way.get_by_text("Listening").or_(under_way.get_by_text("Waiting for the model"))).to_have_count(20)
        # They leave the browser connections for everything else.
        assert page.evaluate("fetch('/capabilities').then(answer => answer.status)") == 200
        under_way.get_by_role("button", name="Cancel all").click()
        expect(under_way).to_have_count(0)
    finally:
        finish.set()


def test_leaving_asks_while_a_file_is_not_sent_yet(page, clip_file):
    held: list[Route] = []
    page.route("**/jobs", lambda route: held.append(route) if route.request.method == "POST" else route.continue_())
    choose(page, clip_file)
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.evaluate("void setTimeout(() => location.reload())")
    while not asked or not held:
        page.wait_for_timeout(50)
    assert asked == ["beforeunload"]
    held.pop().continue_()
    expect(page.get_by_label("Transcript text")).to_contain_text("It WORKS!")
    page.reload()  # nothing is left to be lost
    expect(page.get_by_label("Transcript text")).to_contain_text("It WORKS!")
    assert asked == ["beforeunload"]


def test_a_view_that_is_opened_begins_at_its_top_and_has_the_keyboard(page, server, spoken_wav):
    for number in range(12):
        keep_transcript(server.address, spoken_wav, "One", "Two", name=f"row {number}.wav")
    page.reload()
    link = page.get_by_role("link", name="row 0.wav")
    link.focus()
    assert page.evaluate("scrollY") > 0
    page.keyboard.press("Enter")
    page.get_by_label("Transcript text").wait_for()
    assert page.evaluate("[scrollY, document.activeElement.id]") == [0, "main"]
    page.set_viewport_size({"width": 640, "height": 400})  # the same window at 200 %
    page.get_by_role("link", name="Record").first.click()
    page.get_by_role("button", name="Start").wait_for()
    settle(page)
    assert page.evaluate("scrollY") == 0


def test_silence_is_said_to_be_silence(page, clip_file, server):
    server.engine.text = ""
    choose(page, clip_file)
    expect(page.get_by_text("Nothing was said in this recording.").first).to_be_visible()
    expect(page.get_by_text("No tags", exact=True)).to_be_visible()


def test_work_under_way_is_shown_and_can_be_cancelled(page, clip_file, server):
    finish = threading.Event()
    server.engine.before = finish.wait
    try:
        choose(page, clip_file)
        under_way = page.get_by_role("region", name="Under way")
        expect(under_way.get_by_role("status")).to_contain_text("Listening")
        expect(under_way.get_by_role("progressbar")).to_be_visible()
        page.reload()  # the server goes on, and the page finds the work again
        expect(under_way.get_by_text("my voice.wav")).to_be_visible()
        under_way.get_by_role("button", name="Cancel my voice.wav").click()
        expect(under_way).to_have_count(0)
    finally:
        finish.set()


def test_a_long_recording_shows_how_far_it_is_also_in_the_queue(page, spoken_wav, server):
    samples, rate_hz = soundfile.read(io.BytesIO(spoken_wav))
    long = io.BytesIO()
    soundfile.write(long, np.tile(samples, 45), rate_hz, format="MP3")  # windows of up to 30 s
    names = [f"long {number}.mp3" for number in range(1, 6)]
    heard = threading.Semaphore(0)
    server.engine.before = heard.acquire
    rows = page.get_by_role("region", name="Under way").get_by_role("listitem")
    try:
        choose(page, *({"name": name, "mimeType": "audio/mpeg", "buffer": long.getvalue()} for name in names))
        expect(rows).to_have_count(5)
        heard.release()  # a window of one of them
        how_far = page.get_by_role("status").filter(has_text=re.compile(r"^Listening, 0:\d\d of \d:\d\d · .+ left$"))
        expect(how_far).to_have_count(1)
        bar = rows.filter(has=how_far).get_by_role("progressbar")
        assert 0 < int(bar.get_attribute("aria-valuenow") or 0) < 100
        # A page that comes later follows the newest jobs, and knows of the older ones from the server's list.
        page.reload()
        expect(rows).to_have_count(5)
        expect(rows.get_by_text("Listening, 0:").nth(2)).to_be_visible()
    finally:
        server.engine.before = lambda: None
        heard.release(100)
    expect(rows).to_have_count(0)


def drop_data(page: Page, content: bytes):
    return page.evaluate_handle(
        """bytes => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "dropped.wav", { type: "audio/wav" }));
            return data;
        }""",
        list(content),
    )


def test_a_file_can_be_dropped_anywhere(page, spoken_wav):
    data = drop_data(page, spoken_wav)
    page.dispatch_event("header", "dragover", {"dataTransfer": data})
    expect(page.get_by_text("Let go to transcribe")).to_be_visible()
    page.dispatch_event("header", "drop", {"dataTransfer": data})
    expect(page.get_by_role("article", name="dropped.wav")).to_be_visible()


def test_a_file_can_be_pasted(page, spoken_wav):
    page.evaluate(
        "data => window.dispatchEvent(new ClipboardEvent('paste', { clipboardData: data, bubbles: true }))",
        drop_data(page, spoken_wav),
    )
    expect(page.get_by_role("article", name="dropped.wav")).to_be_visible()


def test_what_cannot_be_decoded_shows_the_servers_words(page):
    choose(page, {"name": "broken.wav", "mimeType": "audio/wav", "buffer": b"this is no audio"})
    notice = page.get_by_role("alert").filter(has_text="Could not transcribe broken.wav")
    expect(notice).to_contain_text("What to do: send a whole recording")
    notice.get_by_role("button", name="Dismiss").click()
    expect(notice).to_have_count(0)


def test_a_file_that_is_too_large_is_not_even_sent(page):
    sent = []
    page.on("request", lambda request: sent.append((request.method, request.url)))
    choose(page, {"name": "long.wav", "mimeType": "audio/wav", "buffer": bytes(2 * 2**20)})
    notice = page.get_by_role("alert").filter(has_text="Could not transcribe")
    expect(notice).to_contain_text("long.wav has 2 MiB; this server takes up to 1 MiB")
    assert not [url for method, url in sent if method == "POST"]


def test_an_upload_that_broke_off_can_be_repeated(page, clip_file):
    page.route("**/jobs", lambda route: route.abort() if route.request.method == "POST" else route.continue_())
    choose(page, clip_file)
    notice = page.get_by_role("alert").filter(has_text="The server does not answer")
    expect(notice).to_contain_text("evoxtral serve")
    page.unroute("**/jobs")
    notice.get_by_role("button", name="Try again").click()
    expect(page.get_by_label("Transcript text")).to_be_visible()


def test_a_server_that_is_gone_is_named_until_it_is_back(browser, server):
    page = browser.new_page()
    page.route("**/capabilities", lambda route: route.abort())
    page.goto(server.address)
    notice = page.get_by_role("alert").filter(has_text="The Studio has lost its server")
    expect(notice).to_contain_text("check that `evoxtral serve` is running")
    page.unroute("**/capabilities")
    expect(notice).to_have_count(0)
    page.close()


def test_what_was_said_can_be_searched_and_deleted(page, server, spoken_wav):
    keep_transcript(server.address, spoken_wav, "The zebra [laughs] sleeps", name="animals.wav")
    keep_transcript(server.address, spoken_wav, "The tulip blooms", name="plants.wav")
    page.reload()
    page.get_by_role("searchbox", name="Search transcripts").fill("zebra")
    rows = page.get_by_role("region", name="Transcripts").get_by_role("listitem")
    expect(rows).to_have_count(1)
    expect(rows).to_contain_text("animals.wav")
    rows.get_by_role("button", name="More about animals.wav").click()
    page.get_by_role("menuitem", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nothing said")).to_be_visible()
    expect(page.get_by_text("animals.wav is deleted")).to_be_visible()


def test_a_server_that_keeps_nothing_still_transcribes_and_lets_edit(browser, forgetful_address, clip_file):
    page = browser.new_page()
    page.goto(forgetful_address)
    expect(page.get_by_text("This server keeps nothing")).to_be_visible()
    choose(page, clip_file)
    text = page.get_by_label("Transcript text")
    expect(text.locator(".segment-text")).to_have_text("[excited] It WORKS! [laughs]")
    expect(page.get_by_text("Not kept")).to_be_visible()
    page.get_by_role("button", name="Edit", exact=True).click()
    text.press("End")
    page.keyboard.type(" Really.")
    page.get_by_role("link", name="Library").click()
    page.get_by_role("link", name="my voice").click()
    expect(text.locator(".segment-text")).to_contain_text("Really.")
    page.close()
