"""ROUGE-L of all pairs against the textbook's dynamic programme."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoxtral.corpus.similarity import Encoder, SimilarityIndex, find_similar_pairs, rouge_l


def lcs_by_table(first: list[str], second: list[str]) -> int:
    """Length of the longest common subsequence, by the table of Wagner and Fischer."""
    row = [0] * (len(second) + 1)
    for word in first:
        previous = 0
        for column, other in enumerate(second, start=1):
            above = row[column]
            row[column] = previous + 1 if word == other else max(row[column], row[column - 1])
            previous = above
    return row[-1]


def rouge_by_table(first: list[str], second: list[str]) -> float:
    if not first and not second:
        return 1.0
    if not first or not second:
        return 0.0
    common = lcs_by_table(first, second)
    if common == 0:
        return 0.0
    precision, recall = common / len(first), common / len(second)
    return 2 * precision * recall / (precision + recall)


# Few words and long texts, so that texts share much and the limit is met exactly now and then.
texts = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat", "and", "ran"]), max_size=24)


@given(texts, texts)
@settings(max_examples=300)
def test_rouge_l_is_the_harmonic_mean_of_lcs_precision_and_recall(first: list[str], second: list[str]) -> None:
    encoder = Encoder()
    found = rouge_l(encoder.encode(" ".join(first)), encoder.encode(" ".join(second)))
    assert found == pytest.approx(rouge_by_table(first, second), abs=1e-12)


def test_rouge_l_of_lins_example() -> None:
    # Lin (2004), section 3: "police kill the gunman" against "police killed the gunman": LCS 3 of 4 words each.
    encoder = Encoder()
    assert rouge_l(encoder.encode("police killed the gunman"), encoder.encode("police kill the gunman")) == 0.75


@given(st.lists(texts, max_size=12), st.sampled_from([0.3, 0.5, 0.7, 0.9, 1.0]))
@settings(max_examples=150, deadline=None)
def test_every_pair_at_or_above_the_limit_is_found_and_no_other(corpus: list[list[str]], limit: float) -> None:
    found = {
        (pair.first, pair.second): pair.similarity
        for pair in find_similar_pairs([" ".join(words) for words in corpus], limit)
    }
    # The same fraction in whole numbers, free of rounding: 2 LCS / (m + n) >= limit.
    expected = {
        (i, j)
        for j in range(len(corpus))
        for i in range(j)
        if 20 * lcs_by_table(corpus[i], corpus[j]) >= round(10 * limit) * (len(corpus[i]) + len(corpus[j]))
    }
    assert set(found) == expected
    for (i, j), similarity in found.items():
        assert similarity == pytest.approx(rouge_by_table(corpus[i], corpus[j]))


def test_pairs_are_found_across_blocks() -> None:
    corpus = [f"number {index} of many, nothing like the others {index * 7} {index * 11}" for index in range(700)]
    corpus[3] = "the quick brown fox jumps over the lazy dog again"
    corpus[650] = "the quick brown fox leaps over the lazy dog again"
    pairs = find_similar_pairs(corpus, 0.85)
    assert [(pair.first, pair.second) for pair in pairs] == [(3, 650)]
    assert pairs[0].similarity == pytest.approx(0.9)


@pytest.mark.parametrize(
    ("first", "second", "similarity"),
    [
        # Other tags do not make a new text, wherever they stand ...
        ("[sad] I went home.", "I went [laughs] home.", 1.0),
        ("I went HOME!", "i went home", 1.0),
        # ... and in short texts the same tags make an old one: laughs, sighs, excited of four words each.
        ("[laughs] [sighs] [excited] Fine.", "[laughs] [sighs] [excited] Sure.", 0.75),
    ],
)
def test_texts_are_compared_without_and_with_their_tags(first: str, second: str, similarity: float) -> None:
    assert [pair.similarity for pair in find_similar_pairs([first, second], 0.7)] == [similarity]


@given(st.lists(texts.filter(bool), min_size=1, max_size=8), texts.filter(bool))
@settings(max_examples=100, deadline=None)
def test_the_index_knows_whether_anything_similar_was_added(seen: list[list[str]], new: list[str]) -> None:
    index = SimilarityIndex()
    for words in seen:
        index.add(" ".join(words))
    expected = max(rouge_by_table(words, new) for words in seen)
    if abs(expected - 0.65) > 1e-9:
        assert index.has_similar(" ".join(new), 0.65) == (expected > 0.65)


def test_more_words_than_the_basic_plane_has_characters() -> None:
    encoder = Encoder()
    numbers = encoder.encode(" ".join(map(str, range(70_000))))
    assert len(set(numbers)) == 70_000
    numbers.encode("utf-8")  # no surrogates
