"""The clip that comes with the package: a hand that draws a star in the air, at 5 frames a second."""

from importlib.resources import files
from pathlib import Path

LABEL = "star"


def sample_clip() -> Path:
    """Where it lies: rendered by `scripts/make_sample_clip.py`, and so free of rights."""
    return Path(str(files("movinet.video"))) / "sample.mp4"
