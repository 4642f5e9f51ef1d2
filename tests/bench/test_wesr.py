import difflib
import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evoxtral.bench.wesr import CLASSES, TAGS, count_slots, score_wesr, slots, tokens
from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError

# --- the published definition once more, written for these tests by itself -------------------------------------------

TAG = r"\[[^\]]+\]|<[^>/]+>|</[^>]+>"


def expected_scores(pairs, by_class: bool) -> dict[str, dict[str, float]]:
    outcomes: dict[str, list[int]] = {}
    for said, heard in pairs:
        said_tokens, heard_tokens = words_and_tags(said, by_class), words_and_tags(heard, by_class)
        truth = marked_places(said_tokens)
        guess = marked_places(moved(heard_tokens, [t for t in said_tokens if not re.match(TAG, t)]))
        for name in {name for _, name in truth | guess}:
            both = outcomes.setdefault(name, [0, 0, 0])
            one = {place for place, tag in truth if tag == name}
            other = {place for place, tag in guess if tag == name}
            both[0] += len(one & other)
            both[1] += len(other - one)
            both[2] += len(one - other)
    kept = {name: counts for name, counts in outcomes.items() if name in (CLASSES if by_class else TAGS)}
    each = {name: ratios(*counts) for name, counts in kept.items()}
    sums = [sum(counts[index] for counts in kept.values()) for index in range(3)]
    mean = tuple(sum(ratio[index] for ratio in each.values()) / max(len(each), 1) for index in range(3))
    return {**each, "micro": ratios(*sums), "macro": mean}


def ratios(tp: int, fp: int, fn: int) -> tuple[float, float, float]:
    precision = tp / (tp + fp) if tp else 0.0
    recall = tp / (tp + fn) if tp else 0.0
    return precision, recall, 2 / (1 / precision + 1 / recall) if tp else 0.0


def words_and_tags(text: str, by_class: bool) -> list[str]:
    kept = "".join(c for c in text if re.match(r"[\w\s]", c) or c in "[]<>/")
    kept = re.sub(r"\[S[0-9]+\]", "", kept)
    found = [t if re.match(TAG, t) else t.lower() for t in re.findall(TAG + "|[a-zA-Z0-9]+", kept)]
    if by_class:
        for name, members in CLASSES.items():
            forms = {f"[{m}]": f"[{name}]" for m in members}
            forms |= {f"<{m}>": f"<{name}>" for m in members} | {f"</{m}>": f"</{name}>" for m in members}
            found = [forms.get(t, t) for t in found]
    return found


def moved(heard: list[str], said: list[str]) -> list[str]:
    """Edits one after the other on a growing list, with the place of each given by the edits before."""
    out, drift = heard[:], 0
    for what, a, b, c, d in difflib.SequenceMatcher(a=heard, b=said).get_opcodes():
        if what == "insert":
            out = out[: a + drift] + said[c:d] + out[a + drift :]
            drift += d - c
        elif what == "delete":
            for i in range(a, b):
                place = i + drift
                if not re.match(TAG, heard[i]):
                    out[place] = None
            drift -= sum(not re.match(TAG, token) for token in heard[a:b])
        elif what == "replace":
            lone_tag = b - a == 1 and re.match(TAG, heard[a])
            begin = a + drift
            out = out[:begin] + said[c:d] + out[begin if lone_tag else begin + b - a :]
            drift += d - c if lone_tag else (d - c) - (b - a)
            for i in [] if lone_tag else range(a, b):
                if re.match(TAG, heard[i]):
                    beside = heard[a + 1] if i == a else heard[i - 1]
                    scores = [
                        difflib.SequenceMatcher(None, beside, out[j]).ratio()
                        for j in range(begin, min(begin + d - c, len(out)))
                    ]
                    at = begin + (scores.index(max(scores)) if scores else 0)
                    out.insert(at if i == a else at + 1, heard[i])
                    drift += 1
    return [token for token in out if token is not None]


def marked_places(found: list[str]) -> set[tuple[float, str]]:
    """(place, tag): whole numbers count the words before a tag, halves are words under a span."""
    marked, running, n = set(), {}, 0
    for token in found:
        opening, closing = re.match(r"<([a-zA-Z][^>/\s]*)>", token), re.match(r"</([a-zA-Z][^>\s]*)>", token)
        if re.match(r"\[[^\]]+\]", token):
            marked.add((n, token[1 : token.index("]")]))
        elif opening or closing:
            name = (opening or closing)[1]
            if name in running:
                begun = running.pop(name)
                under = max(n - begun, 0)
                # Of a span of one word this word, of a longer one all but the last.
                marked |= {(begun + i + 0.5, name) for i in range(1 if under == 1 else max(under - 1, 0))}
            elif closing:
                marked.add((n, name))
            else:
                running[name] = n
        else:
            n += 1
    return marked | {(begun + 0.5, name) for name, begun in running.items()}


