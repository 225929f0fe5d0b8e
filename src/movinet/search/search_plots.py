"""Pictures of a search: how its decisions settled, the network it found, and what searching is worth."""

from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import NetworkSpec
from movinet.search.names import choice_name, format_count, odds_name
from movinet.search.space import Decision, Space
from movinet.train.logs import Log
from movinet.train.plots import COLORS, FAINT, HEADLINE, INK, LINE, new_figure, percent, plain_axes, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_OPEN, _SETTLED = "#f0f1f3", "#0072B2"
_MOST_ROWS = 120
_GROUPS = {"found": COLORS[1], "movinet_a0_stream": COLORS[2], "movinet_t0_stream": COLORS[3], "random": FAINT}
_TITLES = {
    "found": "found",
    "movinet_a0_stream": "A0, scaled",
    "movinet_t0_stream": "T0, scaled",
    "random": "random, of the same cost",
}


def draw_decisions(log: Log, space: Space, target: float, path: str | Path) -> None:
    """Draws rewards, expected cost and entropy against steps, and how certain each decision was after each epoch.

    Args:
        log: Of the search.
        space: Whose decisions.
        target: Of the cost.
        path: The picture to write, PNG.

    Raises:
        MovinetError: The picture cannot be written, or matplotlib is missing.
    """
    shown = [d for d in space.decisions if len(d.choices) > 1][:_MOST_ROWS]
    rows = 0.17 * len(shown)
    figure = new_figure(11.0, 2.2 + 0.9 + rows)
    height = 3.1 + rows
    for n, (title, name, color) in enumerate(
        (
            ("Quality of drawn networks", "quality", COLORS[0]),
            ("Expected cost", "expected_cost", COLORS[1]),
            ("Entropy", "entropy", COLORS[2]),
        )
    ):
        axes = figure.add_axes((n * 0.36, 1 - 2.2 / height, 0.28, 2.2 / height))
        plain_axes(axes, title)
        _curve(axes, log.steps["step"], log.steps.get(name, np.empty(0)), color, noisy=name == "quality")
        axes.set_xlabel("steps", color=FAINT, fontsize=9, loc="right", labelpad=2)
        axes.set_xlim(left=0)
        if name == "expected_cost":
            axes.axhline(target, color=INK, linewidth=0.8, linestyle=":")
            axes.annotate("target", (0, target), (2, 3), textcoords="offset points", color=INK, fontsize=8)
            axes.yaxis.set_major_formatter(lambda value, _: format_count(value))
        else:
            axes.yaxis.set_major_formatter(lambda value, _: percent(value))
            axes.set_ylim(bottom=0)
    _settling(figure.add_axes((0.16, 0, 0.6, rows / height)), log, shown)
    save_figure(figure, path)


def draw_network(spec: NetworkSpec, path: str | Path) -> None:
    """Draws a network, layer by layer: expansion as height, block width as a line, kernels by name.

    Raises:
        MovinetError: The picture cannot be written, or matplotlib is missing.
    """
    places = spec.layers()
    figure = new_figure(max(6.0, 0.62 * len(places) + 1), 2.8)
    axes = figure.add_axes((0, 0, 1, 1))
    plain_axes(axes, f"{spec.name}, layer by layer")
    top = max(place.layer.expansion for place in places)
    for b, grouped in groupby(places, lambda place: place.block):
        block = list(grouped)
        first, last, (height, width) = block[0].depth, block[-1].depth, block[-1].size_after
        axes.hlines(block[0].outputs, first - 0.45, last + 0.45, color=INK, linewidth=2, zorder=3)
        axes.text(
            (first + last) / 2, -0.2 * top, f"block {b}\n{block[0].outputs} wide\n{height}×{width}",
            ha="center", va="top", color=INK, fontsize=8,
        )  # fmt: skip
        if first:
            axes.axvline(first - 0.5, color=LINE, linewidth=1)
    for x, layer in enumerate(place.layer for place in places):
        color = COLORS[1] if layer.kernel[0] > 1 else COLORS[0]
        axes.bar(x, layer.expansion, width=0.7, color=color, alpha=0.9 if layer.squeeze_excitation else 0.4)
        axes.text(x, layer.expansion + 0.02 * top, str(layer.expansion), ha="center", color=FAINT, fontsize=8)
        kernel = "×".join(map(str, layer.kernel))
        axes.text(x, -0.04 * top, kernel, ha="center", va="top", color=INK, fontsize=8)
        axes.text(
            x, -0.12 * top, "SE" if layer.squeeze_excitation else "", ha="center", va="top", fontsize=7, color=INK
        )
    axes.set_xticks([])
    axes.set_ylabel("channels", color=FAINT)
    axes.set_ylim(0, 1.12 * top)
    axes.spines["bottom"].set_visible(False)
    note = "bars: expansion, orange where kernels reach back in time, pale without squeeze-excitation; lines: width"
    axes.text(0, -0.5 * top, note, color=FAINT, fontsize=8, va="top")
    save_figure(figure, path)


