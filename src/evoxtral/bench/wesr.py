"""The scorer of WESR-Bench (Yang et al. 2026, arXiv 2601.04508): vocal events by the words between which they stand.

A reproduction of the published scorer (github.com/Cr-Fish/WESR, eval/eval.py, "combined"), so that figures can be put
beside published ones: punctuation and speaker marks are dropped; a text is words, single Chinese characters (as
pinyin) and tags; the words of the hypothesis are replaced by those of the reference along difflib's edit script, which
takes the hypothesis tags to places among the reference words; a tag then fills a slot, between two words (`[tag]`) or
on one (`<tag>...</tag>`), once however often it is written there.

    precision = TP / (TP + FP),  recall = TP / (TP + FN),  F1 = their harmonic mean,  all 0 where undefined

over slots; micro: summed over tags; macro: mean over the tags that occur. Two slips of the published scorer are part of
its figures, and are kept: after words that the hypothesis has too many, later edits land too early, and a span of
several words does not fill its last. What it does not have is added: intervals, and an error for missing hypotheses.

Knows texts in WESR's dialect and nothing of ours.
"""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import SequenceMatcher
from functools import cached_property
from typing import Any

import numpy as np

from evoxtral import markdown
from evoxtral.bench.bootstrap import Estimate, estimate, resampled
from evoxtral.bench.counts import Counts, Floats, Totals, count_matrix
from evoxtral.bench.formulas import rate
from evoxtral.bench.matching import match_ids
from evoxtral.bench.metrics.metric import Figure
from evoxtral.bench.plots import number, with_interval
from evoxtral.bench.scoring import RESAMPLES
from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError

TAGS = (
    *("inhale", "cough", "laughs", "laughing", "crowd_laughter", "chuckle", "shout", "sobbing", "cry", "giggle"),
    *("exhale", "sigh", "clear_throat", "roar", "scream", "breathing", "crying", "panting", "shouting", "singing"),
    "whispering",
)
CLASSES: Mapping[str, tuple[str, ...]] = {
    "LAUGH": ("laughs", "laughing", "chuckle", "giggle", "chortle", "crowd_laughter"),
    "SHOUT": ("scream", "roar", "shout", "shouting"),
    "WHISPERING": ("whispering",),
    "SINGING": ("singing",),
    "BREATHING": ("inhale", "exhale", "panting", "sigh", "breathing"),
    "COUGH": ("cough", "clear_throat"),
    "CRYING": ("crying", "sobbing", "cry"),
}
"""The seven big classes and their tags."""

_CLASS_OF = {tag: name for name, tags in CLASSES.items() for tag in tags}
_DROPPED = re.compile(r"[^\w\s\[\]<>/]")
_SPEAKER = re.compile(r"\[S\d+\]")
_CHINESE = re.compile(r"[\u4e00-\u9fff]")
_TAG = re.compile(r"\[[^\]]+\]|<[^>/]+>|</[^>]+>")
_TOKEN = re.compile(rf"{_TAG.pattern}|{_CHINESE.pattern}|[a-zA-Z0-9]+")
_POINT = re.compile(r"\[([^\]]+)\]")
_SPAN_START = re.compile(r"<([a-zA-Z][^>/\s]*)>")
_SPAN_END = re.compile(r"</([a-zA-Z][^>\s]*)>")


