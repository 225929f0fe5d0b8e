"""Small archives: videos of every kind, and scans of them."""

import json
import os
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from movinet.cli import main
from movinet.video.encode import encode_video


def small_video(path: Path, seconds: float = 2.0, fps: float = 5.0, seed: int = 0) -> Path:
    """24×32 pixels, another picture in every frame."""
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 255, (round(seconds * fps), 3, 4, 3), np.uint8)
    encode_video(path, coarse.repeat(8, 1).repeat(8, 2), fps)
    return path


def scan_command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "movinet", "scan", *map(str, arguments)]


def run(*arguments: str | Path, code: int = 0) -> str:
    """Run a command to its end in this process; what it printed."""
    said, complained = StringIO(), StringIO()
    with redirect_stdout(said), redirect_stderr(complained), pytest.raises(SystemExit) as stop:
        main([str(argument) for argument in arguments])
    assert stop.value.code == code, said.getvalue() + complained.getvalue()
    return " ".join(complained.getvalue().split()) if code == 2 else said.getvalue()


def run_scan(*arguments: str | Path, code: int = 0) -> str:
    """See `run`."""
    return run("scan", *arguments, code=code)


def rows_of(results: Path) -> list[dict[str, Any]]:
    """All rows, in the order of the tables."""
    parts = sorted((results / "jsonl").iterdir())
    return [json.loads(line) for part in parts for line in part.read_bytes().splitlines()]


def by_name(results: Path) -> dict[str, dict[str, Any]]:
    """Rows by the names of files, each of which is there once."""
    rows = rows_of(results)
    found = {os.path.basename(row["path"]): row for row in rows}
    assert len(found) == len(rows)
    return found
