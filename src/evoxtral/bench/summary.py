"""Scores as Markdown tables: the summary of one system for a card or a terminal, and several side by side.

Knows reports; makes no figure itself. What comes from predictions (names, tags) is escaped.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from evoxtral import markdown
from evoxtral.bench.baselines import MOST_FREQUENT, NO_TAGS, TEXT_ONLY, WHISPER_BASE
from evoxtral.bench.bootstrap import Difference, Estimate
from evoxtral.bench.comparing import Comparison, paired_difference
from evoxtral.bench.metrics.registry import FIGURES, LABELS
from evoxtral.bench.plots import number, with_interval
from evoxtral.bench.scoring import Report
from evoxtral.data.records import Prediction

BASELINE_LABELS = {
    NO_TAGS: "no tags",
    MOST_FREQUENT: "most frequent tag",
    TEXT_ONLY: "text-only tagger",
    WHISPER_BASE: "Whisper base",
}
SLICE_LABELS = {name: row.label for name, row in FIGURES.items() if row.by_slice and row.label is not None}
"""What tables call the figures that they show of each slice."""


@dataclass(frozen=True, slots=True)
class System:
    """What was scored: a name for the title, and facts about it, label by label."""

    name: str
    facts: Mapping[str, str]


def describe_system(predictions: Sequence[Prediction], *, name: str | None = None) -> System:
    """A system by what its predictions say of themselves; lines of other systems may say nothing."""
    first = predictions[0]
    model = "unnamed system" if first.model is None else first.model
    facts = {"Model": model + (f" + {first.adapter}" if first.adapter else "")}
    if first.engine:
        facts["Engine"] = first.engine
    if first.options:
        facts["Options"] = ", ".join(f"{key} {value}" for key, value in sorted(first.options.items()))
    if first.model_digest:
        facts["Weights, SHA-256"] = first.model_digest
    times = sorted(prediction.time for prediction in predictions if prediction.time)
    if times:
        facts["Transcribed"] = times[-1].partition("T")[0]
    seconds = [prediction.compute_s for prediction in predictions if prediction.compute_s is not None]
    if seconds:
        facts["Computing time"] = f"{sum(seconds):.0f} s for {len(seconds)} clips"
    if first.version:
        facts["Evoxtral"] = first.version
    return System(name or facts["Model"], facts)


def markdown_summary(report: Report, system: System) -> str:
    """Tables of the figures with intervals and baselines, and of the tags."""
    baselines = {BASELINE_LABELS[name]: baseline.baseline_figures for name, baseline in report.baselines.items()}
    rows = [
        [label, shown(report.figures, name), *(_value(figures, name) for figures in baselines.values())]
        for name, label in LABELS.items()
    ]
    tags = [
        [
            markdown.escape(tag),
            *(int(report.totals[f"tag/{side}/{tag}"]) for side in ("reference", "hypothesis")),
            *(number(figures[name].value) for name in ("precision", "recall")),
            with_interval(figures["f1"]),
        ]
        for tag, figures in tags_by_support(report)
    ]
    parts = [markdown.table(["", markdown.escape(system.name), *baselines], rows)]
    if report.slices:
        columns = slice_columns(report)
        parts.append(
            markdown.table(
                ["part", "clips", *columns.values()],
                [
                    [markdown.escape(name), len(part.clips), *(slice_value(part, figure) for figure in columns)]
                    for name, part in report.slices.items()
                ],
            )
        )
    if tags:
        parts.append(markdown.table(["tag", "said", "written", "precision", "recall", "F1"], tags))
    words = [line] if (line := words_line(report)) else []
    notes = [f"Note: {markdown.escape(note)}." for note in report.notes]
    return "\n\n".join([*parts, "\n".join([method_line(report), *words, *notes])]) + "\n"


def base_difference(report: Report, figure: str = "wer_normalized") -> Difference | None:
    """How much higher a figure is than Whisper base's on the same clips, paired; None where that was not heard."""
    base = report.baselines.get(WHISPER_BASE)
    return None if base is None else paired_difference(figure, report, base)


