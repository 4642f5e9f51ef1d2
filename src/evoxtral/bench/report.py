"""Scores for readers: one self-contained HTML page, and a Markdown summary for a model card.

Knows scores, predictions, round trips and where the clips' audio lies; makes no figure itself.
"""

import base64
import html
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import evoxtral
from evoxtral.bench import plots
from evoxtral.bench.alignment import align, comparable
from evoxtral.bench.bootstrap import Difference, Estimate, difference
from evoxtral.bench.confusion import confusion, tag_fates
from evoxtral.bench.figures import FIGURES
from evoxtral.bench.floors import MOST_FREQUENT, NO_TAGS, TEXT_ONLY
from evoxtral.bench.plots import Row, number, with_interval
from evoxtral.bench.roundtrip import MEASURES, Condition, RoundTrip
from evoxtral.bench.scoring import Comparison, Report, ScoredClip, clip_reward
from evoxtral.bench.testset import TestSet
from evoxtral.data.files import write_atomically
from evoxtral.data.records import Prediction, SliceType
from evoxtral.errors import ScoreError
from evoxtral.tags import TAG_TYPES, Tag, TaggedText, Word, lookup

# Targets of the design, on clean English.
TARGETS = {"wer_normalized": 0.15, "tags.f1": 0.6}
_WORST_CLIPS = 8
_TYPICAL_CLIPS = 4

_FLOOR_LABELS = {NO_TAGS: "no tags", MOST_FREQUENT: "most frequent tag", TEXT_ONLY: "text-only tagger"}
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
_SUMMARY = {
    "wer_normalized": "WER, normalised",
    "wer": "WER, raw",
    "cer": "CER, raw",
    "tags.f1": "Tag F1 (tagged clips)",
    "tags.precision": "Tag precision",
    "tags.recall": "Tag recall",
    "tags.macro_f1": "Tag F1, macro",
    "tags.type_accuracy": "Tag type accuracy",
    "tags.all_clips.f1": "Tag F1 (all clips)",
    "position.f1_at_0": "Tag F1 at its exact place",
    "position.f1_at_1": "Tag F1 within 1 word",
    "position.f1_at_3": "Tag F1 within 3 words",
    "position.median_displacement": "Median displacement, words",
    "scope.emotion_iou": "Emotion scope overlap, IoU",
    "scope.delivery_iou": "Delivery scope overlap, IoU",
    "emphasis.f1": "Emphasis F1",
    "hallucination.per_100_words_plain": "False tags per 100 plain words",
    "hallucination.per_minute_plain": "False tags per plain minute",
    "legacy.tag_f1": "Legacy tag F1",
    "legacy.emphasis_f1": "Legacy emphasis F1",
    "legacy.hallucination_rate": "Legacy hallucination rate",
}
_PERCENT = ("wer", "cer")


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
    """Tables of the figures with intervals and floors, and of the tags, in Markdown."""
    floors = {_FLOOR_LABELS[name]: floor.floor_figures for name, floor in report.floors.items()}
    head = ["", system.name, *floors]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for name, label in _SUMMARY.items():
        figure = report.figures[name]
        percent = name.startswith(_PERCENT)
        others = [number(figures[name].value) if name in figures else "" for figures in floors.values()]
        lines.append("| " + " | ".join([label, with_interval(figure, percent), *others]) + " |")
    lines += ["", "| tag | said | written | precision | recall | F1 |", "|---|---|---|---|---|---|"]
    for tag, figures in _by_support(report):
        said, written = (int(report.totals[f"tag/{side}/{tag}"]) for side in ("reference", "hypothesis"))
        scores = [number(figures[name].value) for name in ("precision", "recall")] + [with_interval(figures["f1"])]
        lines.append(f"| {tag} | {said} | {written} | " + " | ".join(scores) + " |")
    lines += ["", _method_line(report)]
    return "\n".join([*lines, *(f"Note: {note}." for note in report.notes)]) + "\n"


def comparison_table(comparison: Comparison) -> str:
    """Figures of several systems side by side in Markdown, differences from the first with their p-values."""
    names = list(comparison.reports)
    head = ["", names[0], *(part for name in names[1:] for part in (name, "difference", "p"))]
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    for figure, label in _SUMMARY.items():
        percent = figure.startswith(_PERCENT)
        row = [label, with_interval(comparison.reports[names[0]].figures[figure], percent)]
        for name in names[1:]:
            found = comparison.differences[name][figure]
            row.append(with_interval(comparison.reports[name].figures[figure], percent))
            row.append(with_interval(Estimate(found.value, found.ci), percent))
            row.append("–" if found.p is None else f"{found.p:.3f}")
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join([*lines, "", _method_line(comparison.reports[names[0]])]) + "\n"


