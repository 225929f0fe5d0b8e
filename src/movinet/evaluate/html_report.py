"""An evaluation as one HTML file."""

from html import escape
from pathlib import Path

from movinet.evaluate.evaluation_report import Circumstances, as_plain
from movinet.evaluate.evaluation_run import Outcome
from movinet.evaluate.score_figures import Figures
from movinet.files import dump_json, write_atomically


def check_report(path: Path) -> None:
    """Refuse a file that cannot be written."""


def write_report(path: Path, outcome: Outcome, figures: Figures, how: Circumstances) -> None:
    """Write it."""
    text = escape(dump_json(as_plain(outcome, figures, how), indent=2))
    write_atomically(path, f"<!doctype html><meta charset=utf-8><pre>{text}</pre>".encode())
