"""The page after an hour: 10,000 steps leave its memory where it was, and its own thread stays free."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from web.visits import chromium

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "browser_steps.py"


@pytest.mark.slow
def test_the_benchmark_keeps_its_promise() -> None:
    command = [sys.executable, str(BENCHMARK), "--model", "gestures", "--rounds", "2", "--calls", "20"]
    done = subprocess.run(
        [*command, "--seconds", "5", "--steps", "10000"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "MOVINET_CHROMIUM": chromium()},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "memory_mb" in done.stdout
