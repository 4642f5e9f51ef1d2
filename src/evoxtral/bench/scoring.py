"""Scores of one system on a set of references, and of several systems side by side.

Knows texts, counts, figures and intervals; nothing of audio, models or how a report looks.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from evoxtral.bench.bootstrap import Difference, Estimate, difference, estimate, resampled
from evoxtral.bench.counts import Counts, Totals, count_clip, count_matrix
from evoxtral.bench.figures import FIGURES, FULL_WHEN_EMPTY, Figure, displacement_values, tag_figures
from evoxtral.bench.matching import match_ids
from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError
from evoxtral.tags import TaggedText, parse

RESAMPLES = 1000
# What is shown for each slice of the test set.
SLICE_FIGURES = ("wer", "wer_normalized", "tags.f1", "tags.all_clips.f1", "position.f1_at_1", "emphasis.f1")


@dataclass(frozen=True)
class ScoredClip:
    """One clip with both its texts and what was counted in them."""

    record: Reference
    reference: TaggedText
    hypothesis: TaggedText
    counts: Counts


@dataclass(frozen=True)
class Report:
    """All scores of one system.

    Attributes:
        clips: in the order of the references.
        missing: ids of the references that had no hypothesis and were scored against an empty one.
        resamples, seed: of the intervals.
        floors: the same scores for systems that do not listen, by name.
        notes: what could not be done and why, one line each.
    """

    clips: tuple[ScoredClip, ...]
    missing: tuple[str, ...] = ()
    resamples: int = RESAMPLES
    seed: int = 0
    floors: Mapping[str, "Report"] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @cached_property
    def totals(self) -> Totals:
        return Totals(self._columns, self._matrix.sum(axis=0))

    @cached_property
    def samples(self) -> Totals | None:
        """Totals of the resampled scripts; None where there is only one script."""
        if len(self._matrix) < 2:
            return None
        return Totals(self._columns, resampled(self._matrix, resamples=self.resamples, seed=self.seed))

    @cached_property
    def figures(self) -> dict[str, Estimate]:
        """Every figure under its dotted name."""
        figures = {name: self.estimate(figure) for name, figure in FIGURES.items()}
        for name, figure in figures.items():
            if figure.value is None and name.startswith(FULL_WHEN_EMPTY):
                figures[name] = Estimate(1.0)
        return figures

    @cached_property
    def per_tag(self) -> dict[str, dict[str, Estimate]]:
        """Precision, recall and F1 of each tag that occurs in tagged clips."""
        tags = sorted({*self.totals.under("tag/reference"), *self.totals.under("tag/hypothesis")})
        return {tag: {name: self.estimate(figure) for name, figure in tag_figures(tag).items()} for tag in tags}

    @cached_property
    def slices(self) -> dict[str, "Report"]:
        """The clips of each slice as a report of their own; empty where the references name no slices."""
        clips: dict[str, list[ScoredClip]] = {}
        for clip in self.clips:
            if clip.record.slice_type is not None:
                clips.setdefault(clip.record.slice_type, []).append(clip)
        return {name: Report(tuple(members), (), self.resamples, self.seed) for name, members in clips.items()}

    def estimate(self, figure: Figure) -> Estimate:
        return estimate(figure, self.totals, self.samples)

    def to_json(self) -> dict[str, Any]:
        """The report as plain objects (SPEC section 11): an estimate is `{"value", "ci"}`, an unknown one None."""
        report: dict[str, Any] = {
            "clips": len(self.clips),
            "scripts": len(self._matrix),
            "missing": list(self.missing),
            "intervals": {"confidence": 0.95, "resamples": self.resamples, "seed": self.seed, "unit": "script"},
            **_nested({name: asdict(figure) for name, figure in self.figures.items()}),
        }
        report["tags"]["per_tag"] = {
            tag: {
                **{name: asdict(figure) for name, figure in figures.items()},
                **{side: int(self.totals[f"tag/{side}/{tag}"]) for side in ("reference", "hypothesis", "matched")},
            }
            for tag, figures in self.per_tag.items()
        }
        report["position"]["displacements"] = self.displacements
        report["slices"] = {
            name: {
                "clips": len(part.clips),
                **_nested({figure: asdict(part.figures[figure]) for figure in SLICE_FIGURES}),
            }
            for name, part in self.slices.items()
        }
        report["floors"] = {
            name: _nested({figure: asdict(value) for figure, value in floor.floor_figures.items()})
            for name, floor in self.floors.items()
        }
        report["notes"] = list(self.notes)
        return report

    @property
    def floor_figures(self) -> dict[str, Estimate]:
        """The figures that mean something for a floor, which is given the words of the reference."""
        meant = ("tags.", "position.", "scope.", "hallucination.")
        return {name: figure for name, figure in self.figures.items() if name.startswith(meant)}

    @property
    def displacements(self) -> dict[str, int]:
        """How often each displacement occurs; words too late are positive."""
        return {str(value): int(self.totals[f"displacement/{value}"]) for value in displacement_values(self.totals)}

    @property
    def _columns(self) -> dict[str, int]:
        return self._counted[0]

    @property
    def _matrix(self) -> Any:
        return self._counted[1]

    @cached_property
    def _counted(self) -> tuple[dict[str, int], Any]:
        return count_matrix([clip.counts for clip in self.clips], [clip.record.unit for clip in self.clips])


def score(
    references: Mapping[str, str] | Iterable[Reference],
    hypotheses: Mapping[str, str],
    *,
    allow_missing: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    floor_texts: Sequence[str] | None = None,
) -> Report:
    """Score tagged texts against what was said.

    Args:
        references: tagged texts by id, or references with more about each clip.
        hypotheses: tagged texts by id.
        allow_missing: score a missing hypothesis as an empty one, and ignore those without reference.
        resamples, seed: of the bootstrap intervals.
        floor_texts: tagged texts of the training split, from which the floors learn; None: no floors.

    Raises:
        ScoreError: ids do not match, or there are no references.
    """
    records = as_references(references)
    texts, missing = match_ids(records, hypotheses, allow_missing=allow_missing)
    floors: dict[str, Report] = {}
    notes: list[str] = []
    if floor_texts is not None:
        from evoxtral.bench.floors import floor_hypotheses

        made, notes = floor_hypotheses([record.text for record in records], floor_texts)
        floors = {name: Report(_count_all(records, texts), (), resamples, seed) for name, texts in made.items()}
    return Report(_count_all(records, texts), tuple(missing), resamples, seed, floors, tuple(notes))


def compare(
    references: Mapping[str, str] | Iterable[Reference],
    systems: Mapping[str, Mapping[str, str]],
    *,
    allow_missing: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> "Comparison":
    """Score several systems on the same references, each against the first.

    Raises:
        ScoreError: fewer than two systems, or ids do not match.
    """
    if len(systems) < 2:
        raise ScoreError("a comparison needs two systems", "name a second file of hypotheses")
    records = as_references(references)
    reports = {
        name: score(records, hypotheses, allow_missing=allow_missing, resamples=resamples, seed=seed)
        for name, hypotheses in systems.items()
    }
    return Comparison(reports)


@dataclass(frozen=True)
class Comparison:
    """Several systems on the same references; the first is the baseline."""

    reports: Mapping[str, Report]

    @property
    def baseline(self) -> str:
        return next(iter(self.reports))

    @cached_property
    def differences(self) -> dict[str, dict[str, Difference]]:
        """For each other system, how much higher than the baseline's each of its figures is."""
        first = self.reports[self.baseline]
        return {
            name: {figure: _paired(function, report, first) for figure, function in FIGURES.items()}
            for name, report in self.reports.items()
            if name != self.baseline
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "baseline": self.baseline,
            "systems": {name: report.to_json() for name, report in self.reports.items()},
            "differences": {
                name: _nested({figure: asdict(value) for figure, value in figures.items()})
                for name, figures in self.differences.items()
            },
        }


