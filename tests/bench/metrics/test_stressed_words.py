import pytest

from bench_texts import clip
from evoxtral.bench.metrics.stressed_words import emphasis_matches
from evoxtral.bench.metrics.tag_presence import Matches


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
def test_by_hand(reference, hypothesis, expected):
    texts = clip(reference, hypothesis)
    assert emphasis_matches(texts.reference, texts.hypothesis, texts.alignment) == expected
