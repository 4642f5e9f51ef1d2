import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_texts import tagged_texts
from evoxtral.bench.metrics import tag_presence as module
from evoxtral.bench.metrics.tag_presence import Matches, fold_rare_names, tag_presence
from evoxtral.bench.scoring import score
from evoxtral.tags import parse


def presence(reference: str, hypothesis: str) -> dict[str, Matches]:
    return tag_presence([t.name for t in parse(reference).tags], [t.name for t in parse(hypothesis).tags])


def test_repeated_tags_count_as_often_as_they_occur():
    assert presence("[laughs] a [laughs] b [sad] c", "[laughs] a b [angry] c") == {
        "angry": Matches(0, 0, 1),
        "laughs": Matches(1, 2, 1),
        "sad": Matches(0, 1, 0),
    }


def test_aliases_count_as_their_tag_and_unknown_tags_as_themselves():
    assert presence("[laughs] a [sings]", "[giggles] a [Sings]") == {
        "laughs": Matches(1, 1, 1),
        "sings": Matches(1, 1, 1),
    }


def test_empty():
    assert presence("", "") == {}


@given(tagged_texts(), tagged_texts())
def test_exchanging_the_texts_exchanges_precision_and_recall(first, second):
    forth, back = presence(first, second), presence(second, first)
    for name, found in forth.items():
        assert (found.matched, found.reference, found.hypothesis) == (
            back[name].matched,
            back[name].hypothesis,
            back[name].reference,
        )


@given(tagged_texts(), tagged_texts(), st.data())
def test_removing_a_correct_tag_never_raises_recall(reference, hypothesis, data):
    expected, written = ([tag.name for tag in parse(text).tags] for text in (reference, hypothesis))
    correct = [index for index, name in enumerate(written) if name in expected]
    if correct:
        removed = data.draw(st.sampled_from(correct))
        fewer = tag_presence(expected, written[:removed] + written[removed + 1 :])
        before = sum(found.matched for found in tag_presence(expected, written).values())
        assert sum(found.matched for found in fewer.values()) <= before


def test_a_false_tag_in_a_plain_clip_counts_and_stays_out_of_the_figures_over_tagged_clips():
    references = {"a": "[sad] One. [laughs]", "b": "Two.", "c": "Three."}
    found = score(references, {"a": "[sad] One.", "b": "[sad] Two.", "c": "[sings] Three."})
    figures = {name: figure.value for name, figure in found.figures.items()}
    # one of two tags found, three written
    assert figures["tags.precision"] == pytest.approx(1 / 3)
    assert figures["tags.recall"] == 1 / 2
    assert figures["tags.f1"] == 2 / 5
    assert figures["tags.tagged.precision"] == 1
    assert figures["tags.tagged.recall"] == 1 / 2
    assert figures["tags.tagged.f1"] == pytest.approx(2 / 3)
    # of the tags that were said: sad 2 of 3, laughs 0; precision 1 of 2 and 0; recall 1 and 0
    assert figures["tags.macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert figures["tags.macro_precision"] == pytest.approx((1 / 2 + 0) / 2)
    assert figures["tags.macro_recall"] == 1 / 2
    assert figures["tags.tagged.macro_f1"] == 1 / 2
    assert {tag: values["precision"].value for tag, values in found.per_tag.items()} == {
        "laughs": 0,
        "sad": 1 / 2,
        "sings": 0,
    }


def test_nothing_said_and_nothing_written_is_unknown():
    figures = score({"a": "One."}, {"a": "One."}).figures
    assert {figures[name].value for name in figures if name.startswith(("tags.", "position.", "scope."))} == {None}
    assert score({"a": "One."}, {"a": "[sad] One."}).figures["tags.f1"].value == 0


def test_beyond_a_limit_the_rarest_names_are_counted_together(monkeypatch):
    monkeypatch.setattr(module, "MAX_NAMES", 2)
    references = {"a": "[sad] one [sad] two [calm]", "b": "[angry] three"}
    hypotheses = {"a": "[sad] one [sings] two [calm]", "b": "[angry] three [hums] [hums] [hums]"}
    report = score(references, hypotheses)
    assert sorted(report.per_tag) == ["(other names)", "angry", "sad"]  # of equals the first in the alphabet
    assert report.totals["tag/hypothesis/(other names)"] == 5
    assert report.figures["tags.f1"].value == 2 * 3 / (4 + 7)


def test_few_names_are_left_alone():
    counts = [{"tag/hypothesis/sad": 1.0, "tag/reference/sad": 0.0}]
    assert fold_rare_names(counts) == counts
