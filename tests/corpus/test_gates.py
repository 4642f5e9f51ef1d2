"""Gates: each turns red for what it is there for, and only for that."""

from collections.abc import Callable

import pytest

from evoxtral.corpus.gates import Gate, check, measure_diversity
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
        text = script.tagged_text if index % 2 == 0 else script.tagged_text.replace("[stammers]", "[sad]")
        scripts.append(script.model_copy(update={"tagged_text": text}))
    assert red_gates(scripts) == {"frequency of [stammers]"}


def test_pauses_and_capitals_that_are_too_many(good: list[Script]) -> None:
    scripts = []
    for script in good:
        text = script.tagged_text
        if parse(text).tags:
            text = text.replace("[sighs]", "[pause]") + " And that is REALLY all."
        scripts.append(script.model_copy(update={"tagged_text": text}))
    assert {"frequency of [pause]", "frequency of CAPITALS"} <= red_gates(scripts)


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


# --- each gate at its edge: the limit itself passes, one script or tag beyond it does not ----------------------------


def corpus(texts: list[str], domains: list[Domain] | None = None, kind: SliceType = SliceType.EDGE) -> list[Script]:
    return [
        Script(
            id=str(index),
            tagged_text=text,
            slice_type=kind,
            domain=domains[index] if domains else Domain.PODCAST,
            writer="test",
        )
        for index, text in enumerate(texts)
    ]


def passes(name: str, scripts: list[Script], clips: list[Clip] | None = None) -> bool:
    return next(gate.passed for gate in check(scripts, clips or ()).gates if gate.name == name)


@pytest.mark.parametrize(("first", "passed"), [(25, True), (26, False)])
def test_a_quarter_of_one_domain_is_the_most(first: int, passed: bool) -> None:
    others = [domain for domain in Domain if domain is not Domain.VOICEMAIL]
    domains = [Domain.VOICEMAIL] * first + [others[index % len(others)] for index in range(100 - first)]
    assert passes("most frequent domain", corpus([f"Text {index}." for index in range(100)], domains)) is passed


@pytest.mark.parametrize(("with_tag", "passed"), [(3, True), (2, False)])
def test_three_scripts_of_a_hundred_are_enough_for_a_tag(with_tag: int, passed: bool) -> None:
    texts = [f"[calm] Text {index}." if index < with_tag else f"Text {index}." for index in range(100)]
    assert passes("scripts with [calm]", corpus(texts)) is passed


@pytest.mark.parametrize(("number", "passed"), [(198, True), (197, False), (329, True), (330, False)])
def test_people_stammer_in_scripts_three_to_five_times_as_often_as_in_meetings(number: int, passed: bool) -> None:
    # 65.8 times in 100,000 words there.
    scripts = corpus(["[stammers] word " * number + "word " * (100_000 - number)])
    assert passes("frequency of [stammers]", scripts) is passed


@pytest.mark.parametrize(("with_tag", "passed"), [(3, True), (2, False), (9, True), (10, False)])
@pytest.mark.parametrize("tag", ["gasps", "crying"])
def test_what_meetings_do_not_have_is_in_three_to_nine_scripts_of_a_hundred(
    tag: str, with_tag: int, passed: bool
) -> None:
    texts = [f"[{tag}] Text {index}." if index < with_tag else f"Text {index}." for index in range(100)]
    assert passes(f"frequency of [{tag}]", corpus(texts)) is passed


@pytest.mark.parametrize(("pauses", "passed"), [(328, True), (607, True), (327, False), (608, False)])
def test_pauses_are_about_half_as_frequent_as_in_meetings(pauses: int, passed: bool) -> None:
    # 935.1 in 100,000 words there: a factor of 0.35 to 0.65.
    texts = ["[pause] word " * pauses + "word " * (100_000 - pauses)]
    assert passes("frequency of [pause]", corpus(texts)) is passed


@pytest.mark.parametrize(("stressed", "passed"), [(112, True), (208, True), (111, False), (209, False)])
def test_capitals_are_about_half_as_frequent_as_in_meetings(stressed: int, passed: bool) -> None:
    # 320 words of 10,000 are stressed there.
    texts = ["WORD " * stressed + "word " * (10_000 - stressed)]
    assert passes("frequency of CAPITALS", corpus(texts)) is passed


@pytest.mark.parametrize(
    ("kind", "tags", "passed"),
    [
        (SliceType.PLAIN, 0, True),
        (SliceType.PLAIN, 1, False),
        (SliceType.LIGHT, 0, False),
        (SliceType.LIGHT, 1, True),
        (SliceType.LIGHT, 2, True),
        (SliceType.LIGHT, 3, False),
        (SliceType.MODERATE, 2, False),
        (SliceType.MODERATE, 3, True),
        (SliceType.MODERATE, 4, True),
        (SliceType.MODERATE, 5, False),
        (SliceType.DENSE, 4, False),
        (SliceType.DENSE, 5, True),
        (SliceType.DENSE, 50, True),
        (SliceType.EDGE, 0, True),
    ],
)
def test_slices_hold_texts_of_their_number_of_tags(kind: SliceType, tags: int, passed: bool) -> None:
    scripts = corpus(["[sad] " * tags + "Text."], kind=kind)
    assert passes("scripts whose tags do not fit their slice", scripts) is passed


@pytest.mark.parametrize(("shared", "passed"), [(7, False), (6, True)])
def test_two_texts_at_the_very_limit_are_too_much_alike(shared: int, passed: bool) -> None:
    # Of ten words each, seven in common: precision, recall and F are 0.7.
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    other = words[:shared] + [f"other{index}" for index in range(10 - shared)]
    scripts = corpus([" ".join(words), " ".join(other)])
    assert passes("pairs with ROUGE-L >= 0.7", scripts) is passed


def test_a_related_event_is_known_and_counts_for_no_share() -> None:
    scripts = corpus(["[coughs] [sad] Text."])
    gates = {gate.name: gate for gate in check(scripts).gates}
    assert gates["unknown tags"].passed
    assert "scripts with [coughs]" not in gates


def test_a_stated_share_of_the_labelled_tags_is_not_told() -> None:
    def gate(*labels: tuple[bool, ...] | None) -> Gate:
        scripts = [
            Script(
                id=str(index),
                tagged_text=" ".join("[sad] No." for _ in told or (1,)),
                told=told,
                slice_type=SliceType.LIGHT,
                domain=Domain.PODCAST,
                writer="test",
            )
            for index, told in enumerate(labels)
        ]
        (found,) = [gate for gate in check(scripts).gates if gate.name == "tags that the words do not give away"]
        return found

    assert gate((True, False), (True,), None).passed  # one of three; the third script says nothing
    assert gate((True, False), (True,)).measured == "33.3% of 3 labelled tags"
    assert not gate((True, True), (True, True)).passed
    assert not gate((False, False), (True,)).passed
    assert gate(None, None).passed
    assert gate(None).measured == "no tag is labelled"
