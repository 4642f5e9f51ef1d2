import json
from html.parser import HTMLParser

import numpy as np
import pytest

from evoxtral.audio import write_audio
from evoxtral.bench.report import Section, worst_clips, write_report
from evoxtral.bench.roundtrip import Condition, RoundTrip, SpokenClip
from evoxtral.bench.scoring import score
from evoxtral.bench.summary import describe_system, markdown_summary
from evoxtral.bench.testset import TestSet
from evoxtral.data.records import Prediction, Reference

TRAINING = [f"[sad] Oh number {index}. That is bad." for index in range(10)] + ["That is good."] * 5
TEXTS = {
    "one": ("[excited] We WON it! [laughs]", "[excited] We WON it! [laughs]"),
    "two": ("[sad] Nobody came today.", "[angry] Nobody game today."),
    "three": ("<b>Plain</b> & simple words.", "<script>alert(1)</script> simple words [sighs]"),
    "four": ("[whispers] Quiet now.", ""),
}


class Page(HTMLParser):
    """What a browser would fetch, the classes of elements, the text, and whether elements nest."""

    VOID = frozenset({"meta", "br"})

    def __init__(self, source: str) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.classes: list[str] = []
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(source)
        assert self._open == []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.tags.append(tag)
        self.fetched += [values[name] for name in ("src", "href") if values.get(name)]
        self.classes.append((values.get("class") or "").strip())
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self._open.pop()

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("report")
    noise = np.random.default_rng(0).normal(0, 0.1, 8000).astype(np.float32)
    references, predictions, spoken = [], [], []
    for id, (said, heard) in TEXTS.items():
        write_audio(folder / f"{id}.opus", noise, 16000)
        references.append(Reference(id=id, text=said, slice_type="light", audio=f"{id}.opus", duration_s=0.5))
        predictions.append(Prediction(id=id, text=heard, model="tiny", engine="test", compute_s=1.5, version="0.1"))
        for condition in (Condition.TAGGED, Condition.UNTAGGED):
            spoken.append(
                SpokenClip(
                    id=id,
                    unit=id,
                    condition=condition,
                    text=said,
                    engine="local/espeak",
                    voice="v",
                    same_voice=False,
                    seed=1,
                    audio=f"{id}.opus",
                    measures={"mcd_db": 3.0 if condition is Condition.TAGGED else 5.0},
                )
            )
    report = score(references, {p.id: p.text for p in predictions}, resamples=50, baseline_texts=TRAINING)
    testset = TestSet(folder, tuple(references), tuple(TRAINING))
    round_trip = RoundTrip(tuple(spoken), resamples=50)
    section = Section(report, describe_system(predictions), testset=testset, spoken=(round_trip, folder))
    write_report(folder, [section])
    return folder, report


def test_the_page_is_self_contained_and_well_formed(written):
    page = Page((written[0] / "report.html").read_text("utf-8"))
    assert len(page.fetched) == 3 * len(TEXTS)  # the recording, and both speeches
    assert all(address.startswith("data:audio/ogg;base64,T2dnUw") for address in page.fetched)  # "OggS"
    assert not {"script", "link", "img", "iframe"} & set(page.tags)


def test_texts_cannot_write_html(written):
    page = Page((written[0] / "report.html").read_text("utf-8"))
    assert "<b>Plain</b>" in page.text
    assert "<script>alert(1)</script>" in page.text


def test_the_page_shows_what_became_of_words_and_tags(written):
    classes = Page((written[0] / "report.html").read_text("utf-8")).classes
    assert classes.count("chip emotion wrong") == 2  # sad said, angry heard
    assert "chip non-verbal extra" in classes
    assert "chip delivery missing" in classes
    assert classes.count("word  stress") == 2
    assert classes.count("word wrong") >= 2
    assert "word missing" in classes


def test_the_page_shows_the_figures(written):
    text = Page((written[0] / "report.html").read_text("utf-8")).text
    figures = written[1].figures
    assert f"{100 * figures['wer_normalized'].value:.1f} %" in text
    assert f"{figures['tags.f1'].value:.2f}" in text
    assert "text-only tagger" in text
    assert "-2.00 (-2.00–-2.00)" in text  # what tags add to the spectral distortion


def test_json_and_markdown_say_the_same(written):
    folder, report = written
    scores = json.loads((folder / "scores.json").read_text("utf-8"))
    assert scores["tags"]["f1"]["value"] == report.figures["tags.f1"].value
    assert scores["round_trip"]["gain_over_untagged"]["tagged"]["mcd_db"]["value"] == -2
    assert scores["system"]["Computing time"] == "6 s for 4 clips"
    summary = (folder / "summary.md").read_text("utf-8")
    lines = [line.split("|") for line in summary.splitlines() if line.startswith("|")]
    rows = {line[1].strip(): line[2:-1] for line in lines}
    assert rows["Tag F1"][0].strip().startswith(f"{report.figures['tags.f1'].value:.2f} (")
    assert [cell.strip() for cell in rows["laughs"][:4]] == ["1", "1", "1.00", "1.00"]
    # Label, system, three baselines; tag, counts and scores; part, clips and ten figures.
    assert {len(line) for line in lines} == {2 + 5, 2 + 6, 2 + 12}


def test_the_worst_clips_come_first(written):
    assert [clip.record.id for clip in worst_clips(written[1])] == ["four", "three", "two", "one"]


def test_a_report_without_audio_baselines_or_tags(tmp_path):
    report = score({"a": "One."}, {"a": "One."})
    write_report(tmp_path, [Section(report, describe_system([Prediction(id="a", text="One.")]))])
    page = Page((tmp_path / "report.html").read_text("utf-8"))
    assert "unnamed system" in page.text
    assert page.fetched == []
    assert "unnamed system" in markdown_summary(report, describe_system([Prediction(id="a", text="One.")]))
