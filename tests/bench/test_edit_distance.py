import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from evoxtral.bench import edit_distance
from evoxtral.bench.edit_distance import character_distance, cut, distance, partners

words = st.lists(st.sampled_from(["a", "b", "c", "dd", "e", "f", "g", "h"]), max_size=30)


@given(words, words)
def test_short_texts_are_exact(reference, hypothesis):
    assert distance(reference, hypothesis) == Levenshtein.distance(reference, hypothesis)
    expected = Levenshtein.distance(" ".join(reference), " ".join(hypothesis))
    assert character_distance(reference, hypothesis) == expected


@given(words, words, st.integers(1, 40))
@example(["a", "a", "a", "a", "b", "c"], ["b", "b", "a", "c", "a", "a"], 1)
def test_cut_texts_are_covered_once_and_never_judged_better_than_exact(reference, hypothesis, cells):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edit_distance, "_PIECE_TOKENS", 3)
        pieces = cut(reference, hypothesis, cells)
        bound = distance(reference, hypothesis, cells)
        characters = character_distance(reference, hypothesis, cells)
        found = partners(reference, hypothesis, cells)
    assert [i for piece in pieces for i in range(piece.reference_first, piece.reference_last)] == [
        *range(len(reference))
    ]
    assert [i for piece in pieces for i in range(piece.hypothesis_first, piece.hypothesis_last)] == [
        *range(len(hypothesis))
    ]
    assert all(piece.equal or piece.cells <= cells for piece in pieces)
    # Cuts may stand where the best script has none: then it may cost more than replacing everything, never more than
    # deleting one text and inserting the other.
    assert Levenshtein.distance(reference, hypothesis) <= bound <= len(reference) + len(hypothesis)
    assert Levenshtein.distance(" ".join(reference), " ".join(hypothesis)) <= characters
    # The script is one: increasing partners, and as many edits as it says.
    kept = [index for index in found if index is not None]
    assert kept == sorted(set(kept))
    replaced = sum(
        index is not None and reference[index] != word for index, word in zip(found, hypothesis, strict=True)
    )
    assert replaced + found.count(None) + len(reference) - len(kept) == bound


def test_long_texts_that_agree_here_and_there_are_still_exact():
    draw = random.Random(1)
    reference = [f"w{index}" if index % 50 == 0 else draw.choice("abcdefgh") for index in range(40_000)]
    hypothesis = [word for word in reference if draw.random() > 0.02]
    for place in range(0, len(hypothesis), 97):
        hypothesis[place] = "changed"
    exact = Levenshtein.distance(reference, hypothesis)
    assert distance(reference, hypothesis, 10_000_000) == exact
    assert len(cut(reference, hypothesis, 10_000_000)) > 10


def test_texts_of_millions_of_words_without_a_common_one():
    assert distance(["a"] * 1_000_000, ["b"] * 900_000) == 1_000_000
    assert distance(["a"] * 1_000_000, []) == 1_000_000