@dataclass(frozen=True)
class WesrReport:
    """Scores of one system by WESR-Bench's definitions.

    Attributes:
        clips: what was counted in each.
        units: the script of each clip; clips of one script are drawn together for the intervals.
        names: the tags or classes that count.
    """

    clips: tuple[Counts, ...]
    units: tuple[str, ...]
    names: tuple[str, ...]
    missing: tuple[str, ...] = ()
    resamples: int = RESAMPLES
    seed: int = 0

    @cached_property
    def figures(self) -> dict[str, Estimate]:
        """`micro.precision`, `macro.f1` and so on."""
        return {
            f"{kind}.{side}": self._estimate(_figure(self.names, kind == "macro", side))
            for kind in ("micro", "macro")
            for side in ("precision", "recall", "f1")
        }

    @cached_property
    def per_tag(self) -> dict[str, dict[str, Estimate]]:
        """The same for each tag that occurs."""
        return {
            name: {side: self._estimate(_figure([name], False, side)) for side in ("precision", "recall", "f1")}
            for name in self.names
            if any(self._totals[f"{outcome}/{name}"] for outcome in ("tp", "fp", "fn"))
        }

    def to_json(self) -> dict[str, Any]:
        tree: dict[str, Any] = {"micro": {}, "macro": {}}
        for name, value in self.figures.items():
            kind, side = name.split(".")
            tree[kind][side] = asdict(value)
        tree["per_tag"] = {
            name: {
                **{side: asdict(value) for side, value in values.items()},
                **{outcome: int(self._totals[f"{outcome}/{name}"]) for outcome in ("tp", "fp", "fn")},
            }
            for name, values in self.per_tag.items()
        }
        return {"clips": len(self.clips), "missing": list(self.missing), **tree}

    def to_markdown(self) -> str:
        rows = [
            [
                markdown.escape(name),
                *(number(values[side].value) for side in ("precision", "recall")),
                with_interval(values["f1"]),
            ]
            for name, values in self.per_tag.items()
        ]
        for kind in ("micro", "macro"):
            rows.append(
                [f"**{kind}**", *(with_interval(self.figures[f"{kind}.{s}"]) for s in ("precision", "recall", "f1"))]
            )
        return markdown.table(["tag", "precision", "recall", "F1"], rows) + "\n"

    def _estimate(self, figure: Figure) -> Estimate:
        return estimate(figure, self._totals, self._samples)

    @cached_property
    def _counted(self) -> tuple[dict[str, int], Floats]:
        return count_matrix(self.clips, self.units)

    @cached_property
    def _totals(self) -> Totals:
        columns, matrix = self._counted
        return Totals(columns, matrix.sum(axis=0))

    @cached_property
    def _samples(self) -> Totals | None:
        columns, matrix = self._counted
        if len(matrix) < 2:
            return None
        return Totals(columns, resampled(matrix, resamples=self.resamples, seed=self.seed))


