"""One transcript in the Studio: read, played, edited, saved, taken away."""

import re
import time
from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import Locator, Page, Route, expect
from studio_browser import keep_transcript, open_transcript, wait_until

pytestmark = pytest.mark.browser

SAVE_LIMIT_S = 60  # only for a test that has failed already

TALK = ("SPEAKER_1: One two three. [excited] Four five!", "SPEAKER_2: Six seven.")


@pytest.fixture
def talk(page, server, spoken_wav) -> str:
    """A talk of two speakers, open in the page; its id. Words are 0.2 s long."""
    transcript_id = keep_transcript(server.address, spoken_wav, *TALK, name="talk.wav")
    open_transcript(page, server.address, transcript_id)
    return transcript_id


def kept(server, transcript_id: str) -> dict:
    return httpx.get(f"{server.address}/transcripts/{transcript_id}").json()


def edit_at(page: Page, text: Locator, word: str) -> None:
    """Begin to edit with the caret at the end of a word's line."""
    page.get_by_role("button", name="Edit", exact=True).click()
    text.get_by_text(word).first.click()
    page.keyboard.press("End")


def click_word(page: Page, word: str) -> None:
    """Click the middle of a word."""
    place = page.evaluate(
        """word => {
            const walker = document.createTreeWalker(document.querySelector('.transcript'), NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const at = walker.currentNode.data.indexOf(word);
                if (at < 0) continue;
                const range = document.createRange();
                range.setStart(walker.currentNode, at);
                range.setEnd(walker.currentNode, at + word.length);
                const box = range.getBoundingClientRect();
                return [box.x + box.width / 2, box.y + box.height / 2];
            }
        }""",
        word,
    )
    page.mouse.click(*place)


def is_put(route: Route) -> bool:
    return route.request.method == "PUT"


def kept_when(page: Page, server, transcript_id: str, holds: Callable[[dict], object]) -> dict:
    """What the server keeps, once something is true of it: the page's note may be that of the save before."""
    deadline_s = time.monotonic() + SAVE_LIMIT_S
    while not holds(document := kept(server, transcript_id)):
        assert time.monotonic() < deadline_s, f"never kept, but: {document}"
        page.wait_for_timeout(50)
    return document


def kept_text(page: Page, server, transcript_id: str, text: str) -> dict:
    return kept_when(page, server, transcript_id, lambda document: text in document["transcript"]["text"])


def test_a_click_on_a_word_seeks_to_it_and_lights_it(page, talk):
    click_word(page, "seven")
    position = page.get_by_role("slider", name="Position")
    expect(position).to_have_attribute("aria-valuenow", "1.2")
    expect(page.locator(".current")).to_have_text("seven.")


def test_a_click_on_a_tag_and_on_a_time_seeks(page, talk):
    page.get_by_role("button", name="Go to 0:01").click()
    position = page.get_by_role("slider", name="Position")
    expect(position).to_have_attribute("aria-valuenow", "1")
    page.locator(".transcript [data-tag=emotion]").click()
    expect(position).to_have_attribute("aria-valuenow", "0.6")


def test_it_plays_and_is_worked_by_the_keyboard(page, talk):
    position = page.get_by_role("slider", name="Position")
    page.keyboard.press(">")
    expect(page.get_by_label("Speed")).to_have_value("1.25")
    position.press("ArrowRight")
    expect(position).to_have_attribute("aria-valuenow", "1")
    position.press("Home")
    for _ in range(3):
        page.keyboard.press("<")  # so that it plays for long enough to be looked at
    expect(page.get_by_label("Speed")).to_have_value("0.5")
    page.keyboard.press(" ")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    expect(page.locator(".current")).to_be_visible()
    expect(page.get_by_role("button", name="Play")).to_be_visible()  # it came to the end
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_contain_text("Find and replace")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_words_are_edited_in_place_saved_and_keep_their_times(page, talk, server):
    text = page.get_by_label("Transcript text")
    edit_at(page, text, "Six seven.")
    page.keyboard.type(" eight")
    document = kept_text(page, server, talk, "seven. eight")
    assert document["transcript"]["segments"][1]["text"] == "Six seven. eight"
    words = [(word["word"], word["start_s"]) for word in document["transcript"]["words"]]
    assert words[-3:] == [("Six", 1.0), ("seven.", pytest.approx(1.2)), ("eight", None)]
    page.get_by_role("button", name="Undo").click()
    expect(text.locator(".segment-text").nth(1)).to_have_text("Six seven.")
    kept_when(page, server, talk, lambda document: document["transcript"]["text"].endswith("seven."))
    page.get_by_role("button", name="Redo").click()
    kept_text(page, server, talk, "seven. eight")
    page.reload()
    expect(text.locator(".segment-text").nth(1)).to_have_text("Six seven. eight")


