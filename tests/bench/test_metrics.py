import jiwer
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evoxtral.bench import metrics
from evoxtral.bench.alignment import align
from evoxtral.bench.metrics import Matches
from evoxtral.tags import TAG_TYPES, Category, insert_tags, parse

plain_words = st.lists(st.sampled_from(["so", "we", "went", "home", "and", "it", "rained."]), max_size=10)
names = st.sampled_from([tag_type.name for tag_type in TAG_TYPES] + ["sings"])


@st.composite
def tagged_texts(draw) -> str:
    words = draw(plain_words)
    return insert_tags(" ".join(words), draw(st.lists(st.tuples(st.integers(0, len(words)), names), max_size=5)))


def pair(reference: str, hypothesis: str):
    first, second = parse(reference), parse(hypothesis)
    return first, second, align([word.text for word in first.words], [word.text for word in second.words])


def presence(reference: str, hypothesis: str) -> dict[str, Matches]:
    return metrics.tag_presence([t.name for t in parse(reference).tags], [t.name for t in parse(hypothesis).tags])


def displacements(reference: str, hypothesis: str) -> list[int]:
    return sorted(found.displacement for found in metrics.match_tags(*pair(reference, hypothesis)))


class TestWordErrors:
    @given(st.lists(st.tuples(plain_words, plain_words), min_size=1, max_size=5))
    def test_agrees_with_jiwer(self, pairs):
        references, hypotheses = [" ".join(r) for r, _ in pairs], [" ".join(h) for _, h in pairs]
        words = np.sum([metrics.word_errors(r, h) for r, h in zip(references, hypotheses, strict=True)], axis=0)
        characters = np.sum(
            [metrics.character_errors(r, h) for r, h in zip(references, hypotheses, strict=True)], axis=0
        )
        assert metrics.error_rate(*words) == jiwer.wer(references, hypotheses)
        assert metrics.error_rate(*characters) == jiwer.cer(references, hypotheses)

    def test_by_hand(self):
        # went -> was (substituted), home (deleted), today (inserted)
        assert metrics.word_errors("we went  straight home", "today we was straight") == (3, 4)
        assert metrics.character_errors("abc d", "abd") == (2, 5)


class TestTagPresence:
    def test_repeated_tags_count_as_often_as_they_occur(self):
        assert presence("[laughs] a [laughs] b [sad] c", "[laughs] a b [angry] c") == {
            "angry": Matches(0, 0, 1),
            "laughs": Matches(1, 2, 1),
            "sad": Matches(0, 1, 0),
        }

    def test_aliases_count_as_their_tag_and_unknown_tags_as_themselves(self):
        assert presence("[laughs] a [sings]", "[giggles] a [Sings]") == {
            "laughs": Matches(1, 1, 1),
            "sings": Matches(1, 1, 1),
        }

    def test_empty(self):
        assert presence("", "") == {}

    @given(tagged_texts(), tagged_texts())
    def test_exchanging_the_texts_exchanges_precision_and_recall(self, first, second):
        forth, back = presence(first, second), presence(second, first)
        for name, found in forth.items():
            assert (found.matched, found.reference, found.hypothesis) == (
                back[name].matched,
                back[name].hypothesis,
                back[name].reference,
            )

    @given(tagged_texts(), tagged_texts(), st.data())
    def test_removing_a_correct_tag_never_raises_recall(self, reference, hypothesis, data):
        expected, written = ([tag.name for tag in parse(text).tags] for text in (reference, hypothesis))
        correct = [index for index, name in enumerate(written) if name in expected]
        if correct:
            removed = data.draw(st.sampled_from(correct))
            fewer = metrics.tag_presence(expected, written[:removed] + written[removed + 1 :])
            before = sum(found.matched for found in metrics.tag_presence(expected, written).values())
            assert sum(found.matched for found in fewer.values()) <= before


class TestTypeMatches:
    @pytest.mark.parametrize(
        ("reference", "hypothesis", "matched", "most"),
        [
            ("[angry] a", "[frustrated] a", 1, 1),  # one group
            ("[sad] a", "[laughs] a", 0, 1),
            ("[sad] a [crying] b", "[sad] a", 1, 2),  # one is missing
            ("[sighs] a", "[gasps] a [sighs] [pause]", 1, 3),  # two too many
            ("[sings] a", "[sings] a", 1, 1),
            ("a", "a", 0, 0),
        ],
    )
    def test_by_hand(self, reference, hypothesis, matched, most):
        assert metrics.type_matches(parse(reference), parse(hypothesis)) == (matched, most)


class TestMatchTags:
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
    def test_by_hand(self, reference, hypothesis, expected):
        assert displacements(reference, hypothesis) == expected

    @given(tagged_texts())
    def test_a_text_has_no_displacement_from_itself(self, text):
        assert displacements(text, text) == [0] * len(parse(text).tags)

    @given(tagged_texts(), tagged_texts())
    def test_as_many_are_matched_as_are_present(self, reference, hypothesis):
        matched = sum(found.matched for found in presence(reference, hypothesis).values())
        assert len(displacements(reference, hypothesis)) == matched


