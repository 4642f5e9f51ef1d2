"""A static page that puts systems side by side, from the score files that the bench wrote for each.

Knows the JSON of scores (`Report.to_json`); runs and scores nothing. Systems are ranked only among those that were
scored on the same references.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

import evoxtral
from evoxtral.bench import plots
from evoxtral.bench.bootstrap import Estimate
from evoxtral.bench.metrics.registry import FIGURES
from evoxtral.bench.pages import render_page
from evoxtral.bench.plots import number, with_interval
from evoxtral.bench.summary import BASELINE_LABELS
from evoxtral.data.files import write_atomically
from evoxtral.errors import ScoreError

_ESTIMATE = TypeAdapter(Estimate)
_RANKED_BY = "tags.f1"
# What fits beside a plot; the table has the whole name.
_LABEL_CHARACTERS = 20
# Figures that are shown, with the head of their column and whether more of it is better.
_COLUMNS = {
    "tags.f1": ("Tag F1", True),
    "tags.precision": ("Precision", True),
    "tags.recall": ("Recall", True),
    "tags.macro_f1": ("Macro F1", True),
    "position.f1_at_1": ("F1 within 1 word", True),
    "emphasis.f1": ("Emphasis F1", True),
    "hallucination.per_100_words_plain": ("False tags / 100 plain words", False),
    "wer_normalized": ("WER, normalised", False),
    "wer": ("WER, raw", False),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One row: a system or a baseline, and its figures by dotted name."""

    name: str
    is_baseline: bool
    figures: Mapping[str, Estimate]


@dataclass(frozen=True, slots=True)
class Board:
    """The systems that were scored on the same references, best first; `title` says which set that is."""

    title: str
    entries: tuple[Entry, ...]


def write_leaderboard(sources: Sequence[Path], page: Path) -> list[Board]:
    """Write the page, one HTML file that needs nothing else.

    Args:
        sources: score files, or folders that hold a `scores.json`.

    Raises:
        ScoreError: a source holds no scores, or jinja2 is not installed.
    """
    boards = read_boards(sources)
    shown = [
        {"title": board.title, "rows": [_row(place, entry) for place, entry in _placed(board)], "plot": _plot(board)}
        for board in boards
    ]
    columns = [{"label": label, "more": more} for label, more in _COLUMNS.values()]
    context = {"boards": shown, "columns": columns, "version": evoxtral.__version__}
    write_atomically(page, render_page("leaderboard.html.j2", context).encode())
    return boards


def read_boards(sources: Sequence[Path]) -> list[Board]:
    """The boards of score files, the one with most systems first.

    Raises:
        ScoreError: a source holds no scores.
    """
    by_set: dict[str, list[tuple[Path, dict[str, Any]]]] = {}
    for source in sources:
        path = source / "scores.json" if source.is_dir() else source
        scores = _read(path)
        by_set.setdefault(str(scores.get("references_sha256") or path), []).append((path, scores))
    boards = [_board(found) for found in by_set.values()]
    return sorted(boards, key=lambda board: (-len(board.entries), board.title))


def _read(path: Path) -> dict[str, Any]:
    hint = "name what `evoxtral bench run`, `report` or `score --format json` wrote"
    try:
        scores = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not JSON"
        raise ScoreError(f"cannot read {path}: {reason}", hint) from error
    if not isinstance(scores, dict) or _estimate(scores, _RANKED_BY) is None:
        raise ScoreError(f"{path} holds no scores of the bench", hint)
    return scores


def _board(found: Sequence[tuple[Path, dict[str, Any]]]) -> Board:
    entries = [Entry(_name(path, scores), False, _figures(scores)) for path, scores in found]
    # Baselines depend on the references and the training texts only: each is shown once.
    baselines: dict[str, Entry] = {}
    for _, scores in found:
        for key, figures in (scores.get("baselines") or {}).items():
            baselines.setdefault(key, Entry(BASELINE_LABELS.get(key, key), True, _figures(figures)))
    first = found[0][1]
    title = f"{first.get('clips', '?')} clips of {first.get('scripts', '?')} scripts"
    return Board(title, tuple(sorted([*entries, *baselines.values()], key=_rank)))


def _rank(entry: Entry) -> tuple[float, str]:
    figure = entry.figures.get(_RANKED_BY)
    return (math.inf if figure is None or figure.value is None else -figure.value, entry.name)


def _name(path: Path, scores: Mapping[str, Any]) -> str:
    system = scores.get("system")
    name = system.get("name") if isinstance(system, dict) else None
    return str(name or (path.parent.name if path.name == "scores.json" else path.stem))


def _figures(scores: Mapping[str, Any]) -> dict[str, Estimate]:
    found = {name: _estimate(scores, name) for name in _COLUMNS}
    return {name: figure for name, figure in found.items() if figure is not None}


def _estimate(scores: Mapping[str, Any], name: str) -> Estimate | None:
    place: Any = scores
    for part in name.split("."):
        place = place.get(part) if isinstance(place, dict) else None
    try:
        return _ESTIMATE.validate_python(place)
    except ValidationError:
        return None


def _placed(board: Board) -> list[tuple[int | None, Entry]]:
    """Entries with their places; baselines have none."""
    placed: list[tuple[int | None, Entry]] = []
    place = 0
    for entry in board.entries:
        place += not entry.is_baseline
        placed.append((None if entry.is_baseline else place, entry))
    return placed


def _row(place: int | None, entry: Entry) -> dict[str, Any]:
    cells = []
    for name in _COLUMNS:
        figure, percent = entry.figures.get(name), FIGURES[name].percent
        value = None if figure is None else figure.value
        interval = "" if figure is None or figure.ci is None else with_interval(figure, percent).partition("(")[2][:-1]
        cells.append({"value": number(value, percent), "interval": interval, "sort": "" if value is None else value})
    return {"place": place, "name": entry.name, "is_baseline": entry.is_baseline, "cells": cells}


def _plot(board: Board) -> str:
    rows = [
        plots.Row(_short(entry.name), entry.figures[_RANKED_BY], "baseline" if entry.is_baseline else "model")
        for entry in board.entries
        if _RANKED_BY in entry.figures
    ]
    return plots.interval_plot(rows, high=1.0)


def _short(name: str) -> str:
    return name if len(name) <= _LABEL_CHARACTERS else f"{name[: _LABEL_CHARACTERS - 1]}…"
