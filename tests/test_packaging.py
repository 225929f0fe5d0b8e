"""What is packed and what is said where movinet cannot run."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
OLD = """
import sys
sys.version_info, sys.version = (3, 9, 1, "final", 0), "3.9.1 (of old)"
"""


def test_older_pythons_are_told(tmp_path: Path) -> None:
    for name in ("__init__.py", "__main__.py"):  # what they must be able to parse
        ast.parse((ROOT / "src" / "movinet" / name).read_text(encoding="utf-8"), feature_version=(3, 7))
    imported = subprocess.run(
        [sys.executable, "-c", f"{OLD}import movinet"], capture_output=True, text=True, check=False
    )
    assert re.search(r"ImportError: movinet needs Python 3\.11 or later; this is Python 3\.9\.1", imported.stderr)
    code = f"{OLD}sys.argv = ['-m']\nimport movinet"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.startswith("movinet: movinet needs Python 3.11 or later")
    assert len(run.stderr.splitlines()) == 1


def test_a_source_distribution_is_whole() -> None:
    """Everything that is committed is packed, so that its tests find what they read."""
    found = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.skip("not a git checkout")
    grafted, included = set[str](), set[str]()
    for line in (ROOT / "MANIFEST.in").read_text().splitlines():
        kind, *names = line.split()
        if kind == "graft":
            grafted |= {f"{name}/" for name in names}
        elif kind == "include":
            included |= set(names)
    folders = tuple(grafted)
    left_out = {name for name in found.stdout.splitlines() if not name.startswith(folders)} - included - {"MANIFEST.in"}
    assert not left_out
