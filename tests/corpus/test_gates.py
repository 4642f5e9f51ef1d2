"""Gates: each turns red for what it is there for, and only for that."""

from collections.abc import Callable

import pytest

from evoxtral.corpus.gates import check, measure_diversity
from evoxtral.corpus.writers.grammar import write_scripts
from evoxtral.data.records import Clip, Domain, Script, SliceType
from evoxtral.tags import parse

Change = Callable[[list[Script]], list[Script]]


@pytest.fixture(scope="module")
def good() -> list[Script]:
    return write_scripts(400, seed=8)


def red_gates(scripts: list[Script], clips: list[Clip] | None = None) -> set[str]:
    return {gate.name for gate in check(scripts, clips or ()).gates if not gate.passed}


def replaced(scripts: list[Script], index: int, **values: object) -> list[Script]:
    return [script.model_copy(update=values) if at == index else script for at, script in enumerate(scripts)]


def index_of(scripts: list[Script], kind: SliceType) -> int:
    return next(index for index, script in enumerate(scripts) if script.slice_type is kind)


def test_a_good_corpus_is_green(good: list[Script]) -> None:
    report = check(good)
    assert report.passed
    assert report.to_json()["passed"] is True
    assert report.scripts == 400


def test_two_scripts_alike(good: list[Script]) -> None:
    plain = index_of(good, SliceType.PLAIN)
    other = next(index for index, script in enumerate(good) if script.slice_type is SliceType.PLAIN and index != plain)
    scripts = replaced(good, other, tagged_text=good[plain].tagged_text)
    report = check(scripts)
    assert [gate.name for gate in report.gates if not gate.passed] == ["pairs with ROUGE-L >= 0.7"]
    assert report.similar_pairs == ((good[plain].id, good[other].id, 1.0),)


def test_a_slice_one_too_small(good: list[Script]) -> None:
    scripts = replaced(good, index_of(good, SliceType.LIGHT), slice_type=SliceType.EDGE)
    assert red_gates(scripts) == {"slice light", "slice edge"}


def test_a_script_in_the_wrong_slice(good: list[Script]) -> None:
    plain, light = index_of(good, SliceType.PLAIN), index_of(good, SliceType.LIGHT)
    scripts = replaced(good, plain, slice_type=SliceType.LIGHT)
    scripts = replaced(scripts, light, slice_type=SliceType.PLAIN)
    report = check(scripts)
    assert [gate.name for gate in report.gates if not gate.passed] == ["scripts whose tags do not fit their slice"]


def test_a_domain_too_large(good: list[Script]) -> None:
    scripts = [
        script.model_copy(update={"domain": Domain.PODCAST}) if index < 80 else script
        for index, script in enumerate(good)
    ]
    assert red_gates(scripts) == {"most frequent domain"}


def test_a_tag_that_is_missing(good: list[Script]) -> None:
    scripts = [
        script.model_copy(update={"tagged_text": script.tagged_text.replace("[clears throat]", "[laughs]")})
        for script in good
    ]
    assert red_gates(scripts) == {"scripts with [clears throat]"}


def test_rare_tags_that_are_not_raised(good: list[Script]) -> None:
    scripts = []
    for index, script in enumerate(good):
        text = script.tagged_text if index % 3 == 0 else script.tagged_text.replace("[gasps]", "[sighs]")
        scripts.append(script.model_copy(update={"tagged_text": text}))
    assert red_gates(scripts) == {"frequency of [gasps]"}


def test_pauses_and_capitals_that_are_too_many(good: list[Script]) -> None:
    scripts = []
    for script in good:
        text = script.tagged_text
        if parse(text).tags:
            text = text.replace("[sighs]", "[pause]") + " And that is REALLY all."
        scripts.append(script.model_copy(update={"tagged_text": text}))
    assert {"frequency of [pause]", "frequency of CAPITALS in tagged scripts"} <= red_gates(scripts)


def test_an_unknown_tag(good: list[Script]) -> None:
    light = index_of(good, SliceType.LIGHT)
    scripts = replaced(good, light, tagged_text=good[light].tagged_text + " [juggles]")
    gates = {gate.name: gate for gate in check(scripts).gates}
    assert not gates["unknown tags"].passed
    assert gates["unknown tags"].measured == "juggles (1)"


@pytest.mark.parametrize(("voices", "red"), [(5, set()), (4, {"most frequent voice"})])
def test_voices_share_the_clips(good: list[Script], voices: int, red: set[str]) -> None:
    clips = [
        Clip(
            id=f"{script.id}-0",
            script_id=script.id,
            tagged_text=script.tagged_text,
            audio="audio/a.flac",
            duration_s=1.0,
            voice=f"voice {index % voices}",
            engine="test",
            seed=0,
            slice_type=script.slice_type,
            domain=script.domain,
        )
        for index, script in enumerate(good)
    ]
    assert red_gates(good, clips) == red


def test_diversity_of_a_text_counted_by_hand() -> None:
    # Words: the cat saw the dog | the cat ran. Types: the cat saw dog ran. Pairs: the-cat cat-saw saw-the the-dog |
    # the-cat cat-ran: 5 of 6. Triples: the-cat-saw cat-saw-the saw-the-dog | the-cat-ran: 4 of 4.
    found = measure_diversity([parse("[sad] The CAT saw the dog."), parse("the cat [laughs] ran...")])
    assert (found.words, found.types, found.mean_words) == (8, 5, 4.0)
    assert found.type_token_ratio == pytest.approx(5 / 8)
    assert found.distinct_2 == pytest.approx(5 / 6)
    assert found.distinct_3 == 1.0


def test_an_empty_corpus_can_be_measured() -> None:
    assert not check([]).passed
