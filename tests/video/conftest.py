"""Footage and clips that several files look at; nobody changes them."""

from fractions import Fraction
from pathlib import Path

import pytest
from camera_rig.filming import film
from camera_rig.footage import Footage
from http_clips import large_clip
from live_viewer import FPS
from video_clips import numbered, write


@pytest.fixture(scope="session")
def footage() -> Footage:
    """What cameras of the rig show, over and over."""
    return film(seconds=4, fps=FPS, key_every=0.4, size=(160, 120))


@pytest.fixture(scope="session")
def second_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames in one second."""
    path = tmp_path_factory.mktemp("live") / "clip.mkv"
    return write(path, [numbered(i) for i in range(20)], range(0, 1000, 50), Fraction(1, 1000), options={"g": "5"})


@pytest.fixture(scope="session")
def http_clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of some size; see `http_clips`."""
    return large_clip(tmp_path_factory.mktemp("http") / "clip.mp4")


@pytest.fixture(scope="session")
def segment(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Of a playlist: one second, 25 frames."""
    return write(tmp_path_factory.mktemp("http") / "0.ts", [numbered(i) for i in range(25)]).read_bytes()
