"""The table of odd files: what is exact, what differs and why, and that a crash is a row and not the end."""

import importlib.util
import os
import shutil
import signal
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from movinet.video.encode import encode_video

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "odd_files.py"


@pytest.fixture(scope="module")
def odd_files() -> ModuleType:
    found = importlib.util.spec_from_file_location("odd_files", SCRIPT)
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["odd_files"] = module
    found.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("odd") / "clip.mp4"
    blocks = np.random.default_rng(0).integers(0, 256, (6, 3, 4, 3), dtype=np.uint8)  # colors larger than their pixels
    encode_video(path, blocks.repeat(16, 1).repeat(16, 2), fps=5)
    return path


@pytest.mark.skipif(not (shutil.which("ffprobe") and shutil.which("ffmpeg")), reason="needs ffmpeg and ffprobe")
def test_a_plain_clip_is_exact(odd_files: ModuleType, clip: Path) -> None:
    ours = odd_files.read(clip)
    row = odd_files.compared("clip", ours, odd_files.reference(clip, ours.stream, 60.0))
    assert (row.outcome, row.about) == ("exact", "")


def test_what_differs_is_said(odd_files: ModuleType, clip: Path) -> None:
    ours, theirs = odd_files.read(clip), odd_files.read(clip)
    theirs.times[3] += 0.1
    theirs.size = (64, 48)
    theirs.pictures = 255 - theirs.pictures
    about = odd_files.compared("clip", ours, theirs).about
    assert "times differ by up to 0.100 s, first at frame 3; size (48, 64), not (64, 48); pictures differ by" in about
    theirs.times.pop()
    assert "6 frames, not 5" in odd_files.compared("clip", ours, theirs).about


def test_an_error_is_clear_where_nobody_reads_it(odd_files: ModuleType, clip: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("not a video")
    ours = odd_files.read(text)
    assert odd_files.compared("text", ours, odd_files.Seen(error="no frame")).outcome == "clear error"
    assert odd_files.compared("text", ours, odd_files.read(clip)).outcome == "differs"


def badly(pipe: Connection) -> None:
    """A reader that dies of one file and hangs at another."""
    pipe.send("ready")
    while True:
        name = pipe.recv().name
        if name == "dies":
            os.kill(os.getpid(), signal.SIGKILL)
        if name == "hangs":
            time.sleep(60)
        pipe.send(name)


@pytest.mark.slow
def test_a_crash_and_a_hang_are_faults_of_one_file(odd_files: ModuleType) -> None:
    reader = odd_files.Reader(1.0, badly)
    try:
        assert reader.read(Path("good")) == "good"
        assert reader.read(Path("dies")).fault.startswith("crash, exit code -9")
        assert reader.read(Path("hangs")).fault == "no end within 1 s"
        assert reader.read(Path("good")) == "good"
    finally:
        reader.close()
