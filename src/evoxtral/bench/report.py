"""What the bench writes into a folder: the scores as JSON, their summary, and one self-contained HTML page.

A page shows one benchmark set or several, one after the other.

Knows scores, predictions, round trips and where the clips' audio lies; makes no figure itself.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
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
    base_difference,
    markdown_summary,
    method_line,
    shown,
    slice_columns,
    slice_value,
    tags_by_support,
    words_line,
)
from evoxtral.bench.testset import TestSet
from evoxtral.data.files import write_atomically
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


@dataclass(frozen=True, slots=True)
class Section:
    """What a report shows of one benchmark set.

    Attributes:
        name, title: of the set, for folders and for readers; "" where the report is of one only.
        testset: where the audio of the clips lies; without it clips are shown as texts.
        spoken: a round trip of the same clips, and the folder with its speech.
    """

    report: Report
    system: System
    name: str = ""
    title: str = ""
    testset: TestSet | None = None
    spoken: tuple[RoundTrip, Path] | None = None


def write_report(folder: Path, sections: Sequence[Section]) -> None:
    """Write what was measured of one system: `summary.md` and `report.html` of all sections, in the order given.

    Each section's `scores.json` is written into the folder, or, where it has a name, into a folder of that name.
    """
    parts = []
    for section in sections:
        scores = section.report.to_json() | {"system": {"name": section.system.name, **section.system.facts}}
        if (words := base_difference(section.report)) is not None:
            scores["wer_normalized"]["against_whisper_base"] = asdict(words)
        if section.spoken is not None:
            scores["round_trip"] = section.spoken[0].to_json()
        path = folder / section.name / "scores.json"
        write_atomically(path, (json.dumps(scores, indent=1, ensure_ascii=False) + "\n").encode())
        heading = f"## {section.title}\n\n" if section.title else ""
        parts.append(heading + markdown_summary(section.report, section.system))
    write_atomically(folder / "summary.md", "\n".join(parts).encode())
    write_html(folder / "report.html", sections)


def write_html(path: Path, sections: Sequence[Section]) -> None:
    """Write a report of one system as one HTML file that needs nothing else.

    Raises:
        ScoreError: jinja2 is not installed.
    """
    context = {
        "name": sections[0].system.name,
        "sections": [render_page("section.html.j2", _context(section)) for section in sections],
        "definitions": [metric.definition.partition(":")[::2] for metric in METRICS],
        "version": evoxtral.__version__,
    }
    write_atomically(path, render_page("report.html.j2", context).encode())


def worst_clips(report: Report) -> list[ScoredClip]:
    """The clips with the lowest reward, the worst first."""
    return _ranked(report)[:_WORST_CLIPS]


def _context(section: Section) -> dict[str, Any]:
    report, system, testset, spoken = section.report, section.system, section.testset, section.spoken
    figures = report.figures
    columns = slice_columns(report)
    worst = worst_clips(report)
    ranked = _ranked(report)
    middle = (len(ranked) - _TYPICAL_CLIPS) // 2
    typical = ranked[max(middle, len(worst)) : middle + _TYPICAL_CLIPS]
    minutes = sum(clip.record.duration_s or 0 for clip in report.clips) / 60
    table = [(name, label, shown(figures, name)) for name, label in LABELS.items()]
    return {
        "system": system,
        "title": section.title,
        "clip_count": len(report.clips),
        "script_count": len({clip.record.unit for clip in report.clips}),
        "minutes": minutes,
        "voice_count": len({clip.record.voice for clip in report.clips if clip.record.voice}),
        "verdict": _verdict(report),
        "cards": _cards(report),
        "listening": _listening(report),
        "tags": [_tag_row(report, tag, values) for tag, values in tags_by_support(report)],
        "confusion": _confusion(report),
        "histogram": plots.histogram(report.displacements),
        "position": [(label, value) for name, label, value in table if name.startswith("position.")],
        "slice_columns": [*columns.values()],
        "slices": [
            (name, len(part.clips), [slice_value(part, figure) for figure in columns])
            for name, part in report.slices.items()
        ],
        "figures": [(label, value) for name, label, value in table if not name.startswith("legacy.")],
        "legacy": [(label, value) for name, label, value in table if name.startswith("legacy.")],
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
    if words := words_line(report):
        sentences.append(words)
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
    if figures["sounds.recall"].value is not None:
        sentences.append(
            f"Of the laughs, sighs and other sounds {number(figures['sounds.recall'].value, True)} are found, "
            f"{number(figures['sounds.recall_in_gap'].value, True)} between the right words; emotions with a macro-F1 "
            f"of {number(figures['emotion.macro_f1'].value)}."
        )
    false_tags = figures["hallucination.per_100_words_plain"].value
    if false_tags is not None:
        sentences.append(f"In plain speech it writes {false_tags:.2f} false tags per 100 words.")
    return sentences


def _cards(report: Report) -> list[dict[str, Any]]:
    figures = report.figures
    has_stress = bool(report.totals["emphasis/reference"] > 0)
    cards = []
    for name, label, note in (
        ("wer_normalized", "Word error rate", f"normalised; raw {number(figures['wer'].value, True)}"),
        ("tags.f1", "Tag F1", "all clips, micro"),
        ("sounds.recall_in_gap", "Sounds in place", "laughs, sighs, ... found between the right words"),
        ("emotion.macro_f1", "Emotion F1", "macro"),
        ("emphasis.f1", "Emphasis F1", "stressed words"),
        ("hallucination.per_100_words_plain", "False tags", "per 100 words of plain speech"),
    ):
        if figures[name].value is None or (name == "emphasis.f1" and not has_stress):
            continue
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
        deaf = {key: one for key, one in report.baselines.items() if not one.hears}
        rows += [Row(BASELINE_LABELS[key], one.figures[name], "baseline") for key, one in deaf.items()]
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
