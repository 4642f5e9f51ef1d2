import jiwer
import pytest
from hypothesis import assume, given

from bench_texts import tagged_texts
from evoxtral.bench.metrics.paralinguistic_errors import events
from evoxtral.bench.scoring import score
from evoxtral.tags import parse


def pcer(references: list[str], hypotheses: list[str]) -> float | None:
    texts = dict(enumerate(references)), dict(enumerate(hypotheses))
    said, heard = ({str(id): text for id, text in side.items()} for side in texts)
    return score(said, heard, resamples=2).figures["paralinguistic.pcer"].value


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("[laughs] one [sighs] two", "one [laughs] [sighs] two", 0),  # where they stand does not count
        ("[laughs] one [sighs] two", "[sighs] one [laughs] two", 1),  # their order does: two substituted of two
        ("[laughs] one [sighs] two", "[laughs] one", 1 / 2),
        ("[laughs] one", "[laughs] [sighs] [gasps] one", 2),  # above 1
        ("[laughs] [sad] one [pause]", "[laughs] [angry] one", 0),  # emotions and pauses are no events
        ("[shh] one", "one [hums]", 1),  # a data set's own events are
        ("one", "[laughs] one", None),
    ],
)
def test_by_hand(reference, hypothesis, expected):
    assert pcer([reference], [hypothesis]) == expected


@given(tagged_texts(), tagged_texts(), tagged_texts(), tagged_texts())
def test_it_is_the_word_error_rate_of_the_events_alone(one, two, three, four):
    said, heard = (
        [" ".join(name.replace(" ", "_") for name in events(parse(text))) for text in texts]
        for texts in ((one, two), (three, four))
    )
    assume(all(said))
    assert pcer([one, two], [three, four]) == pytest.approx(jiwer.wer(said, heard))
