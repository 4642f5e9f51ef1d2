"""The report's plots as SVG, drawn by hand so that they take the page's colours, light or dark.

Sizes are in pixels, colours are classes of the page's style sheet. Knows numbers and labels only.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from evoxtral.bench.bootstrap import Estimate

_ROW = 30
_LABEL_WIDTH = 150
_VALUE_WIDTH = 160
_WIDTH = 930


@dataclass(frozen=True, slots=True)
class Row:
    """One estimate of an interval plot; `tone` is the class of its dot."""

    label: str
    estimate: Estimate
    tone: str = "model"


def interval_plot(rows: Sequence[Row], *, high: float, target: float | None = None, percent: bool = False) -> str:
    """Estimates as dots with their intervals on one scale from 0 to `high`, and a mark at the target."""
    width, plot = _WIDTH, _WIDTH - _LABEL_WIDTH - _VALUE_WIDTH
    height = _ROW * len(rows) + 26
    parts = []
    for step in range(5):
        value = high * step / 4
        x = _LABEL_WIDTH + plot * step / 4
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height - 22}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}">{number(value, percent)}</text>')
    if target is not None:
        x = _LABEL_WIDTH + plot * target / high
        parts.append(f'<line class="target" x1="{x:.1f}" x2="{x:.1f}" y1="0" y2="{height - 22}"/>')
    for index, row in enumerate(rows):
        y = _ROW * index + _ROW / 2 + 4
        parts.append(f'<text class="label" x="{_LABEL_WIDTH - 12}" y="{y + 4}">{escape(row.label)}</text>')
        parts.append(
            f'<text class="value {row.tone}" x="{width - _VALUE_WIDTH + 14}" y="{y + 4}">'
            f"{with_interval(row.estimate, percent)}</text>"
        )
        parts += _dot(row.estimate, y, _LABEL_WIDTH, plot, 0.0, high, row.tone)
    return _svg(width, height, parts, "intervals")


def scale_plot(rows: Sequence[Row], *, low: float, high: float) -> str:
    """Estimates as dots with their intervals on one line, without labels: for a table's cell."""
    width, height = 260, 26
    span = max(high - low, 1e-9)
    parts = [f'<line class="grid" x1="6" x2="{width - 6}" y1="13" y2="13"/>']
    for row in rows:
        parts += _dot(row.estimate, 13, 6, width - 12, low, low + span, row.tone, title=row.label)
    return _svg(width, height, parts, "scale")