class TestScopeOverlap:
    @pytest.mark.parametrize(
        ("reference", "hypothesis", "shared", "either"),
        [
            ("[sad] a b c d", "[sad] a b c d", 4, 4),
            ("[sad] a b c d", "a [sad] b c d", 3, 4),
            ("[sad] a b c d", "[angry] a b c d", 0, 8),
            ("[sad] a b c d", "a b c d", 0, 4),
            ("[sad] a b c d", "[sad] a c d", 4, 4),  # a word missing inside
            ("[sad] a b c d", "[sad] a b x c d", 4, 4),  # a word inserted inside
            ("[sad] It rained. [sad] We left", "[sad] It rained. We left", 2, 4),
            ("[sad] a [angry] b c", "[sad] a b c", 1, 5),  # sad: 1 of 3; angry: 0 of 2
            ("[laughs] a b", "[laughs] a b", 0, 0),  # no scope
        ],
    )
    def test_by_hand(self, reference, hypothesis, shared, either):
        assert metrics.scope_overlap(*pair(reference, hypothesis), Category.EMOTION) == (shared, either)

    def test_delivery_apart_from_emotion(self):
        texts = pair("[sad] a [whispers] b c", "[sad] a b [whispers] c")
        assert metrics.scope_overlap(*texts, Category.DELIVERY) == (1, 2)
        assert metrics.scope_overlap(*texts, Category.EMOTION) == (3, 3)

    @given(tagged_texts(), tagged_texts())
    def test_no_more_is_shared_than_there_is(self, reference, hypothesis):
        shared, either = metrics.scope_overlap(*pair(reference, hypothesis), Category.EMOTION)
        assert 0 <= shared <= either
        shared, either = metrics.scope_overlap(*pair(reference, reference), Category.EMOTION)
        assert shared == either


class TestEmphasisMatches:
    @pytest.mark.parametrize(
        ("reference", "hypothesis", "expected"),
        [
            ("I NEVER saw the TV", "I NEVER saw the TV", Matches(1, 1, 1)),  # an acronym beside it
            ("I NEVER saw it", "I never SAW it", Matches(0, 1, 1)),
            ("I NEVER saw it", "well I NEVER EVER saw it", Matches(1, 1, 2)),
            ("I NEVER saw it", "I saw IT", Matches(0, 1, 1)),
            ("I NEVER, never NEVER", "I NEVER ever", Matches(1, 2, 1)),
            ("no stress", "no stress", Matches(0, 0, 0)),
        ],
    )
    def test_by_hand(self, reference, hypothesis, expected):
        assert metrics.emphasis_matches(*pair(reference, hypothesis)) == expected


class TestLegacy:
    def test_tag_f1(self):
        f1 = metrics.legacy_tag_f1
        assert f1(parse("[sad] a [laughs] b [laughs]"), parse("[laughs] a b")) == 2 * 1 / (3 + 1)
        assert f1(parse("[laughs] a"), parse("[giggles] a")) == 0  # no aliases then
        assert f1(parse("a"), parse("b")) == 1

    def test_emphasis_f1(self):
        f1 = metrics.legacy_emphasis_f1
        assert f1(parse("NO, the TV I SAW"), parse("NO, the TV I saw")) == 2 * 2 / (3 + 2)  # acronyms counted
        assert f1(parse("GET OUT"), parse("GET OUT")) == 1
        assert f1(parse("a"), parse("A b")) == 1

    def test_false_tags(self):
        assert metrics.legacy_false_tags(parse("[sad] a"), parse("[sad] a [sad] b [laughs]")) == (1, 3)


class TestFigures:
    def test_by_hand(self):
        assert metrics.precision(3, 6, 4) == 0.75
        assert metrics.recall(3, 6, 4) == 0.5
        assert metrics.f1(3, 6, 4) == 0.6
        assert metrics.rate(3, 60, per=100) == 5

    def test_nothing_found_and_nothing_to_find(self):
        assert metrics.precision(0, 5, 0) == metrics.recall(0, 0, 5) == metrics.f1(0, 5, 0) == metrics.f1(0, 0, 5) == 0
        assert metrics.precision(0, 0, 5) == 0
        assert np.isnan(
            [metrics.precision(0, 0, 0), metrics.recall(0, 0, 0), metrics.f1(0, 0, 0), metrics.rate(1, 0)]
        ).all()

    @given(st.integers(0, 50), st.integers(0, 50), st.integers(0, 50))
    def test_f1_is_the_harmonic_mean(self, matched, missed, superfluous):
        reference, hypothesis = matched + missed, matched + superfluous
        if matched:
            precision, recall = matched / hypothesis, matched / reference
            assert metrics.f1(matched, reference, hypothesis) == pytest.approx(2 / (1 / precision + 1 / recall))

    def test_macro_f1_averages_the_tags_of_the_reference(self):
        # f1 of the first 1, of the second 0.5; the third occurs in hypotheses only
        assert metrics.macro_f1([2, 1, 0], [2, 2, 0], [2, 2, 7]) == 0.75
        assert metrics.macro_f1([[1, 0], [0, 0]], [[1, 1], [0, 1]], [[1, 0], [0, 0]]) == pytest.approx([0.5, 0])

    @given(st.lists(st.integers(-5, 5), min_size=1, max_size=30))
    def test_histogram_median_is_the_median(self, values):
        bins = sorted(set(values))
        counts = [values.count(value) for value in bins]
        assert metrics.histogram_median(bins, counts) == np.median(values)

    def test_histogram_median_of_nothing(self):
        assert np.isnan(metrics.histogram_median([], []))
        assert np.isnan(metrics.histogram_median([1, 2], [[0, 0]])).all()
