"""Pictures of a run: how it went, and what it takes for what."""

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.deploy.quiet import quiet
from movinet.errors import MovinetError
from movinet.files import write_atomically
from movinet.train.logs import Log
from movinet.words import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's colors, which the color-blind tell apart.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
INK, FAINT, LINE = "#24272b", "#80858c", "#e3e5e8"
_RIGHT, _WRONG = ("#f4f5f6", "#9ecae1", "#0068a8"), ("#f4f5f6", "#fdbe85", "#d94801")  # from never to always
_SCORES = {"top1": "top-1 accuracy", "map": "mean average precision", "top5": "top-5 accuracy"}
_MOST = 40  # classes in a matrix with names
_LISTED = 25  # of more classes
_POINTS = 2000  # of a curve


def draw_learning_curves(runs: Mapping[str, Log], path: str | Path) -> None:
    """Draws loss, accuracy and learning rate against steps, as a PNG.

    Args:
        runs: What was logged, by the run's name; several are laid over each other. Drawn are `loss` and `lr` of the
            steps, and `validation_loss` and `validation_top1`, `_map` and `_top5` of the epochs.
        path: The picture to write.

    Raises:
        MovinetError: The picture cannot be written, or matplotlib is missing.
    """
    figure = new_figure(12.0, 2.5)
    figure.subplots_adjust(left=0, right=1, top=1, bottom=0, wspace=0.18)
    loss, score, rate = figure.subplots(1, 3)
    for axes, title in (
        (loss, "Loss" if len(runs) == 1 else "Loss (thin: in training)"),
        (score, "Validation"),
        (rate, "Learning rate"),
    ):
        plain_axes(axes, title)
    if len(runs) == 1:
        (log,) = runs.values()
        _curves_of_one(loss, score, log)
        for axes in (loss, score, rate):
            _mark_epochs(axes, log)
    else:
        shown = next((name for name in _SCORES if any(_has(log.epochs, name) for log in runs.values())), "top1")
        score.set_title(f"Validation {_SCORES[shown]}", loc="left", pad=12, **HEADLINE)
        for n, (name, log) in enumerate(runs.items()):
            _curves_of_several(loss, score, log, shown, name, COLORS[n % len(COLORS)])
    for n, log in enumerate(runs.values()):
        color = COLORS[n % len(COLORS)] if len(runs) > 1 else INK
        rate.plot(*_thinned(log.steps, "lr"), color=color, linewidth=1.5)
    _limit_loss(loss, runs.values())
    score.set_ylim(top=min(score.get_ylim()[1], 1.03))  # shares
    score.yaxis.set_major_formatter(lambda value, _: percent(value))
    rate.set_ylim(bottom=0)
    rate.yaxis.set_major_formatter(lambda value, _: f"{value:.3g}")
    for axes in (loss, score, rate):
        axes.set_xlabel("steps", color=FAINT, fontsize=9, loc="right", labelpad=2)
        axes.xaxis.set_major_formatter(lambda value, _: thousands(value))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.set_xlim(left=0)
        if axes.get_legend_handles_labels()[0] and axes is not rate:
            legend = axes.legend(frameon=False, fontsize=9, labelcolor=INK, handlelength=1.4)
            for text in legend.get_texts():
                text.set_parse_math(False)
    save_figure(figure, path)


def draw_confusion_matrix(counts: NDArray[np.integer[Any]], labels: Sequence[str], path: str | Path) -> None:
    """Draws which class is taken for which, as a PNG; of many classes, the hardest and the pairs most often
    confused are listed.

    Args:
        counts: (classes, classes): clips of each class by row, what they were taken for by column.
        labels: Of the classes.
        path: The picture to write.

    Raises:
        MovinetError: The picture cannot be written, or matplotlib is missing.
    """
    counts = np.asarray(counts)
    if not len(labels) or counts.shape != (len(labels), len(labels)):
        raise ValueError(f"counts of shape {counts.shape} for {counted(len(labels), 'label')}")
    save_figure((_whole_matrix if len(labels) <= _MOST else _lists)(counts, labels), path)


