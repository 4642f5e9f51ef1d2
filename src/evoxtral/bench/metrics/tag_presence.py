"""Which tags a clip has, wherever they stand: precision, recall and F1 over all clips, and over tagged clips beside.

Tags of a clip are a multiset of canonical names. With m matched, r reference and h hypothesis tags, summed over clips:

    precision = m / h,  recall = m / r,  F1 = 2 m / (r + h)

micro: summed over tags too; macro: the mean over the tags that the references have. A tag in a plain clip (one whose
reference has no tag) is a false one: it counts in h over all clips and is left out over tagged clips.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from evoxtral.bench import formulas
from evoxtral.bench.counts import Counts, Floats, Totals
from evoxtral.bench.metrics.metric import ClipTexts, Figure, FigureRow, Metric

OTHER_NAMES = "(other names)"
# Tag names that are counted apart in one report; what is rarer is counted together.
MAX_NAMES = 500

_SIDES = ("matched", "reference", "hypothesis")
_Formula = Callable[[Floats, Floats, Floats], Floats]


@dataclass(frozen=True, slots=True)
class Matches:
    """How many items were matched, and how many the reference and the hypothesis have."""

    matched: int
    reference: int
    hypothesis: int


def tag_presence(reference: Iterable[str], hypothesis: Iterable[str]) -> dict[str, Matches]:
    """For each tag name: how often both texts have it (the smaller of its two counts), and how often each has it."""
    expected, written = Counter(reference), Counter(hypothesis)
    return {
        name: Matches(min(expected[name], written[name]), expected[name], written[name])
        for name in sorted(expected | written)
    }


def count(clip: ClipTexts) -> Counts:
    counts: Counts = {}
    present = tag_presence(
        (tag.name for tag in clip.reference.tags),
        (tag.name for tag in clip.hypothesis.tags),
    )
    for name, matches in present.items():
        counts[f"tag/matched/{name}"] = matches.matched
        counts[f"tag/reference/{name}"] = matches.reference
        counts[f"tag/hypothesis/{name}"] = matches.hypothesis
        if clip.reference.tags:
            counts[f"tag/hypothesis on tagged/{name}"] = matches.hypothesis
    return counts


def fold_rare_names(clips: Sequence[Counts]) -> list[Counts]:
    """The counts with at most `MAX_NAMES` tag names, the most frequent in references and then in hypotheses.

    So that invented names cannot make a report of any size.
    """
    frequency: Counter[str] = Counter()
    in_reference: Counter[str] = Counter()
    for clip in clips:
        for key, value in clip.items():
            if key.startswith("tag/hypothesis/"):
                frequency[key.removeprefix("tag/hypothesis/")] += int(value)
            elif key.startswith("tag/reference/"):
                in_reference[key.removeprefix("tag/reference/")] += int(value)
    if len(frequency) <= MAX_NAMES:
        return list(clips)
    kept = set(sorted(frequency, key=lambda name: (-in_reference[name], -frequency[name], name))[:MAX_NAMES])
    folded: list[Counts] = []
    for clip in clips:
        counts: Counts = {}
        for key, value in clip.items():
            if key.startswith("tag/"):
                start, _, name = key.rpartition("/")
                key = key if name in kept else f"{start}/{OTHER_NAMES}"
            counts[key] = counts.get(key, 0) + value
        folded.append(counts)
    return folded


def tag_totals(totals: Totals, *, tagged_clips: bool = False) -> tuple[Floats, Floats, Floats]:
    """Matched, reference and hypothesis tags of all clips, or of tagged clips only."""
    matched, reference, hypothesis = (each.sum(axis=-1) for each in _by_name(totals, tagged_clips))
    return matched, reference, hypothesis


def tag_figures(tag: str) -> dict[str, Figure]:
    """Precision, recall and F1 of one tag over all clips."""

    def of(formula: _Formula) -> Figure:
        return lambda totals: formula(*(totals[f"tag/{side}/{tag}"] for side in _SIDES))

    return {"precision": of(formulas.precision), "recall": of(formulas.recall), "f1": of(formulas.f1)}


def _by_name(totals: Totals, tagged_clips: bool) -> tuple[Floats, Floats, Floats]:
    """Matched, reference and hypothesis tags, shape (..., number of names)."""
    names = totals.under("tag/reference")
    hypothesis = "hypothesis on tagged" if tagged_clips else "hypothesis"
    matched, reference, written = (
        totals.stack([f"tag/{side}/{name}" for name in names]) for side in ("matched", "reference", hypothesis)
    )
    return matched, reference, written


def _micro(formula: _Formula, *, tagged_clips: bool = False) -> Figure:
    return lambda totals: formula(*tag_totals(totals, tagged_clips=tagged_clips))


def _macro(formula: _Formula, *, tagged_clips: bool = False) -> Figure:
    def figure(totals: Totals) -> Floats:
        each = _by_name(totals, tagged_clips)
        return formulas.macro(formula(*each), each[1])

    return figure


METRIC = Metric(
    definition="Tag precision, recall and F1: tags of a clip as a multiset of canonical names, wherever they stand, "
    "counts summed over all clips, so that a tag in a plain clip counts as false; over tagged clips only, beside. "
    "Macro: the mean over the tags that the references have.",
    count=count,
    figures={
        "tags.f1": FigureRow(_micro(formulas.f1), "Tag F1", for_baselines=True, by_slice=True),
        "tags.precision": FigureRow(_micro(formulas.precision), "Tag precision", for_baselines=True),
        "tags.recall": FigureRow(_micro(formulas.recall), "Tag recall", for_baselines=True),
        "tags.macro_f1": FigureRow(_macro(formulas.f1), "Tag F1, macro", for_baselines=True),
        "tags.macro_precision": FigureRow(_macro(formulas.precision), for_baselines=True),
        "tags.macro_recall": FigureRow(_macro(formulas.recall), for_baselines=True),
        "tags.tagged.f1": FigureRow(
            _micro(formulas.f1, tagged_clips=True), "Tag F1, tagged clips only", for_baselines=True
        ),
        "tags.tagged.precision": FigureRow(_micro(formulas.precision, tagged_clips=True), for_baselines=True),
        "tags.tagged.recall": FigureRow(_micro(formulas.recall, tagged_clips=True), for_baselines=True),
        "tags.tagged.macro_f1": FigureRow(_macro(formulas.f1, tagged_clips=True), for_baselines=True),
    },
)
