"""The command `movinet scan`, as the parts of `archive.py` run it, and what they find in its results."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

A0 = "a0.safetensors"
"""The name under which a part keeps the network it scans with: A0 with random weights."""


def scan(*arguments: str | Path) -> list[str]:
    """A command line."""
    return [sys.executable, "-m", "movinet", "scan", *map(str, arguments)]


def scanning(videos: Path, out: Path, model: Path, cores: Sequence[int], *options: str) -> float:
    """Seconds that a scan takes from the moment its first worker is there, as it says itself."""
    command = scan(videos, "--out", out, "--model", model, "--json", "--piece", "0", *options)
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *command, "--processes", str(len(cores))]
    said = subprocess.run(pinned, check=True, capture_output=True, text=True).stdout.splitlines()
    summary = json.loads(said[-1])
    assert summary["complete"], summary
    assert not summary["failed"], summary
    return float(summary["seconds"])


def scanned_paths(out: Path) -> list[str]:
    """Of all rows in the tables."""
    return [json.loads(line)["path"] for part in sorted((out / "jsonl").iterdir()) for line in part.open("rb")]


def clips() -> list[Path]:
    """Real ones, where there are."""
    shared = Path(os.environ.get("MOVINET_SHARED", Path(__file__).parents[2] / "shared"))
    return sorted((shared / "clips").glob("*.*"))


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores"
