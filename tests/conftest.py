"""Fixtures every test may use."""

import os
from pathlib import Path

import hypothesis
import pytest
import torch

# On a busy machine the threads of small networks wait for each other more than they work; so in what tests start.
torch.set_num_threads(1)
os.environ["OMP_NUM_THREADS"] = "1"
# The first call into torch outlasts any deadline; a slow machine is no failure.
# CI tries the same examples every time; at home they are new ones, and what they find is worth a test of its own.
hypothesis.settings.register_profile("movinet", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("movinet")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real clips, weights and golden files; tests that need it skip where it is absent."""
    path = Path(os.environ.get("MOVINET_SHARED", Path(__file__).parents[1] / ".." / "shared")).resolve()
    if not path.is_dir():
        pytest.skip(f"no shared material at {path} (set MOVINET_SHARED)")
    return path


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)
