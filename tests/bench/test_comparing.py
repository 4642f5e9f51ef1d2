import json

import pytest

from evoxtral.bench.comparing import compare
from evoxtral.bench.metrics.registry import FIGURES
from evoxtral.errors import ScoreError

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


def test_a_better_system_is_better():
    references = {f"{copy}{id}": text for copy in range(20) for id, text in REFERENCES.items()}
    worse = {f"{copy}{id}": text for copy in range(20) for id, text in HYPOTHESES.items()}
    comparison = compare(references, {"worse": worse, "perfect": references})
    assert comparison.baseline == "worse"
    difference = comparison.differences["perfect"]["tags.f1"]
    assert difference.value == pytest.approx(3 / 11)
    assert difference.ci[0] > 0
    assert difference.p < 0.01
    assert comparison.differences["perfect"]["wer"].value == 0
    assert json.dumps(comparison.to_json(), allow_nan=False)


def test_a_system_does_not_differ_from_itself():
    for difference in compare(REFERENCES, {"a": HYPOTHESES, "b": HYPOTHESES}).differences["b"].values():
        assert difference.value in (0, None)
        assert difference.p in (1, None)


def test_exchanging_the_systems_changes_the_sign():
    forth = compare(REFERENCES, {"a": HYPOTHESES, "b": REFERENCES}).differences["b"]
    back = compare(REFERENCES, {"b": REFERENCES, "a": HYPOTHESES}).differences["a"]
    for name in FIGURES:
        if forth[name].value is not None:
            assert forth[name].value == -back[name].value
            assert forth[name].p == back[name].p


def test_pairing_finds_a_small_but_steady_difference():
    # Clips differ wildly in how hard they are, but the second system has one error less on each.
    references = {str(i): " ".join(["w"] * 20) for i in range(40)}
    first = {str(i): " ".join(["w"] * (20 - i % 10 - 1)) for i in range(40)}
    second = {str(i): " ".join(["w"] * (20 - i % 10)) for i in range(40)}
    comparison = compare(references, {"first": first, "second": second})
    assert comparison.reports["second"].figures["wer"].ci[1] > comparison.reports["first"].figures["wer"].ci[0]
    assert comparison.differences["second"]["wer"].ci == pytest.approx((-0.05, -0.05))


def test_one_system_is_not_enough():
    with pytest.raises(ScoreError, match="two systems"):
        compare(REFERENCES, {"a": HYPOTHESES})
