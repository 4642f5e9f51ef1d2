"""A transcript spoken again in the Studio, by the local engine, beside the recording."""

import pytest
from playwright.sync_api import expect
from studio_browser import keep_transcript, open_transcript

pytestmark = pytest.mark.browser

# Speech is made and measured by models, for which a busy machine takes long; only for a test that has failed already.
SPEAK_LIMIT_MS = 300_000


def test_a_transcript_is_spoken_again_and_compared(page, server, spoken_wav):
    lines = ("[excited] A few words!", "Spoken for a test.")
    transcript_id = keep_transcript(server.address, spoken_wav, *lines, name="words.wav")
    text = open_transcript(page, server.address, transcript_id)
    page.get_by_role("link", name="Re-speak").click()
    for name in ("ElevenLabs v3:", "Mistral Voxtral TTS:"):
        expect(page.get_by_text(name)).to_be_visible()  # what it lacks is said
    page.get_by_label("Voice").select_option("espeak/carl")
    page.get_by_role("button", name="Speak").click()

    comparison = page.get_by_role("region", name="Comparison")
    expect(comparison).to_contain_text("Spoken by Local engine (espeak), voice espeak/carl", timeout=SPEAK_LIMIT_MS)
    expect(page.get_by_text("2 sentences, 2 spoken anew.")).to_be_visible()
    measures = page.get_by_role("region", name="Measures")
    expect(measures.get_by_text("Spectral distance")).to_be_visible()
    expect(comparison.locator("svg[role=img] path[d^=M]")).to_have_count(4)

    # The other player goes to the same place in the text, and is the one that is heard after the switch.
    original = page.get_by_role("slider", name="Position, Original")
    respoken = page.get_by_role("slider", name="Position, Re-spoken")
    page.get_by_role("region", name="Sentences").get_by_role("button", name="Spoken for a test.").click()
    expect(original).to_have_attribute("aria-valuenow", "0.6")
    expect(respoken).not_to_have_attribute("aria-valuenow", "0")
    page.keyboard.press("b")
    expect(page.get_by_role("button", name="Re-spoken")).to_have_attribute("aria-pressed", "true")
    expect(original).to_have_attribute("aria-valuenow", "0.6")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download WAV").click()
    assert download.value.path().read_bytes()[:4] == b"RIFF"

    # Only the sentence that was edited is spoken anew; what was spoken before is there at once.
    page.get_by_role("link", name="Transcript", exact=True).click()
    page.get_by_role("button", name="Edit", exact=True).click()
    text.get_by_text("Spoken for a test.").click()
    page.keyboard.press("End")
    page.keyboard.type(" [laughs]")
    page.get_by_role("link", name="Re-speak").click()  # at once: what is not saved yet is saved first
    expect(page.get_by_text("The text has changed since")).to_be_visible()
    page.get_by_role("button", name="Speak again").click()
    expect(page.get_by_text("2 sentences, 1 spoken anew.")).to_be_visible(timeout=SPEAK_LIMIT_MS)