WORDS = ["so", "We", "went", "home,", "can't", "I", "42", "café", "homes", "wet"]
MARKS = [f"[{tag}]" for tag in (*TAGS[:6], "unknown", "S1", "two words")]
MARKS += [mark for tag in ("laughing", "crying", "whispering", "odd") for mark in (f"<{tag}>", f"</{tag}>")] + [
    "<1>",
    "<",
    "[",
    "]",
    "/",
]
texts = st.lists(st.sampled_from(WORDS + MARKS), max_size=14).map(" ".join)


@settings(max_examples=400, deadline=None)
@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4), st.booleans())
def test_it_agrees_with_the_definition_written_a_second_time(pairs, by_class):
    references = [Reference(id=str(index), text=said) for index, (said, _) in enumerate(pairs)]
    hypotheses = {str(index): heard for index, (_, heard) in enumerate(pairs)}
    report = score_wesr(references, hypotheses, by_class=by_class, resamples=2)
    found = {
        name: tuple(values[s].value for s in ("precision", "recall", "f1")) for name, values in report.per_tag.items()
    }
    for kind in ("micro", "macro"):
        found[kind] = tuple(report.figures[f"{kind}.{side}"].value for side in ("precision", "recall", "f1"))
    expected = expected_scores(pairs, by_class)
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, abs=1e-9), name


@pytest.mark.parametrize(
    ("reference", "hypothesis", "expected"),
    [
        ("I see [laughs] you", "I see [laughs] you", {"tp/laughs": 1}),
        ("I see [laughs] you", "I [laughs] see you", {"fp/laughs": 1, "fn/laughs": 1}),
        ("I see [laughs] [laughs] you", "I see [laughs] you", {"tp/laughs": 1}),  # a set a slot
        ("[S1] I see.", "i SEE [cough]", {"fp/cough": 1}),
        ("<crying>no</crying> way", "<crying>no</crying> way", {"tp/crying": 1}),
        ("I see [sigh] you", "I sea [sigh] you", {"tp/sigh": 1}),  # at the word that stands for it
        ("a <crying>b c d</crying> e", "a <crying>b</crying> c d e", {"tp/crying": 1, "fn/crying": 1}),
        ("", "", {}),
    ],
)
def test_slots_by_hand(reference, hypothesis, expected):
    assert count_slots(reference, hypothesis) == expected


def test_classes_gather_their_tags():
    assert count_slots("I [giggle] see", "I [laughs] see") == {"fp/laughs": 1, "fn/giggle": 1}
    assert count_slots("I [giggle] see", "I [laughs] see", by_class=True) == {"tp/LAUGH": 1}
    assert tokens("<shouting>no</shouting>", by_class=True) == ["<SHOUT>", "no", "</SHOUT>"]


def test_chinese_is_compared_by_sound():
    pytest.importorskip("pypinyin")
    assert tokens("他们[laughs]，OK") == ["ta", "men", "[laughs]", "ok"]
    assert count_slots("他[laughs]好", "她[laughs]好") == {"tp/laughs": 1}


def test_what_published_figures_leave_out():
    references = [Reference(id=str(i), text=f"word {i} [laughs]") for i in range(20)]
    hypotheses = {str(i): f"word {i} [laughs]" if i % 2 else f"word {i}" for i in range(20)}
    report = score_wesr(references, hypotheses)
    low, high = report.figures["micro.recall"].ci
    assert low < 0.5 < high
    del hypotheses["3"]
    with pytest.raises(ScoreError, match="1 reference without hypothesis: 3"):
        score_wesr(references, hypotheses)
    written = score_wesr(references, hypotheses, allow_missing=True)
    assert written.missing == ("3",)
    assert json.dumps(written.to_json(), allow_nan=False)
    assert "| laughs | 1.00 | 0.45 |" in written.to_markdown()


def test_a_span_that_never_ends_fills_its_first_word():
    assert slots(["a", "<crying>", "b", "c"]) == {3: {"crying"}}