def reward(reference: str, hypothesis: str) -> float:
    """How good one hypothesis is, from 0 to 1: what preference pairs are made by and clips are ranked by.

    0.4 for the words (1 - normalised WER, not below 0), 0.3 for the tags (presence F1), 0.2 for their places (F1 within
    one word) and 0.1 for emphasis (F1); a part with nothing to find and nothing found counts in full. False tags on a
    plain clip so cost 0.5.
    """
    expected, written = parse(reference), parse(hypothesis)
    return clip_reward(expected, written, count_clip(expected, written))


def clip_reward(reference: TaggedText, hypothesis: TaggedText, counts: Counts) -> float:
    """`reward` of a clip that was counted."""
    tags = len(reference.tags) + len(hypothesis.tags)
    matched = sum(value for name, value in counts.items() if name.startswith("tag/matched/"))
    near = sum(counts.get(f"displacement/{displacement}", 0) for displacement in (-1, 0, 1))
    stressed = counts["emphasis/reference"] + counts["emphasis/hypothesis"]
    word_error_rate = counts["normalised word/errors"] / max(counts["normalised word/reference"], 1)
    return (
        0.4 * (1 - min(word_error_rate, 1))
        + 0.3 * (2 * matched / tags if tags else 1)
        + 0.2 * (2 * near / tags if tags else 1)
        + 0.1 * (2 * counts["emphasis/matched"] / stressed if stressed else 1)
    )


def _paired(figure: Figure, report: Report, baseline: Report) -> Difference:
    samples = None
    if report.samples is not None and baseline.samples is not None:
        samples = (report.samples, baseline.samples)
    return difference(figure, (report.totals, baseline.totals), samples)


def as_references(references: Mapping[str, str] | Iterable[Reference]) -> list[Reference]:
    """References from bare texts by id, or as they are.

    Raises:
        ScoreError: there are none.
    """
    if isinstance(references, Mapping):
        records = [Reference(id=id, text=text) for id, text in references.items()]
    else:
        records = list(references)
    if not records:
        raise ScoreError("there are no references to score against")
    return records


def _count_all(records: Sequence[Reference], hypotheses: Sequence[str]) -> tuple[ScoredClip, ...]:
    clips = []
    for record, text in zip(records, hypotheses, strict=True):
        reference, hypothesis = parse(record.text), parse(text)
        clips.append(ScoredClip(record, reference, hypothesis, count_clip(reference, hypothesis, record.duration_s)))
    return tuple(clips)


def _nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        place = nested
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return nested
