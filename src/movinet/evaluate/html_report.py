"""An evaluation as one HTML file: figures and plots in light and dark, with nothing to be loaded from anywhere."""

from collections.abc import Iterable, Sequence
from html import escape
from math import isfinite
from pathlib import Path

import numpy as np

from movinet.errors import MovinetError, printable
from movinet.evaluate.clip_protocols import SHARES, describe
from movinet.evaluate.evaluation_report import Circumstances, confusions, versions
from movinet.evaluate.evaluation_run import Outcome
from movinet.evaluate.score_figures import ClassFigures, Figures, StreamFigures
from movinet.evaluate.svg_plots import STYLE, Series, confusion_chart, line_chart, reliability_diagram
from movinet.files import write_atomically
from movinet.weights.operating_point import Interval
from movinet.words import counted

_MARK = '<meta name="generator" content="movinet evaluate">'
_MOST = 40  # classes in a matrix; rows of a table that is open from the start
_LISTED = 1000  # lines of errors and confusions

_STYLE = (
    STYLE
    + """
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.6rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 0 0 0.75rem; }
p { margin: 0.25rem 0 0.75rem; color: var(--quiet); overflow-wrap: anywhere; }
section { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1.25rem;
  margin-top: 1rem; overflow-x: auto; }
.tiles { display: grid; grid-template-columns: repeat(auto-fill, minmax(10.5rem, 1fr)); gap: 0.75rem;
  margin-top: 1.25rem; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 0.8rem 1rem; }
.tile b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; line-height: 1.3; }
.tile span { color: var(--quiet); font-size: 0.85rem; display: block; }
.note { border-left: 3px solid var(--trouble); padding-left: 0.75rem; color: var(--ink); }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th { text-align: left; color: var(--quiet); font-weight: 500; padding: 0.2rem 0.6rem 0.4rem 0; }
td { padding: 0.2rem 0.6rem 0.2rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.meter { width: 30%; min-width: 6rem; }
td:first-child { min-width: 7rem; }
td.name { white-space: nowrap; color: var(--quiet); }
.meter i { display: block; height: 0.7rem; border-radius: 4px; background: var(--accent); margin-top: 0.35rem;
  min-width: 1px; }
.wide { min-width: 24rem; }
summary { cursor: pointer; color: var(--accent); margin-top: 0.75rem; }
code { font: 0.85rem/1.5 ui-monospace, Menlo, Consolas, monospace; overflow-wrap: anywhere; }
"""
)


def check_report(path: Path) -> None:
    """Refuse, before anything is computed, to write where that cannot be, or over what is not ours.

    Raises:
        MovinetError: it ends otherwise than in .html, its folder is not there, or it is something else.
    """
    if path.suffix.lower() not in (".html", ".htm") or not path.parent.is_dir():
        raise MovinetError(f"--report {path}: want a file ending in .html, in a folder that is there")
    try:
        if path.is_dir() or (path.exists() and not _is_report(path)):
            raise MovinetError(f"--report {path}: exists and is no report of ours; choose another name")
    except OSError as error:
        raise MovinetError(f"--report {path}: {error.strerror or error}") from error


def _is_report(path: Path) -> bool:
    with path.open("rb") as file:
        return _MARK.encode() in file.read(1000)


def write_report(path: Path, outcome: Outcome, figures: Figures, how: Circumstances) -> None:
    """Write all figures with their plots, whole or not at all.

    Args:
        path: of the file, new or an earlier report.
        outcome, figures: of the evaluation.
        how: it came about.

    Raises:
        MovinetError: as `check_report`, or it cannot be written.
    """
    check_report(path)
    write_atomically(path, render_report(outcome, figures, how).encode(errors="backslashreplace"))


def render_report(outcome: Outcome, figures: Figures, how: Circumstances) -> str:
    """The page."""
    judged = outcome.judged
    parts = [
        f"<h1>{_text(judged.name)}</h1>",
        f"<p>{_text(describe(outcome.protocol, judged))}, {_text(judged.runs_on)}. {_text(how.data)}: "
        f"{counted(how.found, 'video')} found, {how.missing} missing, {figures.videos} evaluated.</p>",
        *(f'<p class="note">{_text(note)}</p>' for note in how.notes),
        _tiles(outcome, figures, how),
    ]
    if figures.stream is not None:
        parts.append(_stream(figures.stream, outcome.multi_label))
    parts += [_calibration(figures), _classes(figures.by_class, outcome.multi_label), _confusions(outcome, figures)]
    if outcome.unreadable:
        rows = "".join(f"<li>{_text(error)}</li>" for error in outcome.unreadable[:_LISTED])
        parts.append(_section("Could not be read", f"<ul>{rows}</ul>"))
    parts.append(_how(outcome, how))
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">{_MARK}'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(judged.name)}: evaluation</title><style>{_STYLE}</style></head>\n<body><main>\n"
        + "\n".join(part for part in parts if part)
        + "\n</main></body></html>\n"
    )