def score_wesr(
    references: Sequence[Reference],
    hypotheses: Mapping[str, str],
    *,
    by_class: bool = False,
    allow_missing: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> WesrReport:
    """Score texts in WESR's dialect.

    Args:
        by_class: count the seven big classes instead of the 21 tags.
        allow_missing, resamples, seed: as in `scoring.score`.

    Raises:
        ScoreError: ids do not match, or Chinese text without pypinyin.
    """
    texts, missing = match_ids(references, hypotheses, allow_missing=allow_missing)
    names = tuple(CLASSES) if by_class else TAGS
    clips = tuple(
        count_slots(reference.text, text, by_class=by_class) for reference, text in zip(references, texts, strict=True)
    )
    units = tuple(reference.unit for reference in references)
    return WesrReport(clips, units, names, tuple(missing), resamples, seed)


def count_slots(reference: str, hypothesis: str, *, by_class: bool = False) -> Counts:
    """For each tag in how many slots it was found (`tp/tag`), invented (`fp/tag`) and missed (`fn/tag`)."""
    said, heard = tokens(reference, by_class=by_class), tokens(hypothesis, by_class=by_class)
    expected = slots(said)
    written = slots(onto_reference(heard, [token for token in said if not is_tag(token)]))
    counts: defaultdict[str, float] = defaultdict(float)
    for place in expected.keys() | written.keys():
        there, here = expected.get(place, set()), written.get(place, set())
        for outcome, tags in (("tp", there & here), ("fp", here - there), ("fn", there - here)):
            for tag in tags:
                counts[f"{outcome}/{tag}"] += 1
    return dict(counts)


def tokens(text: str, *, by_class: bool = False) -> list[str]:
    """Tags, Latin words in lower case and Chinese characters in pinyin; with `by_class` tags as their classes."""
    bare = _SPEAKER.sub("", _DROPPED.sub("", text)).strip()
    found = []
    for token in _TOKEN.findall(bare):
        if is_tag(token):
            name = token.strip("[]<>/") if by_class else ""
            found.append(token.replace(name, _CLASS_OF[name]) if name in _CLASS_OF else token)
        elif _CHINESE.match(token):
            found.append(_pinyin(token))
        else:
            found.append(token.lower())
    return found


def is_tag(token: str) -> bool:
    return _TAG.match(token) is not None


def onto_reference(hypothesis: Sequence[str], words: Sequence[str]) -> list[str]:
    """The hypothesis with its words replaced by those of the reference, its tags among them."""
    result = list(hypothesis)
    shift = 0  # of places in the result against places in the hypothesis
    for kind, first, last, said_first, said_last in SequenceMatcher(a=hypothesis, b=words).get_opcodes():
        heard, said = hypothesis[first:last], words[said_first:said_last]
        start = first + shift
        if kind == "insert" or (kind == "replace" and len(heard) == 1 and is_tag(heard[0])):
            result[start:start] = said
            shift += len(said)
        elif kind == "replace":
            result[start : start + len(heard)] = said
            shift += len(said) - len(heard)
            for offset, token in enumerate(heard):
                if is_tag(token):
                    # A tag stays with the word before it; at the start of the stretch, with the token after it.
                    is_first = offset == 0
                    companion = heard[1] if is_first else heard[offset - 1]
                    places = range(start, min(start + len(said), len(result)))
                    place = max(places, key=lambda at: _similarity(companion, result[at]), default=start)
                    result.insert(place if is_first else place + 1, token)
                    shift += 1
        elif kind == "delete":
            for offset, token in enumerate(heard):
                if not is_tag(token):
                    result[start + offset] = ""  # stays in place, but later edits are made as if it were gone
                    shift -= 1
    return [token for token in result if token]


def slots(found: Sequence[str]) -> dict[int, set[str]]:
    """The tags of each slot: 2 n is the gap after n words, 2 n + 1 the word after it."""
    filled: defaultdict[int, set[str]] = defaultdict(set)
    open_spans: dict[str, list[int]] = {}
    words = 0
    for token in found:
        if point := _POINT.match(token):
            filled[2 * words].add(point[1])
        elif span := _SPAN_START.match(token) or _SPAN_END.match(token):
            name = span[1]
            if name in open_spans:
                for place in open_spans.pop(name)[:-1]:
                    filled[place].add(name)
            elif token.startswith("</"):
                filled[2 * words].add(name)
            else:
                open_spans[name] = [2 * words + 1]
        else:
            for places in open_spans.values():
                places.append(2 * words + 1)
            words += 1
    for name, places in open_spans.items():
        filled[places[0]].add(name)
    return filled


def _similarity(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other).ratio()


def _pinyin(character: str) -> str:
    try:
        from pypinyin import lazy_pinyin
    except ImportError as error:
        raise ScoreError("scoring Chinese text needs pypinyin", "pip install 'evoxtral[bench]'") from error
    return "".join(lazy_pinyin(character))


def _figure(names: Sequence[str], is_macro: bool, side: str) -> Figure:
    def figure(totals: Totals) -> Floats:
        found, invented, missed = (totals.stack([f"{key}/{name}" for name in names]) for key in ("tp", "fp", "fn"))
        if is_macro:
            each = _one(side, found, invented, missed)
            occurs = (found + invented + missed) > 0
            return _or_zero(rate((each * occurs).sum(axis=-1), occurs.sum(axis=-1)))
        return _one(side, found.sum(axis=-1), invented.sum(axis=-1), missed.sum(axis=-1))

    return figure


def _one(side: str, found: Floats, invented: Floats, missed: Floats) -> Floats:
    match side:
        case "precision":
            return _or_zero(rate(found, found + invented))
        case "recall":
            return _or_zero(rate(found, found + missed))
        case _:
            return _or_zero(rate(found, 2 * found + invented + missed, per=2))


def _or_zero(values: Floats) -> Floats:
    return np.nan_to_num(values, nan=0.0)
