"""What the bench writes into a folder: the scores as JSON, their summary, and one self-contained HTML page.

Knows scores, predictions, round trips and where the clips' audio lies; makes no figure itself.
"""

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import evoxtral
from evoxtral.bench import plots
from evoxtral.bench.baselines import TEXT_ONLY
from evoxtral.bench.bootstrap import Difference, Estimate
from evoxtral.bench.clip_markup import clip_markup
from evoxtral.bench.comparing import paired_difference
from evoxtral.bench.confusion import confusion
from evoxtral.bench.metrics.registry import FIGURES, LABELS, METRICS
from evoxtral.bench.pages import render_page
from evoxtral.bench.plots import Row, number, with_interval
from evoxtral.bench.resemblance import MEASURES
from evoxtral.bench.rewards import clip_reward
from evoxtral.bench.roundtrip import Condition, RoundTrip
from evoxtral.bench.scoring import Report, ScoredClip
from evoxtral.bench.summary import (
    BASELINE_LABELS,
    System,
    markdown_summary,
    method_line,
    shown,
    tags_by_support,
)
from evoxtral.bench.testset import TestSet
from evoxtral.data.files import write_atomically
from evoxtral.data.records import SliceType
from evoxtral.tags import TAG_TYPES, lookup

# Targets of the design, on clean English.
TARGETS = {"wer_normalized": 0.15, "tags.f1": 0.6}
_WORST_CLIPS = 8
_TYPICAL_CLIPS = 4
# Rows of the confusion plot; unknown tags beyond are drawn together.
_MOST_CONFUSED = 40
_OTHER = "other"

_MEASURE_LABELS = {
    "mcd_db": "Mel-cepstral distortion",
    "f0_correlation": "Pitch contour, correlation",
    "f0_rmse_st": "Pitch contour, error",
    "voicing_error": "Voicing, error",
    "energy_correlation": "Energy contour, correlation",
    "energy_rmse_db": "Energy contour, error",
    "rate_error": "Speaking rate, error",
    "pause_error_s": "Pauses, error",
    "speaker_similarity": "Speaker similarity",
    "mos_overall": "Predicted MOS, overall",
    "mos_signal": "Predicted MOS, speech",
    "mos_background": "Predicted MOS, background",
}


def write_report(
    folder: Path,
    report: Report,
    system: System,
    *,
    testset: TestSet | None = None,
    spoken: tuple[RoundTrip, Path] | None = None,
) -> None:
    """Write `scores.json`, `summary.md` and `report.html` into a folder; see `write_html`."""
    scores = report.to_json() | {"system": {"name": system.name, **system.facts}}
    if spoken is not None:
        scores["round_trip"] = spoken[0].to_json()
    write_atomically(folder / "scores.json", (json.dumps(scores, indent=1, ensure_ascii=False) + "\n").encode())
    write_atomically(folder / "summary.md", markdown_summary(report, system).encode())
    write_html(folder / "report.html", report, system, testset=testset, spoken=spoken)


def write_html(
    path: Path,
    report: Report,
    system: System,
    *,
    testset: TestSet | None = None,
    spoken: tuple[RoundTrip, Path] | None = None,
) -> None:
    """Write the report as one HTML file that needs nothing else.

    Args:
        testset: where the audio of the clips lies; without it clips are shown as texts.
        spoken: a round trip of the same clips, and the folder with its speech.

    Raises:
        ScoreError: jinja2 is not installed.
    """
    write_atomically(path, render_page("report.html.j2", _context(report, system, testset, spoken)).encode())


def worst_clips(report: Report) -> list[ScoredClip]:
    """The clips with the lowest reward, the worst first."""
    return _ranked(report)[:_WORST_CLIPS]