def _method_line(report: Report) -> str:
    units = len({clip.record.unit for clip in report.clips})
    return (
        f"{len(report.clips)} clips of {units} scripts. In parentheses: 95 % intervals, {report.resamples} resamples "
        f"of scripts (seed {report.seed})."
    )


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
    try:
        from jinja2 import Environment, StrictUndefined
    except ImportError as error:
        raise ScoreError("the HTML report needs jinja2", "pip install 'evoxtral[bench]'") from error
    source = files("evoxtral.bench").joinpath("templates/report.html.j2").read_text("utf-8")
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string(source).render(**_context(report, system, testset, spoken))
    write_atomically(path, page.encode())


def _context(
    report: Report, system: System, testset: TestSet | None, spoken: tuple[RoundTrip, Path] | None
) -> dict[str, Any]:
    figures = report.figures
    worst = worst_clips(report)
    ranked = _ranked(report)
    middle = (len(ranked) - _TYPICAL_CLIPS) // 2
    typical = ranked[max(middle, len(worst)) : middle + _TYPICAL_CLIPS]
    minutes = sum(clip.record.duration_s or 0 for clip in report.clips) / 60
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
        "tags": [_tag_row(report, tag, values) for tag, values in _by_support(report)],
        "confusion": _confusion(report),
        "histogram": plots.histogram({int(value): count for value, count in report.displacements.items()}),
        "position": [(label, _shown(figures[name], name)) for name, label in _SUMMARY.items() if "position" in name],
        "slices": [_slice_row(name, part) for name, part in sorted(report.slices.items(), key=_slice_order)],
        "figures": [(label, _shown(figures[name], name)) for name, label in _SUMMARY.items() if "legacy" not in name],
        "legacy": [(label, _shown(figures[name], name)) for name, label in _SUMMARY.items() if "legacy" in name],
        "round_trip": None if spoken is None else _round_trip(spoken[0]),
        "worst": [_clip(clip, testset, spoken) for clip in worst],
        "typical": [_clip(clip, testset, spoken) for clip in typical],
        "method": _method_line(report),
        "notes": report.notes,
        "missing": report.missing,
    }


def worst_clips(report: Report) -> list[ScoredClip]:
    """The clips with the lowest reward, the worst first."""
    return _ranked(report)[:_WORST_CLIPS]


def _ranked(report: Report) -> list[ScoredClip]:
    return sorted(report.clips, key=lambda clip: (_reward(clip), clip.record.id))


def _reward(clip: ScoredClip) -> float:
    return clip_reward(clip.reference, clip.hypothesis, clip.counts)


def _shown(figure: Estimate, name: str) -> str:
    return with_interval(figure, name.startswith(_PERCENT))


def _verdict(report: Report) -> list[str]:
    """What the figures say, in sentences."""
    figures = report.figures
    sentences = [f"{number(figures['wer_normalized'].value, True)} of the words are wrong."]
    f1 = number(figures["tags.f1"].value)
    gain = None if TEXT_ONLY not in report.floors else _gain(report, report.floors[TEXT_ONLY], "tags.f1")
    if gain is None or gain.value is None or gain.p is None:
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


def _gain(report: Report, floor: Report, name: str) -> Difference:
    samples = None if report.samples is None or floor.samples is None else (report.samples, floor.samples)
    return difference(FIGURES[name], (report.totals, floor.totals), samples)


def _cards(figures: Mapping[str, Estimate]) -> list[dict[str, Any]]:
    shown = (
        ("wer_normalized", "Word error rate", "normalised, corpus", True),
        ("tags.f1", "Tag F1", "tagged clips, micro", False),
        ("position.f1_at_1", "Tags in place", "F1 within one word", False),
        ("emphasis.f1", "Emphasis F1", "stressed words", False),
        ("hallucination.per_100_words_plain", "False tags", "per 100 words of plain speech", False),
    )
    cards = []
    for name, label, note, percent in shown:
        figure, target = figures[name], TARGETS.get(name)
        met = None
        if target is not None and figure.value is not None:
            met = figure.value < target if name.startswith(_PERCENT) else figure.value >= target
        goal = None if target is None else f"target {'<' if percent else '≥'} {number(target, percent)}"
        interval = None if figure.ci is None else with_interval(figure, percent).partition("(")[2].rstrip(")")
        value = number(figure.value, percent)
        cards.append({"label": label, "note": note, "value": value, "interval": interval, "goal": goal, "met": met})
    return cards


def _listening(report: Report) -> list[tuple[str, str]]:
    shown = (("tags.f1", "Tag F1", 1.0), ("position.f1_at_1", "Tag F1 within one word", 1.0))
    plots_made = []
    for name, label, high in shown:
        rows = [Row("this model", report.figures[name])]
        rows += [Row(_FLOOR_LABELS[key], floor.figures[name], "floor") for key, floor in report.floors.items()]
        plots_made.append((label, plots.interval_plot(rows, high=high, target=TARGETS.get(name))))
    return plots_made