def test_a_tag_is_put_in_by_typing_a_bracket(page, talk, server):
    text = page.get_by_label("Transcript text")
    edit_at(page, text, "Six seven.")
    page.keyboard.type(" [lau")
    palette = page.get_by_role("listbox", name="Tags")
    expect(palette.get_by_role("option").first).to_contain_text("laughs")
    page.keyboard.press("Enter")
    expect(palette).to_have_count(0)
    expect(text.locator("[data-tag=non-verbal]")).to_have_text("[laughs]")
    document = kept_text(page, server, talk, "[laughs]")
    assert [tag["tag"] for tag in document["transcript"]["tags"]] == ["excited", "laughs"]


def test_a_tag_is_changed_and_deleted_as_one(page, talk, server):
    text = page.get_by_label("Transcript text")
    page.get_by_role("button", name="Edit", exact=True).click()
    text.locator("[data-tag=emotion]").click()
    page.get_by_role("listbox", name="Instead of excited").get_by_role("option", name="angry").click()
    expect(text.locator("[data-tag=emotion]")).to_have_text("[angry]")
    text.locator("[data-tag=emotion]").click()
    page.keyboard.press("Backspace")
    expect(text.locator(".segment-text").first).to_have_text(re.compile(r"^One two three\. Four five!$"))
    document = kept_when(page, server, talk, lambda document: document["transcript"]["tags"] == [])
    assert [segment["text"] for segment in document["transcript"]["segments"]] == [
        "One two three. Four five!",
        "Six seven.",
    ]


def test_a_written_tag_of_no_known_name_is_one_when_the_server_says_so(page, talk):
    text = page.get_by_label("Transcript text")
    edit_at(page, text, "Six seven.")
    page.keyboard.type(" [giggles] [1]")
    expect(text.locator("[data-tag=non-verbal]")).to_have_text("[giggles]")
    expect(text.locator("[data-tag]")).to_have_count(2)
    expect(text.locator(".segment-text").nth(1)).to_have_text("Six seven. [giggles] [1]")


def test_what_was_hardly_heard_is_marked_and_said(page, server, spoken_wav):
    transcript_id = keep_transcript(server.address, spoken_wav, "One two [laughs] three.", confidences=[0.9, 0.3, 0.9])
    text = open_transcript(page, server.address, transcript_id)
    expect(text.locator(".unsure")).to_have_text("two")
    expect(text.locator(".unsure")).to_have_attribute("title", "heard with 30 % confidence")
    # What the browser tells a screen reader, word for word.
    tree = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    said = [node["name"]["value"] for node in tree if node.get("role", {}).get("value") == "StaticText"]
    assert said.count(" (unsure)") == 1
    assert said[said.index("two") + 1] == " (unsure)"


def test_find_and_replace(page, talk, server):
    page.get_by_role("button", name="Edit", exact=True).click()
    page.keyboard.press("Control+f")
    bar = page.get_by_role("search", name="Find and replace")
    bar.get_by_role("textbox", name="Find").fill("s")
    expect(bar.get_by_role("status")).to_have_text("1 of 2")
    bar.get_by_role("textbox", name="Find").fill("five")
    bar.get_by_role("textbox", name="Replace with").fill("5")
    bar.get_by_role("button", name="Replace all").click()
    kept_text(page, server, talk, "One two three. [excited] Four 5!")


