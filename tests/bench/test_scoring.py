import json
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoxtral.bench.scoring import score
from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError
from evoxtral.tags import TAG_TYPES, insert_tags

REFERENCES = {
    "a": "[excited] I can't BELIEVE this happened! [laughs] It was absolutely incredible...",
    "b": "These are ten plain words without any tag in them.",
    "c": "[sad] He left [sighs] me there. [angry] I HATE him.",
}
HYPOTHESES = {
    "a": "[excited] I can't believe this happened! It was [giggles] absolutely incredible...",
    "b": "These are ten plain words [laughs] without any tag in them.",
    "c": "[sad] He LEFT me [sighs] there. [frustrated] I HATE him.",
}


@st.composite
def clips(draw) -> dict[str, str]:
    texts = {}
    for index in range(draw(st.integers(1, 6))):
        words = draw(st.lists(st.sampled_from(["so", "We", "WENT", "home.", "Why?", "NASA"]), max_size=8))
        names = st.sampled_from([tag_type.name for tag_type in TAG_TYPES])
        tags = draw(st.lists(st.tuples(st.integers(0, len(words)), names), max_size=4))
        texts[str(index)] = insert_tags(" ".join(words), tags)
    return texts


def values(report) -> dict[str, float | None]:
    return {name: figure.value for name, figure in report.figures.items()}


def test_a_set_by_hand():
    found = values(score(REFERENCES, HYPOTHESES))
    assert found["wer"] == 0  # 'can't' and so on are equal; tags and emphasis do not count
    assert found["cer"] == 0
    # excited, laughs, sad, sighs of five that were said and six that were written, one of them in the plain clip
    assert found["tags.precision"] == 4 / 6
    assert found["tags.recall"] == 4 / 5
    assert found["tags.f1"] == 8 / 11
    assert found["tags.tagged.precision"] == found["tags.tagged.recall"] == found["tags.tagged.f1"] == 4 / 5
    # laughs: 1 of 2 written; angry: none
    assert found["tags.macro_f1"] == pytest.approx((1 + 2 / 3 + 1 + 1 + 0) / 5)
    assert found["tags.tagged.macro_f1"] == 4 / 5
    assert found["tags.type_accuracy"] == 10 / 11  # angry and frustrated are one group
    # displacements: excited 0, laughs 2, sad 0, sighs 1
    assert found["position.f1_at_0"] == 4 / 11
    assert found["position.f1_at_1"] == 6 / 11
    assert found["position.f1_at_3"] == 8 / 11
    assert found["position.median_displacement"] == 0.5
    # excited 5 of 5 words, sad 4 of 4, angry and frustrated 3 + 3
    assert found["scope.emotion_iou"] == 9 / 15
    assert found["emphasis.precision"] == found["emphasis.recall"] == 1 / 2
    assert found["hallucination.per_100_words_plain"] == 10
    assert found["hallucination.per_minute_plain"] is None
    assert found["legacy.tag_f1"] == fmean([1 / 2, 0, 2 / 3])
    assert found["legacy.emphasis_f1"] == pytest.approx(fmean([0, 1, 2 / 3]))
    assert found["legacy.hallucination_rate"] == 3 / 6


def test_json_has_the_fields_of_the_specification():
    report = json.loads(json.dumps(score(REFERENCES, HYPOTHESES).to_json(), allow_nan=False))
    estimates = [report["wer"], report["wer_normalized"], report["cer"]]
    estimates += [report["tags"][name] for name in ("precision", "recall", "f1", "macro_f1", "type_accuracy")]
    estimates += [report["position"][name] for name in ("f1_at_0", "f1_at_1", "f1_at_3", "median_displacement")]
    estimates += [report["emphasis"]["f1"], report["hallucination"]["per_100_words_plain"]]
    estimates += [report["legacy"][name] for name in ("tag_f1", "emphasis_f1", "hallucination_rate")]
    for estimate in estimates:
        assert set(estimate) == {"value", "ci"}
    assert report["tags"]["per_tag"]["laughs"]["precision"]["value"] == 1 / 2
    assert set(report["tags"]["tagged"]["f1"]) == {"value", "ci"}
    assert report["tags"]["per_tag"]["angry"] | {"reference": 1, "hypothesis": 0} == report["tags"]["per_tag"]["angry"]
    assert report["position"]["displacements"] == {"0": 2, "1": 1, "2": 1}


@given(clips())
@settings(deadline=None, max_examples=30)
def test_identity_is_perfect(texts):
    for name, value in values(score(texts, texts, resamples=10)).items():
        if name in ("wer", "wer_normalized", "cer", "cer_normalized", "legacy.hallucination_rate"):
            assert value == 0
        elif name.startswith(("position.median", "hallucination.", "paralinguistic.")):
            assert value in (0, None)
        else:
            assert value in (1, None), name


@given(clips(), clips(), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=30)
def test_the_order_of_clips_changes_nothing(references, others, random):
    hypotheses = {id: others.get(id, "") for id in references}
    shuffled = list(references)
    random.shuffle(shuffled)
    once = values(score(references, hypotheses, resamples=10))
    again = values(score({id: references[id] for id in shuffled}, hypotheses, resamples=10))
    assert again == pytest.approx(once)