def _context(
    report: Report, system: System, testset: TestSet | None, spoken: tuple[RoundTrip, Path] | None
) -> dict[str, Any]:
    figures = report.figures
    worst = worst_clips(report)
    ranked = _ranked(report)
    middle = (len(ranked) - _TYPICAL_CLIPS) // 2
    typical = ranked[max(middle, len(worst)) : middle + _TYPICAL_CLIPS]
    minutes = sum(clip.record.duration_s or 0 for clip in report.clips) / 60
    table = [(name, label, shown(figures, name)) for name, label in LABELS.items()]
    return {
        "system": system,
        "version": evoxtral.__version__,
        "clip_count": len(report.clips),
        "script_count": len({clip.record.unit for clip in report.clips}),
        "minutes": minutes,
        "voice_count": len({clip.record.voice for clip in report.clips if clip.record.voice}),
        "verdict": _verdict(report),
        "cards": _cards(figures),
        "listening": _listening(report),
        "tags": [_tag_row(report, tag, values) for tag, values in tags_by_support(report)],
        "confusion": _confusion(report),
        "histogram": plots.histogram(report.displacements),
        "position": [(label, value) for name, label, value in table if name.startswith("position.")],
        "slices": [_slice_row(name, part) for name, part in sorted(report.slices.items(), key=_slice_order)],
        "figures": [(label, value) for name, label, value in table if not name.startswith("legacy.")],
        "legacy": [(label, value) for name, label, value in table if name.startswith("legacy.")],
        "definitions": [metric.definition.partition(":")[::2] for metric in METRICS],
        "round_trip": None if spoken is None else _round_trip(spoken[0]),
        "worst": [clip_markup(clip, testset, spoken) for clip in worst],
        "typical": [clip_markup(clip, testset, spoken) for clip in typical],
        "method": method_line(report),
        "notes": report.notes,
        "missing": report.missing,
    }


def _ranked(report: Report) -> list[ScoredClip]:
    return sorted(report.clips, key=lambda clip: (clip_reward(clip.texts, clip.counts), clip.record.id))


def _verdict(report: Report) -> list[str]:
    """What the figures say, in sentences."""
    figures = report.figures
    sentences = [
        f"{number(figures['wer_normalized'].value, True)} of the words are wrong after normalisation, "
        f"{number(figures['wer'].value, True)} as written."
    ]
    f1 = number(figures["tags.f1"].value)
    gain: Difference | None = None
    if TEXT_ONLY in report.baselines:
        gain = paired_difference("tags.f1", report, report.baselines[TEXT_ONLY])
    if figures["tags.f1"].value is None:
        sentences.append("There was no tag to find, and none was written.")
    elif gain is None or gain.value is None or gain.p is None:
        sentences.append(f"Tags are found with an F1 of {f1}.")
    elif gain.value > 0 and gain.p < 0.05:
        sentences.append(
            f"It listens: tags are found with an F1 of {f1}, {gain.value:.2f} above a tagger that reads every word "
            "and hears nothing."
        )
    else:
        sentences.append(
            f"It is not shown to listen: its tag F1 of {f1} does not beat a tagger that reads every word and hears "
            "nothing."
        )
    false_tags = figures["hallucination.per_100_words_plain"].value
    if false_tags is not None:
        sentences.append(f"In plain speech it writes {false_tags:.2f} false tags per 100 words.")
    return sentences


def _cards(figures: Mapping[str, Estimate]) -> list[dict[str, Any]]:
    cards = []
    for name, label, note in (
        ("wer_normalized", "Word error rate", f"normalised; raw {number(figures['wer'].value, True)}"),
        ("tags.f1", "Tag F1", "all clips, micro"),
        ("position.f1_at_1", "Tags in place", "F1 within one word"),
        ("emphasis.f1", "Emphasis F1", "stressed words"),
        ("hallucination.per_100_words_plain", "False tags", "per 100 words of plain speech"),
    ):
        figure, target, percent = figures[name], TARGETS.get(name), FIGURES[name].percent
        met = None
        if target is not None and figure.value is not None:
            met = figure.value < target if percent else figure.value >= target
        goal = None if target is None else f"target {'<' if percent else '≥'} {number(target, percent)}"
        interval = None if figure.ci is None else with_interval(figure, percent).partition("(")[2].rstrip(")")
        value = number(figure.value, percent)
        cards.append({"label": label, "note": note, "value": value, "interval": interval, "goal": goal, "met": met})
    return cards


