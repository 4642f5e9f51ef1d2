"""Plans: quotas are met exactly, whatever exists already."""

import random
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoxtral.corpus.briefs import EdgeCase, plan, redeal
from evoxtral.corpus.composition import MEAN_TAGS, MEAN_WORDS, apportion, emphasis_share, target_tag_shares
from evoxtral.data.records import Domain, Script, SliceType
from evoxtral.tags import CANONICAL, USES, Category


def test_a_thousand_briefs_have_the_slices_domains_and_tags_of_the_targets() -> None:
    briefs = plan(1_000, seed=1)
    assert Counter(brief.slice_type for brief in briefs) == {
        SliceType.PLAIN: 250,
        SliceType.LIGHT: 250,
        SliceType.MODERATE: 250,
        SliceType.DENSE: 150,
        SliceType.EDGE: 100,
    }
    assert Counter(brief.domain for brief in briefs) == dict.fromkeys(Domain, 125)
    sizes = {
        SliceType.PLAIN: {0},
        SliceType.LIGHT: {1, 2},
        SliceType.MODERATE: {3, 4},
        SliceType.DENSE: {5, 6, 7, 8},
    }
    for kind, allowed in sizes.items():
        assert {len(brief.tags) for brief in briefs if brief.slice_type is kind} == allowed

    tags = Counter(tag for brief in briefs for tag in brief.tags)
    for tag, share in target_tag_shares().items():
        assert tags[tag] / tags.total() == pytest.approx(share, abs=0.01), tag
    tagged = [brief for brief in briefs if brief.tags]
    assert sum(brief.emphasis for brief in tagged) / len(tagged) == pytest.approx(0.528, abs=0.001)
    assert {brief.edge_case for brief in briefs if brief.slice_type is SliceType.EDGE} == set(EdgeCase)


def test_tag_targets_raise_rare_tags_and_halve_pauses() -> None:
    shares = target_tag_shares()
    assert sum(shares.values()) == pytest.approx(1)

    def per_thousand_words(tag: str) -> float:
        return 1_000 * shares[tag] * MEAN_TAGS / MEAN_WORDS

    # In a thousand words of the ICSI meetings people pause 9.35 times and stammer 0.658 times.
    assert per_thousand_words("pause") == pytest.approx(9.351 / 2)
    assert per_thousand_words("stammers") == pytest.approx(0.658 * 4)
    # Nobody cries there, and nine gasps in 765,000 words are no measure: three to nine scripts of a hundred.
    for tag in ("gasps", "crying"):
        assert shares[tag] * MEAN_TAGS == pytest.approx(0.06)
    # 32 words of a thousand are stressed; half of that is 528 words in 33,000 of 1,000 scripts, four in three scripts.
    assert emphasis_share() * 750 * 4 / 3 == pytest.approx(528)
    assert min(shares.values()) * MEAN_TAGS > 0.03


def test_a_script_has_as_many_tags_as_the_targets_assume() -> None:
    briefs = plan(5_000, seed=3)
    assert sum(len(brief.tags) for brief in briefs) / len(briefs) == pytest.approx(MEAN_TAGS, rel=0.02)


def test_edge_cases_can_be_heard() -> None:
    for brief in plan(3_000, seed=2):
        categories = [CANONICAL[tag].category for tag in brief.tags]
        if brief.edge_case is EdgeCase.BOUNDARY:
            assert brief.tags[0] != "pause"
            assert categories[-1] is Category.NON_VERBAL
        if brief.edge_case is EdgeCase.BACK_TO_BACK:
            assert categories.count(Category.EMOTION) <= 1
            assert categories.count(Category.DELIVERY) <= 1


def test_a_third_of_the_tags_are_not_given_away_by_the_words() -> None:
    briefs = plan(1_000, seed=1)
    labels = [told for brief in briefs for told in brief.told]
    assert len(labels) == sum(len(brief.tags) for brief in briefs)
    assert labels.count(False) == round(0.35 * len(labels))
    # Ambiguous scripts are so by their words: none of their tags is told.
    assert not any(any(brief.told) for brief in briefs if brief.edge_case is EdgeCase.AMBIGUOUS)


def test_people_talk_to_each_other_where_the_domain_is_talk() -> None:
    briefs = plan(1_000, seed=1)
    talking = (Domain.CONVERSATION, Domain.INTERVIEW, Domain.ARGUMENT)
    assert {brief.domain for brief in briefs if brief.speakers == 2} == set(talking)
    for domain in talking:
        fit = [
            brief.speakers
            for brief in briefs
            if brief.domain is domain and brief.edge_case in (None, EdgeCase.AMBIGUOUS, EdgeCase.VERY_LONG)
        ]
        assert fit.count(2) == round(0.8 * len(fit))
    redealt = [redeal(brief, random.Random(index)) for index, brief in enumerate(briefs)]
    assert {brief.domain for brief in redealt if brief.speakers == 2} == set(talking)
    assert all(len(brief.told) == len(brief.tags) for brief in redealt)


def test_moods_move_one_way() -> None:
    for brief in plan(1_000, seed=1):
        if brief.edge_case is not None or not brief.tags:
            assert brief.arc == ()
            continue
        stages = [
            min(brief.arc.index(mood) for mood in USES[tag].moods if mood in brief.arc)
            for tag in brief.tags
            if {*USES[tag].moods} & {*brief.arc}
        ]
        assert stages
        assert stages == sorted(stages)


def test_what_exists_counts_towards_every_target() -> None:
    # Half of the corpus exists and is lopsided: plain podcasts and one excited argument each other time.
    existing = [
        Script(
            id=str(index),
            tagged_text="Well then." if index % 2 else "[excited] Well then!",
            slice_type=SliceType.PLAIN if index % 2 else SliceType.LIGHT,
            domain=Domain.PODCAST if index % 2 else Domain.ARGUMENT,
            writer="test",
        )
        for index in range(100)
    ]
    briefs = plan(400, seed=0, existing=existing)
    assert len(briefs) == 300
    together = Counter(script.slice_type for script in existing) + Counter(brief.slice_type for brief in briefs)
    assert together == {
        SliceType.PLAIN: 100,
        SliceType.LIGHT: 100,
        SliceType.MODERATE: 100,
        SliceType.DENSE: 60,
        SliceType.EDGE: 40,
    }
    domains = Counter(script.domain for script in existing) + Counter(brief.domain for brief in briefs)
    assert max(domains.values()) <= 100
    tags = Counter(tag for brief in briefs for tag in brief.tags)
    assert (tags["excited"] + 50) / (tags.total() + 50) == pytest.approx(target_tag_shares()["excited"], abs=0.02)


def test_a_full_corpus_needs_nothing() -> None:
    script = Script(id="a", tagged_text="A.", slice_type=SliceType.PLAIN, domain=Domain.PODCAST, writer="test")
    assert plan(1, existing=[script]) == []


def test_the_seed_decides() -> None:
    assert plan(50, seed=4) == plan(50, seed=4)
    assert plan(50, seed=4) != plan(50, seed=5)


@given(total=st.integers(0, 5_000), weights=st.lists(st.integers(1, 100), min_size=1, max_size=20))
@settings(max_examples=200)
def test_apportioned_numbers_sum_up_and_stay_within_one_of_their_share(total: int, weights: list[int]) -> None:
    shares = {index: weight / sum(weights) for index, weight in enumerate(weights)}
    counts = apportion(total, shares)
    assert sum(counts.values()) == total
    assert all(abs(counts[index] - total * share) < 1 + 1e-6 for index, share in shares.items())