def _curves_of_one(loss: "Axes", score: "Axes", log: Log) -> None:
    steps, losses = _thinned(log.steps, "loss")
    loss.plot(steps, losses, color=COLORS[0], linewidth=0.6, alpha=0.25)
    loss.plot(steps, _smoothed(losses), color=COLORS[0], linewidth=1.8, label="training")
    if _has(log.epochs, "loss"):
        _epoch_curve(loss, log, "loss", COLORS[1], "validation")
    shown = [name for name in _SCORES if _has(log.epochs, name)]
    for color, name in zip((COLORS[1], COLORS[2], COLORS[0]), shown, strict=False):
        _epoch_curve(score, log, name, color, _SCORES[name])
    for name in shown[:1]:
        _mark_best(score, log, name, COLORS[1])


def _curves_of_several(loss: "Axes", score: "Axes", log: Log, shown: str, name: str, color: str) -> None:
    steps, losses = _thinned(log.steps, "loss")
    loss.plot(steps, _smoothed(losses), color=color, linewidth=1.0, alpha=0.45)
    if _has(log.epochs, "loss"):
        _epoch_curve(loss, log, "loss", color, None)
    if _has(log.epochs, shown):
        _epoch_curve(score, log, shown, color, name)


def _epoch_curve(axes: "Axes", log: Log, name: str, color: str, label: str | None) -> None:
    steps = log.epochs["step"]
    marker = "o" if len(steps) <= 40 else None
    axes.plot(
        steps, log.epochs[f"validation_{name}"], color=color, linewidth=1.8, marker=marker, markersize=3, label=label
    )


def _mark_best(axes: "Axes", log: Log, name: str, color: str) -> None:
    values = log.epochs[f"validation_{name}"]
    best = int(np.nanargmax(values))
    step, value = log.epochs["step"][best], values[best]
    axes.plot([step], [value], marker="o", markersize=7, color="none", markeredgecolor=color, markeredgewidth=1.5)
    low, high = axes.get_ylim()
    below = value > low + 0.85 * (high - low)  # no room above
    axes.annotate(
        percent(value, 1),
        (step, value),
        (0, -7 if below else 7),
        textcoords="offset points",
        ha="center",
        va="top" if below else "bottom",
        color=color,
        fontsize=9,
    )


def _has(table: Mapping[str, NDArray[np.float64]], name: str) -> bool:
    return bool(np.isfinite(table.get(f"validation_{name}", [])).any())


def _mark_epochs(axes: "Axes", log: Log) -> None:
    """The ends of some epochs along the top."""
    ends = log.epochs["step"]
    if not len(ends):
        return
    every = next(n for n in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, len(ends)) if len(ends) / n <= 8)
    top = axes.secondary_xaxis("top")
    top.set_xticks(ends[every - 1 :: every], [str(n) for n in range(every, len(ends) + 1, every)])
    top.tick_params(length=2, colors=FAINT, labelsize=8, pad=1)
    top.spines["top"].set_visible(False)
    top.set_xlabel("epochs", color=FAINT, fontsize=8, loc="right", labelpad=2)


def _limit_loss(axes: "Axes", logs: Iterable[Log]) -> None:
    """A single update gone wild does not flatten all the others."""
    tops, bottoms = [], []
    for log in logs:
        losses = [_thinned(log.steps, "loss")[1], log.epochs.get("validation_loss", np.empty(0))]
        for values in losses:
            if len(finite := values[np.isfinite(values)]):
                tops.append(np.percentile(finite, 99.5))
                bottoms.append(finite.min())
    if tops and max(tops) > min(bottoms):
        room = 0.05 * (max(tops) - min(bottoms))
        axes.set_ylim(min(bottoms) - room, max(tops) + room)