@given(clips(), clips())
@settings(deadline=None, max_examples=30)
def test_what_must_be_symmetric_is(first, second):
    ids = first.keys() & second.keys()
    first, second = {id: first[id] for id in ids}, {id: second[id] for id in ids}
    forth, back = (values(score(*texts, resamples=10)) for texts in ((first, second), (second, first)))
    for one, other in (("f1", "f1"), ("precision", "recall"), ("type_accuracy", "type_accuracy")):
        assert forth[f"tags.{one}"] == pytest.approx(back[f"tags.{other}"])
    assert forth["legacy.tag_f1"] == pytest.approx(back["legacy.tag_f1"])


def test_unknown_figures_are_null_and_empty_texts_are_scored():
    report = score({"a": ""}, {"a": "[laughs] hello there"}).to_json()
    assert report["wer"] == {"value": 2, "ci": None}  # as jiwer: inserted words without a reference word
    assert report["hallucination"]["per_100_words_plain"] == {"value": None, "ci": None}
    assert report["emphasis"]["f1"] == {"value": None, "ci": None}  # nothing stressed is no full mark
    assert report["tags"]["tagged"]["f1"] == {"value": None, "ci": None}
    assert report["tags"]["f1"]["value"] == 0


def test_false_tags_per_minute_of_plain_speech():
    references = [
        Reference(id="a", text="plain", duration_s=30),
        Reference(id="b", text="plain"),  # of unknown length: does not count
        Reference(id="c", text="[sad] tagged", duration_s=500),
    ]
    found = score(references, {"a": "[laughs] plain [pause]", "b": "[sad] plain", "c": "[sad] tagged [pause]"})
    assert found.figures["hallucination.per_minute_plain"].value == 4
    assert found.figures["hallucination.per_100_words_plain"].value == 150


def test_slices():
    references = [
        Reference(id="a", text="[sad] one", slice_type="light"),
        Reference(id="b", text="two", slice_type="plain"),
        Reference(id="c", text="three", slice_type="plain"),
    ]
    slices = score(references, {"a": "[sad] one", "b": "too", "c": "three"}).to_json()["slices"]
    assert {name: part["clips"] for name, part in slices.items()} == {"light": 1, "plain": 2}
    assert (slices["light"]["wer"]["value"], slices["plain"]["wer"]["value"]) == (0, 0.5)


class TestIntervals:
    def test_seeded(self):
        one, two, other = (score(REFERENCES, HYPOTHESES, resamples=50, seed=seed).figures for seed in (1, 1, 2))
        assert one == two
        assert one != other

    def test_contain_the_value_and_shrink_with_more_scripts(self):
        references = {f"{copy}{id}": text for copy in range(40) for id, text in REFERENCES.items()}
        hypotheses = {f"{copy}{id}": text for copy in range(40) for id, text in HYPOTHESES.items()}
        few, many = score(REFERENCES, HYPOTHESES).figures, score(references, hypotheses).figures
        for name in ("tags.f1", "position.f1_at_0", "emphasis.f1", "legacy.tag_f1"):
            (few_low, few_high), (low, high) = few[name].ci, many[name].ci
            assert low <= many[name].value <= high
            assert high - low < few_high - few_low

    def test_coverage_of_a_binomial_share(self):
        # 200 clips of one word, 50 wrong: the interval of a share is 0.25 +- 1.96 sqrt(0.25 * 0.75 / 200) = +- 0.06
        references = {str(i): "one" for i in range(200)}
        low, high = score(references, {str(i): "one" if i % 4 else "two" for i in range(200)}).figures["wer"].ci
        assert (low, high) == pytest.approx((0.19, 0.31), abs=0.015)

    def test_clips_of_one_script_are_drawn_together(self):
        # Four scripts with fifty equal clips each: as uncertain as four clips, not as two hundred.
        records = [Reference(id=str(i), text="one", script_id=str(i % 4)) for i in range(200)]
        low, high = score(records, {str(i): "one" if i % 4 else "two" for i in range(200)}).figures["wer"].ci
        assert (low, high) == (0, 0.75)

    def test_one_script_has_none(self):
        assert score({"a": "one"}, {"a": "one"}).figures["wer"].ci is None


class TestIds:
    def test_a_missing_hypothesis_is_an_error(self):
        with pytest.raises(ScoreError, match=r"1 reference without hypothesis: b .*--allow-missing"):
            score(REFERENCES, {id: text for id, text in HYPOTHESES.items() if id != "b"})

    def test_a_superfluous_hypothesis_is_an_error(self):
        with pytest.raises(ScoreError, match="1 hypothesis without reference: z"):
            score(REFERENCES, HYPOTHESES | {"z": "more"})

    def test_allowed_missing_counts_as_empty_and_superfluous_is_ignored(self):
        report = score(REFERENCES, {"b": REFERENCES["b"], "z": "more"}, allow_missing=True)
        assert report.missing == ("a", "c")
        assert report.figures["tags.recall"].value == 0
        assert report.figures["wer"].value == (9 + 7) / (9 + 7 + 10)

    def test_no_common_id_is_an_error_even_then(self):
        with pytest.raises(ScoreError, match="no hypothesis has the id"):
            score(REFERENCES, {"z": "more"}, allow_missing=True)

    def test_no_references(self):
        with pytest.raises(ScoreError, match="no references"):
            score({}, {})
