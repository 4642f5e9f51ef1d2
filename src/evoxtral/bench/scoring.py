"""Scores of one system on a set of references.

Knows texts, metrics by their registry, and intervals; nothing of audio, models or how a report looks.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from evoxtral.bench.baselines import WHISPER_BASE
from evoxtral.bench.bootstrap import CONFIDENCE, Estimate, estimate, resampled
from evoxtral.bench.counts import Counts, Floats, Totals, count_matrix
from evoxtral.bench.matching import match_ids
from evoxtral.bench.metrics.metric import ClipTexts, Figure
from evoxtral.bench.metrics.registry import FIGURES, count_clip
from evoxtral.bench.metrics.tag_position import displacement_values
from evoxtral.bench.metrics.tag_presence import fold_rare_names, tag_figures
from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError
from evoxtral.tags import parse

RESAMPLES = 1000


@dataclass(frozen=True)
class ScoredClip:
    """One clip with both its texts and what was counted in them.

    What is parsed takes eighty times the memory of its text, so that it is not kept but made when it is asked for.
    """

    record: Reference
    hypothesis: str
    counts: Counts

    @property
    def texts(self) -> ClipTexts:
        return _parsed(self.record, self.hypothesis)


@dataclass(frozen=True)
class Report:
    """All scores of one system.

    Attributes:
        clips: in the order of the references.
        missing: ids of the references that had no hypothesis and were scored against an empty one.
        resamples, seed: of the intervals.
        baselines: the same scores for systems that do not listen, or know no tags, by name.
        hears: whether it is of a system that listens; a baseline that does not is given the words of the reference.
        notes: what could not be done and why, one line each.
    """

    clips: tuple[ScoredClip, ...]
    missing: tuple[str, ...] = ()
    resamples: int = RESAMPLES
    seed: int = 0
    baselines: Mapping[str, "Report"] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    hears: bool = True

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
        """Every figure under its dotted name; the value is None where it cannot be known."""
        return {name: self.estimate(row.compute) for name, row in FIGURES.items()}

    @cached_property
    def per_tag(self) -> dict[str, dict[str, Estimate]]:
        """Precision, recall and F1 of each tag that occurs, over all clips."""
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
        """The report as plain objects (SPEC section 11): an estimate is `{"value", "ci"}`, both None where unknown."""
        report: dict[str, Any] = {
            "clips": len(self.clips),
            "scripts": len(self._matrix),
            "missing": list(self.missing),
            "references_sha256": self.references_sha256,
            "intervals": {
                "confidence": CONFIDENCE,
                "resamples": self.resamples,
                "seed": self.seed,
                "unit": "script",
            },
            **nested({name: asdict(figure) for name, figure in self.figures.items()}),
        }
        report["tags"]["per_tag"] = {
            tag: {
                **{name: asdict(figure) for name, figure in figures.items()},
                **{side: int(self.totals[f"tag/{side}/{tag}"]) for side in ("reference", "hypothesis", "matched")},
            }
            for tag, figures in self.per_tag.items()
        }
        report["position"]["displacements"] = {str(words): times for words, times in self.displacements.items()}
        report["slices"] = {
            name: {
                "clips": len(part.clips),
                **nested({name: asdict(part.figures[name]) for name, row in FIGURES.items() if row.by_slice}),
            }
            for name, part in self.slices.items()
        }
        report["baselines"] = {
            name: nested({figure: asdict(value) for figure, value in baseline.baseline_figures.items()})
            for name, baseline in self.baselines.items()
        }
        report["notes"] = list(self.notes)
        return report

    @property
    def references_sha256(self) -> str:
        """Of the ids and texts of the references: figures are compared only where it is the same."""
        digest = hashlib.sha256()
        for clip in sorted(self.clips, key=lambda clip: clip.record.id):
            digest.update(json.dumps([clip.record.id, clip.record.text]).encode() + b"\n")
        return digest.hexdigest()

    @property
    def baseline_figures(self) -> dict[str, Estimate]:
        """The figures that mean something for a baseline; one that does not listen is given the reference's words."""
        return {name: figure for name, figure in self.figures.items() if self.hears or FIGURES[name].for_baselines}

    @property
    def displacements(self) -> dict[int, int]:
        """How often each displacement occurs; words too late are positive."""
        return {value: int(self.totals[f"displacement/{value}"]) for value in displacement_values(self.totals)}

    @property
    def _columns(self) -> dict[str, int]:
        return self._counted[0]

    @property
    def _matrix(self) -> Floats:
        return self._counted[1]

    @cached_property
    def _counted(self) -> tuple[dict[str, int], Floats]:
        counts = fold_rare_names([clip.counts for clip in self.clips])
        return count_matrix(counts, [clip.record.unit for clip in self.clips])


def score(
    references: Mapping[str, str] | Iterable[Reference],
    hypotheses: Mapping[str, str],
    *,
    allow_missing: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
    baseline_texts: Sequence[str] | None = None,
    base_texts: Mapping[str, str] | None = None,
) -> Report:
    """Score tagged texts against what was said.

    Args:
        references: tagged texts by id, or references with more about each clip.
        hypotheses: tagged texts by id.
        allow_missing: score a missing hypothesis as an empty one, and ignore those without reference.
        resamples, seed: of the bootstrap intervals.
        baseline_texts: tagged texts of the training split, from which the baselines learn; None: no baselines.
        base_texts: what Whisper base heard, by id, of the clips whose words are scored: a baseline for these.

    Raises:
        ScoreError: ids do not match, or there are no references.
    """
    records = as_references(references)
    texts, missing = match_ids(records, hypotheses, allow_missing=allow_missing)
    baselines: dict[str, Report] = {}
    notes: list[str] = []
    if baseline_texts is not None:
        from evoxtral.bench.baselines import baseline_hypotheses

        made, notes = baseline_hypotheses([record.text for record in records], baseline_texts)
        baselines = {
            name: Report(_count_all(records, texts), (), resamples, seed, hears=False) for name, texts in made.items()
        }
    if base_texts is not None:
        heard, _ = match_ids(records, base_texts, allow_missing=True)
        baselines[WHISPER_BASE] = Report(_count_all(records, heard), (), resamples, seed)
    return Report(_count_all(records, texts), tuple(missing), resamples, seed, baselines, tuple(notes))


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


def nested(flat: Mapping[str, Any]) -> dict[str, Any]:
    """{"a.b": 1} as {"a": {"b": 1}}."""
    tree: dict[str, Any] = {}
    for name, value in flat.items():
        *path, last = name.split(".")
        place = tree
        for part in path:
            place = place.setdefault(part, {})
        place[last] = value
    return tree


def _count_all(records: Sequence[Reference], hypotheses: Sequence[str]) -> tuple[ScoredClip, ...]:
    return tuple(
        ScoredClip(record, text, count_clip(_parsed(record, text)))
        for record, text in zip(records, hypotheses, strict=True)
    )


def _parsed(record: Reference, hypothesis: str) -> ClipTexts:
    return ClipTexts(parse(record.text), parse(hypothesis), record.duration_s, has_words=record.language is None)