def bar(estimate: Estimate) -> str:
    """A share between 0 and 1 as a bar with its interval: for a table's cell."""
    width, height = 140, 14
    if estimate.value is None:
        return ""
    parts = [
        f'<rect class="track" x="0" y="3" width="{width}" height="8" rx="4"/>',
        f'<rect class="fill" x="0" y="3" width="{width * estimate.value:.1f}" height="8" rx="4"/>',
    ]
    if estimate.ci is not None:
        low, high = (width * end for end in estimate.ci)
        parts.append(f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="7" y2="7"/>')
    return _svg(width, height, parts, "bar", with_interval(estimate))


def histogram(counts: Mapping[int, int], *, reach: int = 8) -> str:
    """How often each displacement occurs; the outermost bars hold all that is further out."""
    width, height, base = _WIDTH, 210, 168
    gathered = dict.fromkeys(range(-reach, reach + 1), 0)
    for value, count in counts.items():
        gathered[max(-reach, min(reach, value))] += count
    most = max(*gathered.values(), 1)
    step = width / len(gathered)
    parts = [f'<line class="grid" x1="0" x2="{width}" y1="{base}" y2="{base}"/>']
    for index, (value, count) in enumerate(gathered.items()):
        tone = "exact" if value == 0 else "near" if abs(value) == 1 else "close" if abs(value) <= 3 else "far"
        tall = 140 * count / most
        x = step * index
        label = f"≤ {value}" if value == -reach else f"≥ {value}" if value == reach else f"{value:+d}" if value else "0"
        parts.append(
            f'<rect class="column {tone}" x="{x + 4:.1f}" y="{base - tall:.1f}" width="{step - 8:.1f}" '
            f'height="{tall:.1f}" rx="3"><title>{label}: {count}</title></rect>'
        )
        if count:
            parts.append(f'<text class="count" x="{x + step / 2:.1f}" y="{base - tall - 6:.1f}">{count}</text>')
        parts.append(f'<text class="tick" x="{x + step / 2:.1f}" y="{base + 16}">{label}</text>')
    parts.append(f'<text class="tick start" x="4" y="{height - 6}">← too early</text>')
    parts.append(f'<text class="tick end" x="{width - 4}" y="{height - 6}">too late →</text>')
    return _svg(width, height, parts, "histogram")


def heatmap(
    counts: Mapping[tuple[str | None, str | None], int], rows: Sequence[str | None], columns: Sequence[str | None]
) -> str:
    """Counts by row and column, each row shaded by its shares; None is labelled as no tag."""
    cell, left, top = 44, 120, 100
    width, height = left + cell * len(columns) + 50, top + cell * len(rows) + 4
    parts = []
    for index, column in enumerate(columns):
        x = left + cell * index + cell / 2
        parts.append(
            f'<text class="tick slant" transform="translate({x + 4:.0f},{top - 8}) rotate(-50)">'
            f"{escape(column or 'not written')}</text>"
        )
    for index, row in enumerate(rows):
        y = top + cell * index
        total = sum(counts.get((row, column), 0) for column in columns)
        parts.append(f'<text class="label" x="{left - 8}" y="{y + cell / 2 + 4}">{escape(row or "not said")}</text>')
        for position, column in enumerate(columns):
            count = counts.get((row, column), 0)
            share = count / total if total else 0.0
            x = left + cell * position
            kind = "right" if row == column else "wrong"
            title = f"{row or 'no tag'} said, {column or 'no tag'} written: {count}"
            parts.append(
                f'<rect class="cell {kind}" x="{x + 1}" y="{y + 1}" width="{cell - 2}" height="{cell - 2}" rx="4" '
                f'style="--share:{share:.3f}"><title>{escape(title)}</title></rect>'
            )
            if count:
                bright = " bright" if share > 0.55 else ""
                parts.append(f'<text class="count{bright}" x="{x + cell / 2}" y="{y + cell / 2 + 4}">{count}</text>')
    return _svg(width, height, parts, "heatmap")


def number(value: float | None, percent: bool = False) -> str:
    """A figure for readers: "12.3 %", "0.71", "–" for an unknown one."""
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if percent else f"{value:.2f}"


def with_interval(estimate: Estimate, percent: bool = False) -> str:
    """A figure with its interval: "0.71 (0.66–0.75)"."""
    if estimate.ci is None:
        return number(estimate.value, percent)
    factor, digits = (100, 1) if percent else (1, 2)
    low, high = (f"{factor * end:.{digits}f}" for end in estimate.ci)
    return f"{number(estimate.value, percent)} ({low}–{high})"


def _dot(
    estimate: Estimate, y: float, left: float, width: float, low: float, high: float, tone: str, title: str = ""
) -> list[str]:
    if estimate.value is None:
        return []

    def place(value: float) -> float:
        return left + width * min(max((value - low) / (high - low), 0.0), 1.0)

    parts = [f'<g class="{tone}"><title>{escape(title)} {with_interval(estimate)}</title>']
    if estimate.ci is not None:
        first, last = (place(end) for end in estimate.ci)
        parts.append(f'<line class="whisker" x1="{first:.1f}" x2="{last:.1f}" y1="{y}" y2="{y}"/>')
    parts.append(f'<circle class="dot" cx="{place(estimate.value):.1f}" cy="{y}" r="5"/></g>')
    return parts


def _svg(width: float, height: float, parts: Sequence[str], kind: str, label: str = "") -> str:
    name = f' aria-label="{escape(label)}"' if label else ""
    return (
        f'<svg class="{kind}" role="img"{name} viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}" '
        f'height="{height:.0f}" xmlns="http://www.w3.org/2000/svg">{"".join(parts)}</svg>'
    )
