"""How the command line shows networks side by side."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from rich.table import Table
from rich.text import Text

from movinet.baselines.comparison import Cost, Trained, million_parameters, video_gmacs
from movinet.baselines.published_figures import Published
from movinet.cli.console import out

_NOTES = (
    "in brackets: counted here, from the specification; GMACs are billions of multiply-adds, of all views",
    "X3D on Kinetics-400: counts at the training crop; views were larger, up to 1.3 times that",
)


def published_row(row: Published) -> dict[str, Any]:
    """What was published of a network, with what is counted where nothing was."""
    return {**asdict(row), "video_gmacs": video_gmacs(row), "million_parameters": million_parameters(row)}


def print_published(rows: Sequence[Published]) -> None:
    """Published figures, each with its source; counts in brackets are ours."""
    if not rows:
        return
    sources = list(dict.fromkeys(source for row in rows for source in row.source.split("; ")))
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("published", no_wrap=True)
    for heading in ("top-1", "views", "params", "GMACs a video", "source"):
        table.add_column(heading, justify="right", no_wrap=True)
    data = ""
    for row in rows:
        if row.data != data:
            data = row.data
            table.add_row(Text(data, style="bold"))
        table.add_row(
            row.network,
            "" if row.top1 is None else f"{row.top1:.1f}",
            row.views,
            _number(million_parameters(row), "M", counted=row.parameters is None),
            _number(video_gmacs(row), "", counted=row.gmacs is None),
            ", ".join(str(1 + sources.index(source)) for source in row.source.split("; ")),
        )
    out.print(table)
    for number, source in enumerate(sources, 1):
        out.print(f"  {number} {source}", style="dim", highlight=False)
    for note in _NOTES:
        out.print(f"  {note}", style="dim", highlight=False)
    out.print()


def print_costs(costs: Sequence[Cost]) -> None:
    """What networks cost: counted, and measured where they were run."""
    table = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("cost", no_wrap=True)
    for heading in ("clip", "M params", "GMACs", "MB state", "ms", "ms/frame", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for cost in costs:
        height, width = cost.size
        table.add_row(
            cost.network,
            f"{cost.frames}×{height}²" if height == width else f"{cost.frames}×{height}×{width}",
            f"{cost.parameters / 1e6:.2f}",
            f"{cost.gmacs:.2f}",
            f"{cost.state_mb:.1f}" if cost.state_mb else "",
            "" if cost.clip_ms is None else f"{cost.clip_ms:.0f}",
            "" if cost.clip_ms is None else f"{cost.clip_ms / cost.frames:.1f}",
            "" if cost.memory_mb is None else f"{cost.memory_mb:.0f}",
        )
    out.print(table)
    measured = sorted({(cost.date, cost.machine) for cost in costs if cost.clip_ms is not None})
    for date, where in measured:
        out.print(f"(measured {date}: {where}; PyTorch, float32)", style="dim")
    if measured:
        out.print("(MB: at most, beyond an idle process; networks with a state are run frame by frame)", style="dim")
    if not measured:
        out.print("(nothing was measured: --measure --out FOLDER runs them)", style="dim")
    out.print()


def print_trained(rows: Sequence[Trained]) -> None:
    """Trainings of our own."""
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("trained here", no_wrap=True)
    for heading in ("top-1", "of each seed", "params", "MMACs a clip"):
        table.add_column(heading, justify="right")
    for row in rows:
        each = ", ".join(f"{100 * top1:.1f}" for top1 in row.top1)
        table.add_row(
            row.network, f"{100 * row.mean:.1f}", each, f"{row.parameters / 1e6:.2f} M", f"{1e3 * row.gmacs:.1f}"
        )
    out.print(table)
    out.print(f"({rows[0].clips} test clips)\n", style="dim")


def _number(value: float | None, unit: str, counted: bool) -> str:
    if value is None:
        return ""
    text = f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"
    text = f"{text} {unit}".rstrip()
    return f"({text})" if counted else text
