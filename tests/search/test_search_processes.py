"""Two processes find together what one would have found."""

import csv
import os
import subprocess
import sys
from pathlib import Path

import pytest
from search_by_two import prepared
from training_sets import fabric

from movinet.arch.serialize import read_spec
from movinet.search.search_run import FOUND, run_search

HERE = Path(__file__).parent


def rows(path: Path) -> list[dict[str, float]]:
    with path.open(newline="") as file:
        return [{k: float(v or "nan") for k, v in row.items() if k != "clips_per_s"} for row in csv.DictReader(file)]


@pytest.mark.slow
def test_two_search_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("movinet.search.search_run.draw_decisions", lambda *_: None)
    monkeypatch.setattr("movinet.search.search_run.draw_network", lambda *_: None)
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, str(HERE / "search_by_two.py"), str(tmp_path)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert run_search(prepared(tmp_path), tmp_path / "one", fabric()).finished
    for two, one in zip(rows(tmp_path / "two" / "steps.csv"), rows(tmp_path / "one" / "steps.csv"), strict=True):
        assert two == pytest.approx(one, rel=1e-4, abs=1e-5, nan_ok=True)
    assert read_spec(tmp_path / "two" / FOUND) == read_spec(tmp_path / "one" / FOUND)
