"""The whole product once: `evoxtral serve` as users run it, the packaged model, a bundled recording, a browser."""

import pytest
from playwright.sync_api import expect
from studio_browser import EXAMPLE, choose, evoxtral_serve

from evoxtral.inference import transcribe
from evoxtral.models import EDGE_FOLDER

MODEL_LIMIT_MS = 120_000  # only for a server that never answers


@pytest.mark.browser
@pytest.mark.skipif(not (EDGE_FOLDER / "model.bin").is_file(), reason="the packaged model is not here yet")
def test_the_bundled_example_becomes_words_and_chips(browser):
    heard = transcribe(EXAMPLE)
    assert len(heard.words) > 3
    assert heard.tags
    with evoxtral_serve() as address:
        page = browser.new_page()
        page.goto(address)
        choose(page, EXAMPLE)
        transcript = page.get_by_role("region", name="Transcript")
        transcript.wait_for(timeout=MODEL_LIMIT_MS)
        expect(transcript.get_by_role("paragraph")).to_have_text(heard.text)
        categories = [chip.get_attribute("data-tag") for chip in transcript.locator("[data-tag]").all()]
        assert categories == [tag.category or "unknown" for tag in heard.tags]
        page.close()