def draw_accuracy(
    groups: Mapping[str, Sequence[tuple[float, Sequence[float]]]],
    drawn: Sequence[tuple[float, float]],
    path: str | Path,
) -> None:
    """Draws accuracy against cost, the spread over seeds as a line.

    Args:
        groups: Multiply-adds and the accuracies of some seeds of each network, by group: `found`, `random` ….
        drawn: The same of other networks, one seed each.
        path: The picture to write, PNG.

    Raises:
        MovinetError: The picture cannot be written, or matplotlib is missing.
    """
    figure = new_figure(8.0, 3.6)
    axes = figure.add_axes((0, 0, 1, 1))
    plain_axes(axes, "Accuracy of networks trained alike")
    if drawn:
        axes.plot(*zip(*drawn, strict=True), "o", color=LINE, markeredgecolor=FAINT, markersize=5, label="any network")
    for name in reversed(list(groups)):
        for n, (cost, accuracies) in enumerate(groups[name]):
            middle = float(np.mean(accuracies))
            size = 5 if name == "random" else 9
            axes.vlines(cost, min(accuracies), max(accuracies), color=_GROUPS[name], linewidth=1.5)
            label = _TITLES[name] if n == 0 else None
            axes.plot([cost], [middle], "o", color=_GROUPS[name], markersize=size, label=label, zorder=3)
    axes.xaxis.set_major_formatter(lambda value, _: format_count(value))
    axes.yaxis.set_major_formatter(lambda value, _: percent(value))
    axes.set_xlabel("multiply-adds a frame", color=FAINT, fontsize=9, loc="right", labelpad=2)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, handlelength=1.2)
    save_figure(figure, path)


def _curve(
    axes: "Axes", steps: NDArray[np.float64], values: NDArray[np.float64], color: str, noisy: bool = False
) -> None:
    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    axes.plot(steps, values, color=color, linewidth=0.6 if noisy else 1.8, alpha=0.25 if noisy else 1)
    if noisy and len(values):
        width = max(1, len(values) // 25)
        weights = np.convolve(np.ones(len(values)), np.ones(width), "same")
        axes.plot(steps, np.convolve(values, np.ones(width), "same") / weights, color=color, linewidth=1.8)


def _settling(axes: "Axes", log: Log, decisions: Sequence[Decision]) -> None:
    """A row for each decision, from open to settled; at its end what is most probable now."""
    epochs = log.epochs["epoch"]
    certain = np.zeros((len(decisions), len(epochs)))
    for row, decision in enumerate(decisions):
        odds = np.stack([log.epochs[odds_name(decision, choice)] for choice in decision.choices])
        certain[row] = 1 + (odds * np.log(odds.clip(1e-30))).sum(0) / np.log(len(odds))
        if len(epochs):
            best = int(odds[:, -1].argmax())
            text = f"{choice_name(decision.choices[best])}  {percent(odds[best, -1])}"
            axes.text(len(epochs) - 0.4, row, text, va="center", color=INK, fontsize=7)
    from matplotlib.colors import LinearSegmentedColormap

    colors = LinearSegmentedColormap.from_list("", [_OPEN, _SETTLED])
    axes.imshow(certain, aspect="auto", vmin=0, vmax=1, cmap=colors, interpolation="nearest")
    axes.set_yticks(range(len(decisions)), [decision.name for decision in decisions], fontsize=7, color=INK)
    axes.set_xticks(range(len(epochs)), [f"{n:.0f}" for n in epochs], fontsize=7, color=FAINT)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    axes.set_title("How certain each decision is, after each epoch", loc="left", pad=8, **HEADLINE)
