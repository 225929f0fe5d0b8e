"""Plots as SVG inside an HTML page: text, colors of the page's own variables in light and dark, nothing to be loaded.

A page that shows them has `STYLE` in its style sheet. Names and labels may hold anything; they are escaped.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np
from numpy.typing import NDArray

from movinet.errors import printable
from movinet.metrics import Calibration

STYLE = """
:root { color-scheme: light dark; --ground: #f6f7f6; --card: #ffffff; --ink: #16211f; --quiet: #56625f;
  --line: #d5dcd9; --bar: #e6ebe9; --accent: #14616a; --on-accent: #ffffff; --trouble: #b3441e;
  --lane0: #14616a; --lane1: #b35c00; --lane2: #5b3f9e; --lane3: #8c2f5f; --lane4: #3d7a1f; --lane5: #56625f; }
@media (prefers-color-scheme: dark) { :root { --ground: #101615; --card: #182120; --ink: #e8efed; --quiet: #a3b1ad;
  --line: #2e3a38; --bar: #263230; --accent: #6cc5c0; --on-accent: #06201f; --trouble: #ff9d76;
  --lane0: #6cc5c0; --lane1: #f0a860; --lane2: #b9a3ff; --lane3: #f097c0; --lane4: #9cd67c; --lane5: #a3b1ad; } }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { font: 12px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; fill: var(--quiet); }
svg text.ink { fill: var(--ink); }
svg text.on { fill: var(--on-accent); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .guide { stroke: var(--ink); stroke-width: 1.5; stroke-dasharray: 4 4; }
svg .curve { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
svg .band { stroke: none; opacity: 0.16; }
svg .fill { fill: var(--accent); }
svg .faint { fill: var(--bar); }
svg .wrong { fill: var(--trouble); }
"""

_WIDTH, _HEIGHT = 640, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 96, 14, 40  # margins
_COLORS = 6


@dataclass(frozen=True)
class Series:
    """A line with its interval.

    Args:
        name: that stands at its end.
        xs, ys: places; what is no number is left out.
        lows, highs: of the interval at each; none where empty.
    """

    name: str
    xs: Sequence[float]
    ys: Sequence[float]
    lows: Sequence[float] = ()
    highs: Sequence[float] = ()


def line_chart(series: Sequence[Series], x_title: str, y_title: str, *, shares: bool = True) -> str:
    """Lines over an axis, each with its name at its end; values are told where one points at them.

    Args:
        series: at most six are told apart by color.
        x_title, y_title: of the axes.
        shares: both axes go from 0 to 1 and are told in percent.
    """
    points = [(x, y) for one in series for x, y in zip(one.xs, one.ys, strict=True) if math.isfinite(x + y)]
    if not points:
        return ""
    most_x, most_y = (1.0, 1.0) if shares else (max(x for x, _ in points) or 1.0, max(y for _, y in points) or 1.0)

    def place(x: float, y: float) -> tuple[float, float]:
        across = _LEFT + x / most_x * (_WIDTH - _LEFT - _RIGHT)
        return across, _HEIGHT - _BOTTOM - y / most_y * (_HEIGHT - _TOP - _BOTTOM)

    parts = [_axes(most_x, most_y, x_title, y_title, shares)]
    ends: list[tuple[float, float, int, str]] = []
    for n, one in enumerate(series):
        color = f"var(--lane{n % _COLORS})"
        line = [place(x, y) for x, y in zip(one.xs, one.ys, strict=True) if math.isfinite(x + y)]
        if not line:
            continue
        if one.lows:
            there = [
                k for k, (low, high) in enumerate(zip(one.lows, one.highs, strict=True)) if math.isfinite(low + high)
            ]
            around = [place(one.xs[k], one.highs[k]) for k in there] + [
                place(one.xs[k], one.lows[k]) for k in there[::-1]
            ]
            if around:
                parts.append(f'<polygon class="band" style="fill:{color}" points="{_points(around)}"/>')
        parts.append(f'<polyline class="curve" style="stroke:{color}" points="{_points(line)}"/>')
        for k, (x, y) in enumerate(zip(one.xs, one.ys, strict=True)):
            if math.isfinite(x + y):
                told = f"{one.name}: {_number(y, shares)} at {_number(x, shares)}"
                if one.lows and math.isfinite(one.lows[k] + one.highs[k]):
                    told += f" ({_number(one.lows[k], shares)} to {_number(one.highs[k], shares)})"
                cx, cy = place(x, y)
                dot = f'<circle cx="{cx:.1f}" cy="{cy:.1f}" r="3" style="fill:{color}">{_title(told)}</circle>'
                parts.append(dot)
        ends.append((*line[-1], n % _COLORS, one.name))
    below = -math.inf
    for x, y, n, name in sorted(ends, key=lambda end: end[1]):
        below = max(y, below + 14)  # names do not lie on each other
        text = _text(name, 24)
        parts.append(f'<text x="{x + 9:.1f}" y="{below + 4:.1f}" style="fill:var(--lane{n})">{text}</text>')
    return _svg(_WIDTH, _HEIGHT, parts, f"{y_title} against {x_title}")


def reliability_diagram(calibrated: Calibration) -> str:
    """How often what was said with some probability was true, over the probability; below, how often it was said."""
    size, low, foot = 300, 40, 56
    bins, most = len(calibrated.counts), max(1, int(calibrated.counts.max(initial=0)))
    inner = size - low - 10
    parts = []
    for n in range(5):
        at = size - low - n / 4 * inner
        parts.append(f'<line class="grid" x1="{low}" x2="{size - 10}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(f'<text x="{low - 6}" y="{at + 4:.1f}" text-anchor="end">{n * 25} %</text>')
        x = low + n / 4 * inner
        parts.append(f'<text x="{x:.1f}" y="{size + foot - 14}" text-anchor="middle">{n * 25} %</text>')
    width = inner / bins
    for n in range(bins):
        count = int(calibrated.counts[n])
        if not count:
            continue
        said, true = float(calibrated.said[n]), float(calibrated.true[n])
        x, high = low + n * width, true * inner
        told = _title(f"said {said:.1%} on average, true {true:.1%}, {count} times")
        parts.append(
            f'<rect class="fill" x="{x + 1:.1f}" y="{size - low - high:.1f}" width="{width - 2:.1f}" '
            f'height="{max(high, 1):.1f}" rx="2">{told}</rect>'
        )
        bar = max(1.0, count / most * (foot - 22))
        parts.append(
            f'<rect class="wrong" x="{x + 1:.1f}" y="{size - low + 8:.1f}" width="{width - 2:.1f}" '
            f'height="{bar:.1f}" opacity="0.55" rx="1">{told}</rect>'
        )
    parts.append(f'<line class="guide" x1="{low}" y1="{size - low}" x2="{size - 10}" y2="{size - low - inner}"/>')
    parts.append(f'<text x="{size - 10}" y="{size + foot}" text-anchor="end">probability that was said</text>')
    return _svg(size, size + foot + 4, parts, "reliability diagram")


def confusion_chart(counts: NDArray[np.integer], names: Sequence[str]) -> str:
    """A matrix: the true class by row, what it was taken for by column.

    Args:
        counts: (n, n).
        names: of the classes.
    """
    n, of = len(names), np.maximum(counts.sum(1), 1)
    cell = float(np.interp(n, [4, 12, 40], [56, 40, 22]))
    left, top = 150.0, 112.0
    parts = []
    for row, name in enumerate(names):
        y = top + (row + 0.5) * cell + 4
        parts.append(f'<text class="ink" x="{left - 8}" y="{y:.1f}" text-anchor="end">{_text(name, 20)}</text>')
        x, base = left + (row + 0.5) * cell, top - 8
        turned = f'transform="rotate(-45 {x:.1f} {base:.1f})"'
        parts.append(f'<text class="ink" x="{x:.1f}" y="{base:.1f}" {turned}>{_text(name, 16)}</text>')
        right = f"{counts[row, row] / of[row]:.0%}" if counts[row].sum() else "–"
        parts.append(f'<text x="{left + n * cell + 8:.1f}" y="{y:.1f}">{right}</text>')
    for row in range(n):
        for column in range(n):
            count, share = int(counts[row, column]), float(counts[row, column] / of[row])
            x, y = left + column * cell, top + row * cell
            kind = "fill" if row == column else "wrong"
            box = f'x="{x + 1:.1f}" y="{y + 1:.1f}" width="{cell - 2:.1f}" height="{cell - 2:.1f}" rx="3"'
            if not count:
                parts.append(f'<rect class="faint" {box} opacity="0.6"/>')
                continue
            strength = share if row == column else 0.25 + 0.75 * share**0.5
            told = _title(f"{names[row]} taken for {names[column]}: {count} of {int(of[row])}")
            parts.append(f'<rect class="{kind}" {box} opacity="{max(0.15, strength):.2f}">{told}</rect>')
            dark = ' class="on"' if strength > 0.6 else ' class="ink"'
            at = f'x="{x + cell / 2:.1f}" y="{y + cell / 2 + 4:.1f}"'
            parts.append(f'<text{dark} {at} text-anchor="middle" pointer-events="none">{count}</text>')
    return _svg(left + n * cell + 50, top + n * cell + 6, parts, "confusion matrix")


def _axes(most_x: float, most_y: float, x_title: str, y_title: str, shares: bool) -> str:
    parts, right, floor = [], _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    for n in range(5):
        y = floor - n / 4 * (floor - _TOP)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(
            f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{_number(n / 4 * most_y, shares)}</text>'
        )
        x = _LEFT + n / 4 * (right - _LEFT)
        parts.append(
            f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{_number(n / 4 * most_x, shares)}</text>'
        )
    parts.append(f'<text x="{right}" y="{floor + 36}" text-anchor="end">{_text(x_title, 60)}</text>')
    return "".join(parts) + f"<title>{_text(y_title, 60)}</title>"


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    head = f'<svg viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(printable(label))}"'
    return f'{head} style="max-width:{width:.0f}px">{"".join(parts)}</svg>'


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _number(value: float, shares: bool) -> str:
    return f"{100 * value:.3g} %" if shares else f"{value:.3g}"


def _title(text: str) -> str:
    return f"<title>{escape(printable(text))}</title>"


def _text(text: str, most: int) -> str:
    return escape(printable(text if len(text) <= most else text[: most - 1] + "…"))
