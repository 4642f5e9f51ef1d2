from collections import Counter
from itertools import combinations, permutations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench_texts import clip, tagged_texts
from evoxtral.bench import tag_matching
from evoxtral.bench.tag_matching import displacement, match_near, match_places, match_tags
from evoxtral.tags import parse


def displacements(reference: str, hypothesis: str) -> list[int]:
    texts = clip(reference, hypothesis)
    return sorted(found.displacement for found in match_tags(texts.reference, texts.hypothesis, texts.alignment))


@st.composite
def places(draw, most: int = 5) -> tuple[list[int], list[tuple[int, int]]]:
    """Gaps of reference tags, and ranges of hypothesis tags as projections give them: parts of a line."""
    last = draw(st.integers(0, 8))
    starts = sorted({0, *draw(st.lists(st.integers(0, last), max_size=8))})
    cells = list(zip(starts, [*(start - 1 for start in starts[1:]), last], strict=True))
    gaps = sorted(draw(st.lists(st.integers(0, last), max_size=most)))
    return gaps, sorted(draw(st.lists(st.sampled_from(cells), max_size=most)))


def best(gaps, ranges) -> tuple[int, int]:
    """Least sum of distances of all largest matchings, and the fewest pairs of these that are not exact: by trial."""
    if len(gaps) > len(ranges):
        sides = [
            list(zip(rows, range(len(ranges)), strict=True))
            for chosen in combinations(range(len(gaps)), len(ranges))
            for rows in permutations(chosen)
        ]
    else:
        sides = [
            list(zip(range(len(gaps)), columns, strict=True)) for columns in permutations(range(len(ranges)), len(gaps))
        ]
    return min(cost(gaps, ranges, pairs) for pairs in sides)


def cost(gaps, ranges, pairs) -> tuple[int, int]:
    distances = [abs(displacement(gaps[row], ranges[column])) for row, column in pairs]
    return sum(distances), sum(distance > 0 for distance in distances)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("a b [laughs] c d", "a b [laughs] c d", [0]),
        ("a b [laughs] c d", "a b c d [laughs]", [2]),  # too late
        ("a b [laughs] c d", "[laughs] a b c d", [-2]),  # too early
        ("a b [laughs] c d", "a x [laughs] c d", [0]),  # the word before is substituted
        ("a b [laughs] c d", "a b x [laughs] c d", [0]),  # a word is inserted before
        ("a b [laughs] c d", "a b [laughs] x c d", [0]),  # and after
        ("a b [laughs] c d", "a [laughs] d", [0]),  # b and c are missing: it may stand between them
        ("a b c [laughs] d", "a [laughs] b d", [-2]),
        ("[laughs] a b [laughs]", "[laughs] a b [laughs]", [0, 0]),  # both ends
        ("a [laughs] [sad] b", "a [sad] [laughs] b", [0, 0]),  # several in one gap, in any order
        ("a [laughs] b [laughs] c", "a b [laughs] c [laughs]", [0, 2]),  # exact ones first
        ("a [laughs] b c", "a [giggles] b c", [0]),
        ("a [laughs] b [sad] c", "a [sad] b [laughs] c", [-1, 1]),  # never matched across names
        ("a [laughs] b", "a [laughs] b [laughs]", [0]),  # the one too many has no place
        ("a [sings] b", "a b [sings]", [1]),
        ("[laughs]", "[laughs]", [0]),
        ("a b", "a [laughs] b", []),
        ("", "", []),
    ],
)
def test_by_hand(reference, hypothesis, expected):
    assert displacements(reference, hypothesis) == expected


@given(tagged_texts())
def test_a_text_has_no_displacement_from_itself(text):
    assert displacements(text, text) == [0] * len(parse(text).tags)


@given(tagged_texts(), tagged_texts())
def test_as_many_are_matched_as_are_present(reference, hypothesis):
    expected, written = (Counter(tag.name for tag in parse(text).tags) for text in (reference, hypothesis))
    assert len(displacements(reference, hypothesis)) == (expected & written).total()


@given(places())
@example(([0, 6], [(0, 0), (1, 5)]))
def test_the_matching_is_the_best_of_all(case):
    gaps, ranges = case
    pairs = match_places(gaps, ranges)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(len(gaps), len(ranges))
    assert cost(gaps, ranges, pairs) == best(gaps, ranges)


@given(places(most=12))
def test_blocks_match_as_many_and_lose_nothing_where_every_tag_has_its_place(case):
    gaps, ranges = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tag_matching, "_BLOCK", 2)
        pairs = match_places(gaps, ranges)
        exact = match_places(gaps, [(gap, gap) for gap in gaps])
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == min(len(gaps), len(ranges))
    assert len(pairs) == min(len(gaps), len(ranges))
    assert cost(gaps, [(gap, gap) for gap in gaps], exact) == (0, 0)


def test_many_tags_of_one_name_in_one_place_and_far_from_each_other():
    # None stands where another does; a matrix of all pairs would hold 10^10 numbers.
    assert match_places([0] * 100_000, [(0, 0)] * 90_000) == [(index, index) for index in range(90_000)]
    pairs = match_places([0] * 100_000, [(7, 7)] * 90_000)
    assert len({row for row, _ in pairs}) == len({column for _, column in pairs}) == 90_000


@given(places(), st.integers(0, 3))
def test_near_ones_are_paired_as_many_as_can_be_and_nearest(case, reach):
    gaps, ranges = case
    pairs = match_near(gaps, ranges, reach)
    assert all(abs(displacement(gaps[row], ranges[column])) <= reach for row, column in pairs)
    assert (-len(pairs), cost(gaps, ranges, pairs)[0]) == min(
        (-len(chosen), cost(gaps, ranges, chosen)[0]) for chosen in matchings(gaps, ranges, reach)
    )


def matchings(gaps, ranges, reach, row=0):
    """All one-to-one matchings of what is within reach."""
    if row == len(gaps):
        yield []
        return
    for rest in matchings(gaps, ranges, reach, row + 1):
        yield rest
        for column, place in enumerate(ranges):
            if abs(displacement(gaps[row], place)) <= reach and column not in {taken for _, taken in rest}:
                yield [(row, column), *rest]
