"""Several systems on the same references, each against the first. Knows reports and paired intervals."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from evoxtral.bench.bootstrap import Difference, difference
from evoxtral.bench.metrics.registry import FIGURES
from evoxtral.bench.scoring import RESAMPLES, Report, as_references, nested, score
from evoxtral.data.records import Reference
from evoxtral.errors import ScoreError


@dataclass(frozen=True)
class Comparison:
    """Several systems on the same references; the first is the baseline of the differences."""

    reports: Mapping[str, Report]

    @property
    def baseline(self) -> str:
        return next(iter(self.reports))

    @cached_property
    def differences(self) -> dict[str, dict[str, Difference]]:
        """For each other system, how much higher than the baseline's each of its figures is."""
        first = self.reports[self.baseline]
        return {
            name: {figure: paired_difference(figure, report, first) for figure in FIGURES}
            for name, report in self.reports.items()
            if name != self.baseline
        }

    def to_json(self) -> dict[str, Any]:
        return {
            "baseline": self.baseline,
            "systems": {name: report.to_json() for name, report in self.reports.items()},
            "differences": {
                name: nested({figure: asdict(value) for figure, value in figures.items()})
                for name, figures in self.differences.items()
            },
        }


def compare(
    references: Mapping[str, str] | Iterable[Reference],
    systems: Mapping[str, Mapping[str, str]],
    *,
    allow_missing: bool = False,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Comparison:
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


def paired_difference(figure: str, report: Report, baseline: Report) -> Difference:
    """How much higher a figure of one report is than of another on the same references."""
    samples = None
    if report.samples is not None and baseline.samples is not None:
        samples = (report.samples, baseline.samples)
    return difference(FIGURES[figure].compute, (report.totals, baseline.totals), samples)