def test_speakers_are_renamed_merged_and_given_to_a_segment(page, talk, server):
    name = page.get_by_role("textbox", name="Name of Speaker 2")
    name.fill("Ann")
    name.press("Enter")
    expect(page.get_by_role("button", name="Speaker: Ann")).to_be_visible()
    kept_when(page, server, talk, lambda document: document["speaker_names"] == {"SPEAKER_2": "Ann"})
    page.get_by_role("button", name="Speaker: Ann").click()
    page.get_by_role("dialog", name="Who speaks here").get_by_role("button", name="Somebody else").click()
    expect(page.get_by_role("button", name="Speaker: Speaker 3")).to_be_visible()
    page.get_by_role("button", name="Merge Speaker 3 into another speaker").click()
    page.get_by_role("menuitem", name="Speaker 1").click()

    def are_one(document: dict) -> bool:
        return [segment["speaker"] for segment in document["transcript"]["segments"]] == ["SPEAKER_1"] * 2

    kept_when(page, server, talk, are_one)


def test_two_who_change_the_same_text_are_asked_which_goes_on(page, talk, server):
    text = page.get_by_label("Transcript text")
    url = f"{server.address}/transcripts/{talk}"

    def somebody_else_saves(version: int, said: str) -> None:
        segments = [{"start_s": 0, "end_s": 2, "speaker": None, "text": said}]
        httpx.put(url, headers={"If-Match": f'"{version}"'}, json={"segments": segments}).raise_for_status()

    somebody_else_saves(1, "Theirs.")
    edit_at(page, text, "Six seven.")
    page.keyboard.type(" Mine.")
    dialog = page.get_by_role("dialog", name="Changed in two places")
    expect(dialog.get_by_role("region", name="Theirs")).to_contain_text("Theirs.")
    dialog.get_by_role("button", name="Keep mine").click()
    kept_text(page, server, talk, "Six seven. Mine.")

    somebody_else_saves(3, "Theirs again.")
    edit_at(page, text, "Mine.")
    page.keyboard.type(" Lost?")
    dialog.get_by_role("button", name="Take theirs, copy mine").click()
    expect(text.locator(".segment-text").first).to_have_text("Theirs again.")
    assert "Lost?" in page.evaluate("navigator.clipboard.readText()")


def test_what_is_written_without_a_server_is_saved_when_it_is_back(page, talk, server):
    text = page.get_by_label("Transcript text")
    page.route("**/transcripts/*", lambda route: route.abort() if route.request.method == "PUT" else route.continue_())
    edit_at(page, text, "Six seven.")
    page.keyboard.type(" Later.")
    expect(page.get_by_text("Offline: saved when the server is back")).to_be_visible()
    page.unroute("**/transcripts/*")
    kept_text(page, server, talk, "seven. Later.")


def test_what_is_written_last_is_there_when_the_transcript_is_opened_again(page, talk, server):
    """The editor is left before it saved, and opened again before the save is answered."""
    text = page.get_by_label("Transcript text")
    held: list[Route] = []
    page.route(f"**/transcripts/{talk}", lambda route: held.append(route) if is_put(route) else route.continue_())
    edit_at(page, text, "Six seven.")
    page.keyboard.type(" Last.")
    expect(text).to_contain_text("Last.")
    page.get_by_role("link", name="Library").click()
    page.locator(f"a[href='#/transcript/{talk}']").click()
    while not held:
        page.wait_for_timeout(50)
    held.pop().continue_()
    expect(text).to_contain_text("Six seven. Last.")