def _by_support(report: Report) -> list[tuple[str, dict[str, Estimate]]]:
    return sorted(report.per_tag.items(), key=lambda item: (-float(report.totals[f"tag/reference/{item[0]}"]), item[0]))


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
    counts = confusion((clip.reference, clip.hypothesis) for clip in report.clips)
    order = [tag_type.name for tag_type in TAG_TYPES]
    seen = {name for pair in counts for name in pair if name is not None}
    names = [name for name in order if name in seen] + sorted(seen - set(order))
    return plots.heatmap(counts, [*names, None], [*names, None]) if names else ""


def _slice_order(part: tuple[str, Report]) -> tuple[int, str]:
    known = [*SliceType]
    return (known.index(SliceType(part[0])) if part[0] in known else len(known), part[0])


def _slice_row(name: str, part: Report) -> dict[str, str | int]:
    row: dict[str, str | int] = {"name": name, "clips": len(part.clips)}
    for figure in ("wer_normalized", "tags.f1", "position.f1_at_1", "emphasis.f1", "hallucination.per_100_words_plain"):
        has_tags = any(clip.reference.tags for clip in part.clips)
        is_meant = has_tags or figure not in ("tags.f1", "position.f1_at_1")
        row[figure.replace(".", "_")] = _shown(part.figures[figure], figure) if is_meant else "–"
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


def _clip(clip: ScoredClip, testset: TestSet | None, spoken: tuple[RoundTrip, Path] | None) -> dict[str, Any]:
    said, heard = _marked(clip.reference, clip.hypothesis)
    players = []
    if testset is not None and clip.record.audio is not None:
        players.append(("original", _audio_uri(testset.audio_path(clip.record))))
    if spoken is not None:
        for one in spoken[0].clips:
            if one.id == clip.record.id and one.audio and one.condition in (Condition.TAGGED, Condition.UNTAGGED):
                players.append((f"spoken again, {one.condition}", _audio_uri(spoken[1] / one.audio)))
    about = [clip.record.slice_type, clip.record.domain, clip.record.voice]
    return {
        "id": clip.record.id,
        "about": " · ".join(part for part in about if part),
        "score": number(_reward(clip)),
        "said": said,
        "heard": heard,
        "players": players,
    }


def _marked(reference: TaggedText, hypothesis: TaggedText) -> tuple[str, str]:
    """Both texts as HTML: words and tags with classes that say what became of them."""
    alignment = align([word.text for word in reference.words], [word.text for word in hypothesis.words])
    said_words, heard_words = ["missing"] * len(reference.words), []
    for index, target in enumerate(alignment.to_reference):
        if target is None:
            heard_words.append("extra")
            continue
        right = comparable(hypothesis.words[index].text) == comparable(reference.words[target].text)
        said_words[target] = "" if right else "wrong"
        heard_words.append("" if right else "wrong")
    said_tags, heard_tags = [""] * len(reference.tags), [""] * len(hypothesis.tags)
    for said, heard in tag_fates(reference, hypothesis, alignment):
        if said is None and heard is not None:
            heard_tags[heard] = "extra"
        elif heard is None and said is not None:
            said_tags[said] = "missing"
        elif said is not None and heard is not None:
            right = reference.tags[said].name == hypothesis.tags[heard].name
            said_tags[said] = heard_tags[heard] = "" if right else "wrong"
    return _marked_text(reference, said_words, said_tags), _marked_text(hypothesis, heard_words, heard_tags)


def _marked_text(text: TaggedText, word_fates: Sequence[str], tag_fates: Sequence[str]) -> str:
    marked: list[tuple[Word | Tag, str]] = [
        *zip(text.words, word_fates, strict=True),
        *zip(text.tags, tag_fates, strict=True),
    ]
    parts = []
    for item, fate in sorted(marked, key=lambda one: one[0].start):
        if isinstance(item, Tag):
            kind = "unknown" if item.category is None else item.category
            parts.append(f'<span class="chip {kind} {fate}">{html.escape(item.name)}</span>')
        else:
            stress = " stress" if item.emphasis else ""
            parts.append(f'<span class="word {fate}{stress}">{html.escape(item.text)}</span>')
    return " ".join(parts) or '<span class="nothing">nothing</span>'


def _audio_uri(path: Path) -> str:
    """An audio file inside a page; what is not compressed is encoded as Opus first."""
    content = path.read_bytes()
    if path.suffix not in (".opus", ".ogg"):
        from evoxtral.audio import SAMPLE_RATE_HZ, load_audio, write_audio

        encoded = io.BytesIO()
        write_audio(encoded, load_audio(path), SAMPLE_RATE_HZ, suffix=".opus")
        content = encoded.getvalue()
    return f"data:audio/ogg;base64,{base64.b64encode(content).decode()}"