def words_line(report: Report) -> str:
    """A sentence on the words beside Whisper base's; "" where that was not heard."""
    found = base_difference(report)
    if found is None or found.value is None or found.ci is None:
        return ""
    low, high = (100 * end for end in found.ci)
    return (
        f"WER, normalised, against Whisper base on the same clips: {100 * found.value:+.1f} points "
        f"({low:+.1f} to {high:+.1f}; p {found.p:.3f})."
    )


def slice_columns(report: Report) -> dict[str, str]:
    """The figures that some slice has, with their labels."""
    return {
        name: label
        for name, label in SLICE_LABELS.items()
        if any(slice_value(part, name) != number(None) for part in report.slices.values())
    }


def slice_value(part: Report, figure: str) -> str:
    """A figure of a slice with its interval; a dash where the slice has nothing to tell it by."""
    has_tags = any(part.totals[f"tag/reference/{name}"] > 0 for name in part.totals.under("tag/reference"))
    has_stress = bool(part.totals["emphasis/reference"] > 0)
    is_meant = {
        "tags.f1": has_tags,
        "position.f1_at_1": has_tags and part.figures["wer"].value is not None,
        "emphasis.f1": has_stress,
    }.get(figure, True)
    return shown(part.figures, figure) if is_meant else number(None)


def comparison_table(comparison: Comparison) -> str:
    """Figures of several systems side by side, differences from the first with their p-values."""
    first, *others = comparison.reports
    head = ["", markdown.escape(first)]
    head += [part for name in others for part in (markdown.escape(name), "difference", "p")]
    rows = []
    for figure, label in LABELS.items():
        row = [label, shown(comparison.reports[first].figures, figure)]
        for name in others:
            found = comparison.differences[name][figure]
            row.append(shown(comparison.reports[name].figures, figure))
            row.append(with_interval(Estimate(found.value, found.ci), FIGURES[figure].percent))
            row.append("–" if found.p is None else f"{found.p:.3f}")
        rows.append(row)
    parts = [markdown.table(head, rows), *_slice_comparisons(comparison), method_line(comparison.reports[first])]
    return "\n\n".join(parts) + "\n"


def _slice_comparisons(comparison: Comparison) -> list[str]:
    """A table for each slice of the references: its figures side by side, and the paired differences."""
    first, *others = comparison.reports
    baseline = comparison.reports[first]
    tables = []
    for name, part in baseline.slices.items():
        rows = []
        for figure, label in slice_columns(baseline).items():
            row = [label, slice_value(part, figure)]
            if row[1] == number(None):
                continue
            for other in others:
                theirs = comparison.reports[other].slices[name]
                found = paired_difference(figure, theirs, part)
                row.append(slice_value(theirs, figure))
                row.append(with_interval(Estimate(found.value, found.ci), FIGURES[figure].percent))
                row.append("–" if found.p is None else f"{found.p:.3f}")
            rows.append(row)
        head = [f"{markdown.escape(name)}, {len(part.clips)} clips", markdown.escape(first)]
        head += [text for other in others for text in (markdown.escape(other), "difference", "p")]
        if rows:
            tables.append(markdown.table(head, rows))
    return tables


def shown(figures: Mapping[str, Estimate], name: str) -> str:
    """A figure with its interval, in its unit."""
    return with_interval(figures[name], FIGURES[name].percent)


def method_line(report: Report) -> str:
    units = len({clip.record.unit for clip in report.clips})
    return (
        f"{len(report.clips)} clips of {units} scripts. In parentheses: 95 % intervals, {report.resamples} resamples "
        f"of scripts (seed {report.seed})."
    )


def tags_by_support(report: Report) -> list[tuple[str, dict[str, Estimate]]]:
    """What `Report.per_tag` holds, the most frequent tags of the references first."""
    return sorted(report.per_tag.items(), key=lambda item: (-float(report.totals[f"tag/reference/{item[0]}"]), item[0]))


def _value(figures: Mapping[str, Estimate], name: str) -> str:
    return number(figures[name].value, FIGURES[name].percent) if name in figures else ""