def _tiles(outcome: Outcome, figures: Figures, how: Circumstances) -> str:
    tiles = []
    for name, interval in (("top-1", figures.top1), ("top-5", figures.top5), ("mean AP", figures.mean_ap)):
        if interval is not None:
            tiles.append((_percent(interval.value), name, _between(interval)))
    if figures.mean_class is not None:
        tiles.append((_percent(figures.mean_class), "mean of classes", ""))
    tiles.append((_percent(figures.calibration.error), "calibration error", "expected, 15 bins"))
    views = outcome.protocol.views
    if figures.macs is not None:
        seen = f"{figures.frames:.0f} frames" + (f" in {views} views" if views > 1 else "")
        tiles.append((f"{figures.macs / 1e9:,.2f} G", "multiply-adds a video", seen))
    time = f"{figures.decode_ms:.0f} decoding, {figures.network_ms:.0f} network"
    tiles.append((f"{figures.decode_ms + figures.network_ms:,.0f} ms", "processor time a video", time))
    if how.peak_memory_mb:
        tiles.append((f"{how.peak_memory_mb:,.0f} MB", "peak memory", "of the process"))
    cells = "".join(
        f'<div class="tile"><b>{_text(value)}</b><span>{_text(name)}</span><span>{_text(more)}</span></div>'
        for value, name, more in tiles
    )
    return f'<div class="tiles">{cells}</div>'


def _stream(stream: StreamFigures, multi_label: bool) -> str:
    name = "mean AP" if multi_label else "top-1"
    lines = [_series(name, stream.score)]
    if stream.top5 is not None:
        lines.append(_series("top-5", stream.top5))
    said = f"Best prefix: {_percent(stream.best.value)} when {stream.best_share:.0%} had been seen"
    if stream.every is not None:
        said += f"; right after {_percent(stream.every.value)} of all frames ({_between(stream.every)})"
    rows = [
        [f"{share:.0%}", _percent(one.value), _between(one)] for share, one in zip(SHARES, stream.score, strict=True)
    ]
    table = f"<details><summary>As a table</summary>{_table(['seen', name, '95 %'], rows)}</details>"
    chart = line_chart(lines, "share of the video that was seen", name)
    told = f"<p>{_text(said)}. Bands are 95 % intervals over videos.</p>"
    return _section("How early it is right", f'{told}<div class="wide">{chart}</div>{table}')


def _series(name: str, intervals: Sequence[Interval]) -> Series:
    return Series(
        name, SHARES, [one.value for one in intervals], [one.low for one in intervals], [one.high for one in intervals]
    )


def _calibration(figures: Figures) -> str:
    said = (
        "Bars: of what was said with about this probability, how much was true; on the broken line both are equal. "
        "Below: how often it was said."
    )
    return _section("Calibration", f"<p>{said}</p>{reliability_diagram(figures.calibration)}")


def _classes(by_class: Sequence[ClassFigures], multi_label: bool) -> str:
    ordered = sorted(by_class, key=lambda one: one.score)
    heads = ["class", "videos", "average precision" if multi_label else "right", "", "taken for"]

    def rows(some: Iterable[ClassFigures]) -> str:
        return "".join(
            f'<tr><td>{_text(one.label)}</td><td class="n">{one.videos}</td><td class="n">{_percent(one.score)}</td>'
            f'<td class="meter"><i style="width:{100 * one.score:.1f}%"></i></td>'
            f"<td>{_text(f'{one.taken_for[0]} ({one.taken_for[1]})') if one.taken_for else ''}</td></tr>"
            for one in some
        )

    head = "".join(f"<th{' class=n' if n in (1, 2) else ''}>{name}</th>" for n, name in enumerate(heads))
    table = f"<table><tr>{head}</tr>{rows(ordered[:_MOST])}</table>"
    if len(ordered) > _MOST:
        more = f"<table><tr>{head}</tr>{rows(ordered[_MOST:])}</table>"
        others = counted(len(ordered) - _MOST, "easier class", "easier classes")
        table += f"<details><summary>{others}</summary>{more}</details>"
    return _section("Classes, the hardest first", table)


def _confusions(outcome: Outcome, figures: Figures) -> str:
    if figures.confusion is None:
        return ""
    shown = np.flatnonzero(figures.confusion.sum(0) + figures.confusion.sum(1))
    chart = ""
    if len(shown) <= _MOST:
        chart = confusion_chart(figures.confusion[np.ix_(shown, shown)], [outcome.names[n] for n in shown])
    wrong = (confusions(outcome, figures) or [])[:_LISTED]
    rows = [[str(pair["videos"]), str(pair["label"]), str(pair["said"])] for pair in wrong]
    table = _table(["videos", "class", "taken for"], rows) if rows else ""
    if rows and chart:
        table = f"<details><summary>As a list</summary>{table}</details>"
    return _section("What is taken for what", chart + table) if chart or table else ""


def _how(outcome: Outcome, how: Circumstances) -> str:
    rows = [
        ["command", how.command or "from Python"],
        ["model", f"{outcome.judged.name}, SHA-256 {outcome.judged.hash}"],
        ["data", f"{how.data}, SHA-256 of names, labels and sizes {outcome.data_hash}"],
        ["date", f"{how.date}, {how.seconds:.0f} seconds"],
        ["versions", ", ".join(f"{name} {number}" for name, number in versions().items())],
    ]
    cells = "".join(
        f'<tr><td class="name">{name}</td><td><code>{_text(value)}</code></td></tr>' for name, value in rows
    )
    return _section("How this came about", f"<table>{cells}</table>")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    head = "".join(f"<th>{_text(name)}</th>" for name in heads)
    body = "".join("<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><tr>{head}</tr>{body}</table>"


def _section(title: str, inside: str) -> str:
    return f"<section><h2>{title}</h2>{inside}</section>"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _between(interval: Interval) -> str:
    if not isfinite(interval.low + interval.high):
        return "interval not computed"
    return f"{_percent(interval.low)} to {_percent(interval.high)}"


def _text(text: str) -> str:
    return escape(printable(text))