def _thinned(table: Mapping[str, NDArray[np.float64]], name: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Steps and values, of a long run means of several; not finite where one of them is not."""
    steps, values = table["step"], table.get(name, np.full(len(table["step"]), np.nan))
    many = -(-len(values) // _POINTS) or 1
    whole = len(values) // many * many
    return steps[:whole].reshape(-1, many).mean(1), values[:whole].reshape(-1, many).mean(1)


def _smoothed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Medians of the neighborhood; gaps where nothing in it is finite."""
    if not len(values):
        return values
    half = max(1, len(values) // 60)
    padded = np.pad(np.where(np.isfinite(values), values, np.nan), half, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, 2 * half + 1)
    some = np.isfinite(around).any(1)
    medians = np.full(len(values), np.nan)
    medians[some] = np.nanmedian(around[some], axis=1)
    return medians


def _headline(counts: NDArray[np.integer[Any]]) -> str:
    total = int(counts.sum())
    return f"{percent(np.trace(counts) / total, 1)} of {thousands(total)} clips are right" if total else "No clips"


def _strengths(counts: NDArray[np.integer[Any]]) -> NDArray[np.float64]:
    """(n, n) from 0 to 1: how often each class is taken for which, errors lifted so that rare ones are seen."""
    shares = counts / np.maximum(counts.sum(1), 1)[:, None]
    return np.where(np.eye(len(counts), dtype=bool), shares**0.8, shares**0.5)


def _shaded(strengths: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, n, 3) colors."""
    right, wrong = (
        np.stack([np.interp(strengths, (0, 0.4, 1), c) for c in _rgb(ramp)], -1) for ramp in (_RIGHT, _WRONG)
    )
    return np.where(np.eye(len(strengths), dtype=bool)[..., None], right, wrong)


def _rgb(colors: Sequence[str]) -> list[list[float]]:
    """Red, green and blue of several colors."""
    return [[int(color[n : n + 2], 16) / 255 for color in colors] for n in (1, 3, 5)]


def _whole_matrix(counts: NDArray[np.integer[Any]], labels: Sequence[str]) -> "Figure":
    n, of, strengths = len(labels), counts.sum(1), _strengths(counts)
    names = [_shortened(label, 28) for label in labels]
    cell = float(np.interp(n, [4, 12, 25, _MOST], [0.75, 0.5, 0.34, 0.24]))  # inches
    font = float(np.interp(cell, [0.24, 0.5], [7.0, 10.0]))
    figure = new_figure(n * cell, n * cell)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(_shaded(strengths), aspect="auto")
    axes.set_xticks(range(n), names, rotation=45, ha="right", rotation_mode="anchor", parse_math=False)
    axes.set_yticks(range(n), names, parse_math=False)
    axes.set_xticks(np.arange(n + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(n + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=min(2.0, 4 * cell))
    axes.tick_params(which="both", length=0, labelsize=font, colors=INK)
    axes.spines[:].set_visible(False)
    for row, column in zip(*np.nonzero(counts), strict=True):
        number = str(counts[row, column])
        size = min(font, 72 * cell * 0.85 / (0.65 * len(number)))
        color = "white" if strengths[row, column] > 0.6 else INK
        axes.text(column, row, number, ha="center", va="center", color=color, fontsize=size)
    for row, right in enumerate(np.diag(counts)):
        share = percent(right / of[row]) if of[row] else "–"
        axes.text(n - 0.4, row, share, ha="left", va="center", color=FAINT, fontsize=font)
    above: dict[str, Any] = {"va": "bottom", "color": FAINT, "fontsize": font}
    axes.text(-0.6, -0.6, "class ↓", ha="right", **above)
    axes.text(-0.5, -0.6, "taken for →", ha="left", **above)
    axes.text(n - 0.4, -0.6, "right", ha="left", **above)
    axes.set_title(_headline(counts), loc="left", pad=font + 26, **HEADLINE)
    return figure


def _lists(counts: NDArray[np.integer[Any]], labels: Sequence[str]) -> "Figure":
    figure = new_figure(13.0, 7.0)
    of, right = counts.sum(1), np.diag(counts)
    figure.text(0.0, 1.03, f"{_headline(counts)}, {counted(len(labels), 'class', 'classes')}", **HEADLINE)

    shares = np.where(of > 0, right / np.maximum(of, 1), np.inf)
    hardest = np.argsort(shares, kind="stable")[: min(_LISTED, int((of > 0).sum()))]
    names = [_shortened(labels[n], 30) for n in hardest]
    notes = [f"{right[n]} of {of[n]} right" for n in hardest]
    axes = figure.add_axes((0.2, 0, 0.15, 0.95))
    _bars(axes, "Hardest classes", names, [shares[n] for n in hardest], notes, COLORS[0])

    wrong = counts - np.diag(right)
    order = np.argsort(-wrong, axis=None, kind="stable")[: min(_LISTED, int((wrong > 0).sum()))]
    pairs = list(zip(*np.unravel_index(order, wrong.shape), strict=True))
    names = [f"{_shortened(labels[row], 24)} → {_shortened(labels[column], 24)}" for row, column in pairs]
    notes = [f"{wrong[pair]} of {of[pair[0]]}" for pair in pairs]
    axes = figure.add_axes((0.8, 0, 0.15, 0.95))
    _bars(axes, "Most often confused", names, [wrong[pair] / of[pair[0]] for pair in pairs], notes, COLORS[1])
    return figure


def _bars(axes: "Axes", title: str, names: list[str], shares: list[float], notes: list[str], color: str) -> None:
    axes.barh(range(len(shares)), shares, height=0.62, color=color)
    for place, (share, note) in enumerate(zip(shares, notes, strict=True)):
        axes.text(share, place, f"  {note}", va="center", color=FAINT, fontsize=9)
    axes.set_yticks(range(len(names)), names, parse_math=False)
    axes.set_ylim(_LISTED - 0.4, -0.6)
    axes.set_xlim(0, max([*shares, 0.01]))
    axes.set_xticks([])
    axes.set_title(title, loc="right", x=-0.04, color=INK, fontsize=10, weight="bold", pad=8)
    axes.tick_params(length=0, labelsize=9, colors=INK)
    axes.spines[["top", "right", "bottom"]].set_visible(False)
    axes.spines["left"].set_color(LINE)


def _shortened(label: str, most: int) -> str:
    return label if len(label) <= most else label[: most - 1].rstrip() + "…"


HEADLINE: dict[str, Any] = {"color": INK, "fontsize": 12, "weight": "bold"}


def plain_axes(axes: "Axes", title: str) -> None:
    """A headline, faint lines across, no frame."""
    axes.set_title(title, loc="left", pad=12, **HEADLINE)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(FAINT)
    axes.grid(axis="y", color=LINE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, colors=FAINT)


def percent(share: float, digits: int = 0) -> str:
    """`12 %`"""
    return f"{100 * share:.{digits}f} %"


def thousands(number: float) -> str:
    """`12 000`"""
    return f"{number:,.0f}".replace(",", " ")


def new_figure(width: float, height: float) -> "Figure":
    """An empty picture, in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MovinetError("pictures need matplotlib: pip install 'movinet[train]'") from error
    return Figure(figsize=(width, height), facecolor="white")


def save_figure(figure: "Figure", path: str | Path) -> None:
    """As a PNG.

    Raises:
        MovinetError: It cannot be written.
    """
    data = io.BytesIO()
    with quiet():  # a box for a letter of which there is no picture is no reason to complain
        figure.savefig(data, format="png", dpi=150, bbox_inches="tight", pad_inches=0.25)  # room for any names
    write_atomically(path, data.getvalue())
