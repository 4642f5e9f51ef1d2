"""The whole product once: `evoxtral serve` as users run it, the packaged model, a bundled recording, a browser."""

import pytest
from playwright.sync_api import expect
from studio_browser import EXAMPLE, choose, evoxtral_serve

from evoxtral.inference import transcribe

MODEL_LIMIT_MS = 120_000  # only for a server that never answers


@pytest.mark.browser
def test_the_bundled_example_becomes_words_and_chips(browser, tmp_path):
    heard = transcribe(EXAMPLE)
    # What is really said there, whatever the model thinks: a reader, a laugh, and the reader again.
    assert "account of himself" in heard.plain_text
    assert [tag.tag for tag in heard.tags] == ["laughs"]
    with evoxtral_serve("--store", str(tmp_path)) as address:
        page = browser.new_page()
        page.goto(address)
        choose(page, EXAMPLE)
        text = page.get_by_label("Transcript text")
        text.wait_for(timeout=MODEL_LIMIT_MS)
        lines = text.locator(".segment-text")
        expect(lines).to_have_text([segment.text for segment in heard.segments])
        categories = [chip.get_attribute("data-tag") for chip in text.locator("[data-tag]").all()]
        assert categories == [tag.category or "unknown" for tag in heard.tags]
        page.close()