def test_what_plays_pauses_while_one_writes(page, talk):
    text = page.get_by_label("Transcript text")
    for _ in range(3):
        page.keyboard.press("<")  # so that it does not come to its end meanwhile
    edit_at(page, text, "One two three.")
    page.keyboard.press("Control+Home")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    page.keyboard.type("And ")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    position = page.get_by_role("slider", name="Position")
    assert float(position.get_attribute("aria-valuenow") or 0) < float(position.get_attribute("aria-valuemax") or 0)
    page.keyboard.press("Escape")
    expect(page.get_by_role("button", name="Read", exact=True)).to_have_attribute("aria-pressed", "true")


def test_the_waveform_shows_where_the_player_stands_already(page, talk, server):
    held: list[Route] = []
    page.route("**/peaks*", lambda route: held.append(route))
    page.reload()
    position = page.get_by_role("slider", name="Position")
    position.press("ArrowRight")
    expect(position).to_have_attribute("aria-valuenow", "1")
    while not held:
        page.wait_for_timeout(50)
    held.pop().continue_()
    cursor = page.locator("[role=slider] [part=cursor]")
    expect(cursor).to_have_attribute("style", re.compile(r"left: [1-9]"))


def test_a_passage_is_transcribed_again(page, talk, server):
    server.engine.text = "[sad] Other WORDS."
    waveform = page.get_by_role("slider", name="Position")
    wait_until(page, "document.querySelector('[role=slider] > div > div')?.shadowRoot?.querySelector('canvas') != null")
    box = waveform.bounding_box()
    assert box is not None
    a_second_px = box["width"] / float(waveform.get_attribute("aria-valuemax") or 0)
    # Within the two words of the second segment, from 1.0 to 1.4 s.
    page.mouse.move(box["x"] + 1.04 * a_second_px, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 1.2 * a_second_px, box["y"] + 20, steps=4)
    page.mouse.move(box["x"] + 1.36 * a_second_px, box["y"] + 20, steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Transcribe it again").click()
    expect(page.get_by_text("Transcribed again; undo brings the old words back")).to_be_visible()
    text = page.get_by_label("Transcript text")
    expect(text.locator(".segment-text").nth(1)).to_have_text("[sad] Other WORDS.")
    page.keyboard.press("Control+z")
    expect(text.locator(".segment-text").nth(1)).to_have_text("Six seven.")


def export(page: Page, item: str) -> None:
    page.get_by_role("button", name="Export").click()
    page.get_by_role("menuitem", name=item).click()


def test_the_text_goes_out_in_other_dialects_and_as_files(page, talk):
    export(page, "Copy the text")
    assert page.evaluate("navigator.clipboard.readText()") == ("One two three. [excited] Four five!\n\nSix seven.")
    export(page, "Orpheus")
    note = page.get_by_text("Copied for Orpheus, which cannot say")
    expect(note).to_contain_text("excited")
    assert "[excited]" not in page.evaluate("navigator.clipboard.readText()")
    starts = {
        ("Text with tags", "talk.txt"): b"SPEAKER_1: One two three. [excited] Four five!",
        ("Subtitles, SRT", "talk.srt"): b"1\n00:00:00,000 --> ",
        ("Subtitles, WebVTT", "talk.vtt"): b"WEBVTT\n",
        ("Word", "talk.docx"): b"PK",
        ("JSON", "talk.json"): b"{",
        ("The recording", "talk.wav"): b"RIFF",
    }
    for (item, name), start in starts.items():
        with page.expect_download() as download:
            export(page, item)
        assert download.value.suggested_filename == name
        assert download.value.path().read_bytes().startswith(start)


def test_a_transcript_can_be_renamed(page, talk, server):
    page.get_by_role("textbox", name="Name of this transcript").fill("The talk")
    kept_when(page, server, talk, lambda document: document["name"] == "The talk")


def test_a_transcript_that_is_not_there_is_said_so(page, server):
    page.goto(f"{server.address}/#/transcript/{'0' * 32}")
    expect(page.get_by_role("alert").filter(has_text="This transcript cannot be shown")).to_be_visible()
    page.get_by_role("link", name="Back to the library").click()
    expect(page.get_by_role("heading", name="Read how it was said")).to_be_visible()
