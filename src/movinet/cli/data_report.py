"""How the command line shows the report on a data set."""

from collections import Counter

from rich.table import Table
from rich.text import Text

from movinet.cli.console import out
from movinet.data.check import DatasetReport
from movinet.words import counted

_ROWS = 40
_ITEMS = 5
_WARNING, _ERROR = ("! ", "yellow"), ("✗ ", "bold red")


def print_report(report: DatasetReport, missing: int) -> None:
    """Counts by class and split, durations, sizes and rates, and the problems."""
    what = ", any number of them in a clip" if report.multi_label else ""
    out.print(f"{counted(report.total, 'clip')} of {counted(len(report.labels), 'class', 'classes')}{what}\n")
    out.print(_counts(report))
    out.print()
    if report.durations:
        out.print("{:10} {:.2f} s to {:.2f} s, median {:.2f} s".format("durations", *_extremes(report.durations)))
    if report.frames:
        out.print("{:10} {:g} to {:g}, median {:g}".format("frames", *_extremes(report.frames)))
    if report.sizes:
        out.print(f"{'sizes':10} {_histogram([(f'{h}×{w}', count) for (h, w), count in report.sizes])}")
    if report.rates:
        out.print(f"{'frames/s':10} {_histogram(_whole(report.rates))}")
    out.print()
    if missing:
        out.print(Text.assemble(_WARNING, f"listed videos that are missing and were left out: {missing}"))
    for problem in report.problems:
        out.print(Text.assemble(_ERROR if problem.fatal else _WARNING, problem.message))
        for item in problem.items[:_ITEMS]:
            out.print(f"    {item}", style="dim")
        if len(problem.items) > _ITEMS:
            out.print(f"    and {len(problem.items) - _ITEMS} more (--json shows all)", style="dim")
    if report.fatal:
        out.print("This set cannot be trained on.", style="bold red")
    elif not report.problems and not missing:
        out.print(Text.assemble(("✓ ", "green"), "nothing wrong"))


def _counts(report: DatasetReport) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("class")
    for split in report.clips:
        table.add_column(split, justify="right")
    labels = report.labels
    if len(labels) > _ROWS:  # the rare classes are those that need a look
        labels = tuple(sorted(labels, key=lambda label: sum(count[label] for count in report.clips.values()))[:_ROWS])
    for label in labels:
        table.add_row(label, *(str(count[label]) for count in report.clips.values()))
    if len(labels) < len(report.labels):
        table.add_row(f"{counted(len(report.labels) - len(labels), 'class', 'classes')} with more clips", style="dim")
    return table


def _extremes(values: tuple[float, float, float]) -> tuple[float, float, float]:
    least, median, most = values
    return least, most, median


def _whole(rates: tuple[tuple[float, int], ...]) -> list[tuple[str, int]]:
    """Cameras' rates are hardly ever whole numbers, and nobody cares by how much."""
    counted: Counter[str] = Counter()
    for rate, count in rates:
        counted[f"{round(rate)}" if rate >= 5 else f"{rate:g}"] += count
    return counted.most_common()


def _histogram(counted: list[tuple[str, int]], most: int = 4) -> str:
    shown = [f"{name} ({count})" for name, count in counted[:most]]
    return ", ".join(shown) + (f", {len(counted) - most} others" if len(counted) > most else "")
