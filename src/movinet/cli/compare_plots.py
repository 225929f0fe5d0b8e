"""Pictures of networks side by side."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from movinet.baselines.comparison import Cost, Trained, million_parameters, video_gmacs
from movinet.baselines.published_figures import Published
from movinet.train.plots import COLORS, FAINT, INK, new_figure, plain_axes, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Point = tuple[str, float, float]  # name, cost, accuracy

_FAMILIES: tuple[tuple[str, Callable[[str], bool], str], ...] = (
    ("MoViNet + GRW", lambda name: "GRW" in name, COLORS[2]),
    ("MoViNet base", lambda name: name.lower().startswith("movinet") and "base" in name, COLORS[0]),
    ("MoViNet stream", lambda name: name.lower().startswith("movinet") and "stream" in name, COLORS[1]),
    ("X3D", lambda name: name.lower().startswith("x3d"), COLORS[3]),
    ("MobileNet", lambda name: "mobilenet" in name.lower(), COLORS[4 % len(COLORS)]),
    ("others", lambda name: True, FAINT),
)
# Of a name beside its point, in points; the first that is free.
_PLACES = ((3, 4), (3, -9), (3, -2), (-3, 4), (-3, -9), (-3, -2), (3, 12), (3, -17), (-3, 12), (-3, -17))


def draw_published(rows: Sequence[Published], path: Path) -> None:
    """Published accuracy against multiply-adds of a video, on Kinetics-600 and Kinetics-400.

    Raises:
        MovinetError: the picture cannot be written, or matplotlib is missing.
    """
    figure = _figure(13.0, 5.0)
    for axes, data in zip(figure.subplots(1, 2), ("Kinetics-600", "Kinetics-400"), strict=True):
        points = [
            (row.network, gmacs, row.top1)
            for row in rows
            if row.data == data and row.top1 is not None and (gmacs := video_gmacs(row)) is not None
        ]
        _scatter(axes, points, f"{data}: top-1, %, as published", "billion multiply-adds a video, of all views")
    part_names(figure)
    save_figure(figure, path)


def draw_costs(rows: Sequence[Published], costs: Sequence[Cost], path: Path) -> None:
    """Published accuracy against what was counted and measured here: parameters, time and memory.

    Raises:
        MovinetError: the picture cannot be written, or matplotlib is missing.
    """
    known = {cost.network: cost for cost in costs}
    shown = [(row, known[row.network]) for row in rows if row.network in known and row.top1 is not None]
    figure = _figure(15.0, 9.0)
    grid = figure.subplots(2, 3)
    for line, data in zip(grid, ("Kinetics-600", "Kinetics-400"), strict=True):
        pairs = [(row, cost) for row, cost in shown if row.data == data]
        counts = [(r.network, n, r.top1) for r, _ in pairs if (n := million_parameters(r)) is not None]
        times = [(r.network, c.clip_ms * r.count / 1e3, r.top1) for r, c in pairs if c.clip_ms is not None]
        sizes = [(r.network, c.memory_mb, r.top1) for r, c in pairs if c.memory_mb is not None]
        title = f"{data}: top-1, %, as published"
        for axes, points, cost in (
            (line[0], counts, "million parameters"),
            (line[1], times, "seconds a video, of all views, measured"),
            (line[2], sizes, "peak memory, MB, measured"),
        ):
            _scatter(axes, points, title, cost)  # type: ignore[arg-type]
    part_names(figure)
    save_figure(figure, path)


def draw_trained(rows: Sequence[Trained], path: Path) -> None:
    """Accuracy of our own trainings against multiply-adds and parameters: the mean, and each seed.

    Raises:
        MovinetError: the picture cannot be written, or matplotlib is missing.
    """
    figure = _figure(13.0, 5.0)
    macs, sizes = figure.subplots(1, 2)
    of_macs = {row.network: 1e3 * row.gmacs for row in rows}
    of_sizes = {row.network: row.parameters / 1e6 for row in rows}
    for axes, cost, label in (
        (macs, of_macs, "million multiply-adds a clip"),
        (sizes, of_sizes, "million parameters"),
    ):
        points = [(row.network, cost[row.network], 100 * row.mean) for row in rows]
        _scatter(axes, points, "Top-1, %, trained here", label)
        for row in rows:
            each = [100 * top1 for top1 in row.top1]
            axes.plot([cost[row.network]] * len(each), each, color=FAINT, marker=".", lw=0.8, zorder=0)
    part_names(figure)
    save_figure(figure, path)


def _figure(width: float, height: float) -> "Figure":
    """With room between its parts."""
    figure = new_figure(width, height)
    figure.set_layout_engine("constrained", w_pad=0.15, h_pad=0.15)
    return figure


def _scatter(axes: "Axes", points: Sequence[Point], title: str, cost: str) -> None:
    from matplotlib.ticker import LogLocator, NullFormatter

    plain_axes(axes, title)
    axes.title.set_fontsize(11)
    left = list(points)
    for name, belongs, color in _FAMILIES:
        mine = sorted((point for point in left if belongs(point[0])), key=lambda point: point[1])
        left = [point for point in left if not belongs(point[0])]
        if not mine:
            continue
        line = "-" if name.startswith("MoViNet") else "none"
        xs, ys = [p[1] for p in mine], [p[2] for p in mine]
        axes.plot(xs, ys, linestyle=line, marker="o", ms=4, lw=1.2, color=color, label=name)
        place = _PLACES[name == "MoViNet stream"]
        for network, x, y in mine:
            axes.annotate(_short(network), (x, y), place, textcoords="offset points", fontsize=6.5, color=INK)
    if points:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(0.7 * min(x for _, x, _ in points), 3 * max(x for _, x, _ in points))  # names are written right
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    else:
        axes.set_xticks([])
        axes.set_yticks([])
        axes.text(0.5, 0.5, "nothing was measured", ha="center", transform=axes.transAxes, color=FAINT)
    axes.set_xlabel(cost, color=FAINT, fontsize=9, loc="right")


def part_names(figure: "Figure") -> None:
    """Move names that lie on others, or on points, to where there is room, if there is."""
    from matplotlib.text import Annotation
    from matplotlib.transforms import Bbox

    figure.draw_without_rendering()  # places are known from now on
    for axes in figure.axes:
        names = [text for text in axes.texts if isinstance(text, Annotation)]
        points = [axes.transData.transform(line.get_xydata()) for line in axes.lines]
        taken = [Bbox.from_bounds(x - 2, y - 2, 4, 4) for line in points for x, y in line]
        for name in names:
            placed = name.get_position()
            for place in (placed, *_PLACES):
                name.set_position(place)
                name.set_horizontalalignment("left" if place[0] > 0 else "right")
                box = name.get_window_extent()
                if not any(box.overlaps(other) for other in taken):
                    break
            else:
                name.set_position(placed)
                name.set_horizontalalignment("left")
                box = name.get_window_extent()
            taken.append(box)


def _short(network: str) -> str:
    """`movinet_a2_stream + GRW` as A2."""
    if network.startswith("movinet_"):
        return network.split("_")[1].upper()
    if network.startswith("x3d_"):
        return network.upper().replace("_", "-")
    for ours, theirs in (("tsm_mobilenet_v", "TSM MobileNetV"), ("tsn_mobilenet_v", "TSN MobileNetV"), (", ", " ")):
        network = network.replace(ours, theirs)
    return network.replace("_", " ").replace(" frames", " f")