def _listening(report: Report) -> list[tuple[str, str]]:
    plots_made = []
    for name in ("tags.f1", "position.f1_at_1"):
        rows = [Row("this model", report.figures[name])]
        rows += [Row(BASELINE_LABELS[key], one.figures[name], "baseline") for key, one in report.baselines.items()]
        plots_made.append((LABELS[name], plots.interval_plot(rows, high=1.0, target=TARGETS.get(name))))
    return plots_made


def _tag_row(report: Report, tag: str, figures: Mapping[str, Estimate]) -> dict[str, Any]:
    return {
        "name": tag,
        "category": _category(tag),
        "said": int(report.totals[f"tag/reference/{tag}"]),
        "written": int(report.totals[f"tag/hypothesis/{tag}"]),
        "precision": number(figures["precision"].value),
        "recall": number(figures["recall"].value),
        "f1": with_interval(figures["f1"]),
        "bar": plots.bar(figures["f1"]),
    }


def _category(tag: str) -> str:
    tag_type = lookup(tag)
    return "unknown" if tag_type is None else tag_type.category


def _confusion(report: Report) -> str:
    counts = confusion(clip.texts for clip in report.clips)
    order = [tag_type.name for tag_type in TAG_TYPES]
    seen: Counter[str] = Counter()
    for pair, times in counts.items():
        seen.update({name: times for name in pair if name is not None})
    names = [name for name in order if name in seen]
    unknown = sorted(set(seen) - set(order), key=lambda name: (-seen[name], name))
    names += unknown[: max(0, _MOST_CONFUSED - len(names))]
    if len(names) < len(seen):
        gathered: Counter[tuple[str | None, str | None]] = Counter()
        for (said, heard), times in counts.items():
            gathered[_kept(said, names), _kept(heard, names)] += times
        counts, names = gathered, [*names, _OTHER]
    return plots.heatmap(counts, [*names, None], [*names, None]) if names else ""


def _kept(name: str | None, names: list[str]) -> str | None:
    return name if name is None or name in names else _OTHER


def _slice_order(part: tuple[str, Report]) -> tuple[int, str]:
    known = [*SliceType]
    return (known.index(SliceType(part[0])) if part[0] in known else len(known), part[0])


def _slice_row(name: str, part: Report) -> dict[str, str | int]:
    row: dict[str, str | int] = {"name": name, "clips": len(part.clips)}
    has_tags = any(clip.texts.reference.tags for clip in part.clips)
    for figure, about in FIGURES.items():
        if about.by_slice:
            is_meant = has_tags or figure not in ("tags.f1", "position.f1_at_1")
            row[figure.replace(".", "_")] = shown(part.figures, figure) if is_meant else "–"
    return row


def _round_trip(spoken: RoundTrip) -> dict[str, Any]:
    rows = []
    paired = Condition.TAGGED in spoken.conditions and Condition.UNTAGGED in spoken.conditions
    gains = spoken.gains(Condition.TAGGED, Condition.UNTAGGED) if paired else {}
    for name, (more_is_better, unit) in MEASURES.items():
        estimates = {condition: means[name] for condition, means in spoken.means.items() if name in means}
        ends = [end for estimate in estimates.values() for end in estimate.ci or (estimate.value,) if end is not None]
        if not ends:
            continue
        margin = 0.08 * (max(ends) - min(ends))
        dots = [Row(condition, estimate, condition) for condition, estimate in estimates.items()]
        gain = gains.get(name)
        verdict = "same"
        if gain is not None and gain.value is not None and gain.p is not None and gain.p < 0.05:
            verdict = "better" if (gain.value > 0) == more_is_better else "worse"
        rows.append(
            {
                "label": _MEASURE_LABELS[name],
                "unit": unit,
                "better": "more is better" if more_is_better else "less is better",
                "plot": plots.scale_plot(dots, low=min(ends) - margin, high=max(ends) + margin),
                "values": {condition: number(estimate.value) for condition, estimate in estimates.items()},
                "gain": "–" if gain is None else with_interval(Estimate(gain.value, gain.ci)),
                "verdict": verdict,
            }
        )
    result = spoken.to_json()
    return {"rows": rows, "conditions": spoken.conditions, **result}
