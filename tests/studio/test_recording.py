"""Recording in the Studio, from a microphone that hears a WAV file."""

import io
import re
import threading

import httpx
import pytest
import soundfile
from playwright.sync_api import Locator, Page, Route, expect

pytestmark = pytest.mark.browser


def test_what_is_said_appears_while_it_is_said_and_is_kept(page, server):
    server.engine.text = "[excited] It WORKS! [laughs]"
    page.get_by_role("link", name="Record").first.click()
    page.get_by_role("button", name="Start").click()
    live = page.get_by_role("log", name="Live transcript")
    expect(live).to_contain_text("It WORKS!")
    expect(live.locator("[data-tag=emotion]").first).to_have_text("[excited]")
    expect(page.get_by_role("timer", name="Length")).not_to_have_text("0:00")
    page.get_by_role("button", name="Stop").click()
    text = page.get_by_label("Transcript text")
    expect(text.locator(".segment-text").first).to_contain_text("[excited] It WORKS! [laughs]")
    expect(text.locator("[data-tag=non-verbal]").first).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_enabled()
    transcript_id = page.url.rpartition("/")[2]
    audio = httpx.get(f"{server.address}/transcripts/{transcript_id}/audio")
    assert soundfile.info(io.BytesIO(audio.content)).samplerate == 16_000


# Notes the microphone that the browser really opened. Chromium has a default one and "Fake Audio Input 1" and "2".
NOTE_INPUT = """
    const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async wanted => {
        const stream = await ask(wanted);
        window.heard = stream.getAudioTracks()[0].label;
        return stream;
    };
"""


def choose_microphone(page: Page) -> Locator:
    """Open the page that records, with a note of what it records; the choice of the microphone."""
    page.add_init_script(NOTE_INPUT)
    page.goto(page.url.partition("#")[0] + "#/record")
    page.reload()
    return page.get_by_label("Microphone", exact=True)


def record_a_second(page: Page) -> None:
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("timer", name="Length")).to_have_text(re.compile("0:0[1-9]"))


def test_the_microphone_that_is_chosen_is_recorded_and_remembered(page):
    choice = choose_microphone(page)
    expect(choice.get_by_role("option")).to_have_text(
        ["Default microphone", "Fake Audio Input 1", "Fake Audio Input 2"]
    )
    choice.select_option("Fake Audio Input 2")
    page.reload()
    expect(choice.locator("option:checked")).to_have_text("Fake Audio Input 2")
    record_a_second(page)
    assert page.evaluate("window.heard") == "Fake Audio Input 2"
    expect(choice).to_be_disabled()
    expect(page.get_by_text("not connected")).to_have_count(0)
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_label("Transcript text").locator(".segment-text").first).to_contain_text("It WORKS!")


def test_a_microphone_that_is_not_there_any_more_gives_way_to_the_default_one(page, browser):
    choose_microphone(page).select_option("Fake Audio Input 2")
    # To another profile the browser gives the same microphones other names: the one that was chosen is not there.
    context = browser.new_context(permissions=["microphone"], storage_state=page.context.storage_state())
    other = context.new_page()
    other.goto(page.url)
    choice = choose_microphone(other)
    expect(choice.locator("option:checked")).to_have_text("Fake Audio Input 2 (not connected)")
    expect(other.get_by_text("Fake Audio Input 2 is not connected: connect it")).to_be_visible()
    record_a_second(other)
    assert other.evaluate("window.heard") == "Fake Default Audio Input"
    note = "Fake Audio Input 2 is not connected: you are recorded with Fake Default Audio Input."
    expect(other.get_by_text(note)).to_be_visible()
    other.get_by_role("button", name="Stop").click()
    expect(other.get_by_label("Transcript text").locator(".segment-text").first).to_contain_text("It WORKS!")
    other.get_by_role("link", name="Record").first.click()
    choice.select_option("Default microphone")
    expect(other.get_by_text("not connected")).to_have_count(0)
    context.close()


def test_what_was_heard_before_the_microphone_was_unplugged_is_kept(page):
    choose_microphone(page)
    record_a_second(page)
    page.context.clear_permissions()  # ends its sound as pulling the plug does
    expect(page.get_by_text("The microphone is gone: what it heard until then is kept")).to_be_visible()
    expect(page.get_by_label("Transcript text").locator(".segment-text").first).to_contain_text("It WORKS!")


def test_a_refused_microphone_is_explained(browser, server):
    context = browser.new_context(permissions=[])
    page = context.new_page()
    page.goto(f"{server.address}/#/record")
    page.get_by_role("button", name="Start").click()
    notice = page.get_by_role("alert").filter(has_text="The microphone was refused")
    expect(notice).to_contain_text("allow the microphone for this page")
    expect(notice.get_by_role("button", name="Try again")).to_be_visible()
    context.close()


def test_a_recording_that_the_server_lost_is_sent_as_a_file(page, server):
    page.route_web_socket("**/transcribe/stream", lambda socket: socket.close())
    page.get_by_role("link", name="Record").first.click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("alert").filter(has_text="kept as sound only")).to_be_visible()
    expect(page.get_by_role("timer", name="Length")).to_have_text(re.compile("0:0[1-9]"))
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_label("Transcript text").locator(".segment-text").first).to_contain_text("It WORKS!")


def test_a_recording_that_one_leaves_is_transcribed_all_the_same(page, server):
    page.get_by_role("link", name="Record").first.click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("timer", name="Length")).to_have_text(re.compile("0:0[1-9]"))
    page.get_by_role("link", name="Library").click()
    expect(page.get_by_text("What you recorded so far is being transcribed")).to_be_visible()
    expect(page.get_by_label("Transcript text").locator(".segment-text").first).to_contain_text("It WORKS!")
    expect(page.get_by_role("article", name=re.compile("Recording"))).to_be_visible()


def test_a_job_listed_before_its_answer_came_is_not_taken_for_another(page, server):
    """The library is opened while the recording is sent: its jobs may name the one whose answer is under way."""
    finish = threading.Event()
    server.engine.before = finish.wait
    early: list[Route] = []
    is_posted = threading.Event()

    def hold(route: Route) -> None:
        if route.request.method == "POST":
            answer = route.fetch()  # the job is there, and its sender does not know it yet
            while early:
                early.pop().continue_()
            is_posted.set()
            route.fulfill(response=answer)
        elif is_posted.is_set():
            route.continue_()
        else:
            early.append(route)

    page.route("**/jobs*", hold)
    page.route_web_socket("**/transcribe/stream", lambda socket: socket.close())
    page.get_by_role("link", name="Record").first.click()
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_role("timer", name="Length")).to_have_text(re.compile("0:0[1-9]"))
    try:
        with page.expect_response("**/jobs?limit=50"):
            page.get_by_role("button", name="Stop").click()
        under_way = page.get_by_role("region", name="Under way")
        expect(under_way.get_by_role("status")).to_contain_text("Listening")
        expect(under_way.get_by_role("listitem")).to_have_count(1)
    finally:
        finish.set()
    expect(page.get_by_label("Transcript text").locator(".segment-text").first).to_contain_text("It WORKS!")
