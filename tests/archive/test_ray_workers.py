"""Scans by Ray, on this machine: the journal is the truth, whatever becomes of actors."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from archive.videos import by_name, rows_of, scan_command, small_video
from tiny import tiny_weights

from movinet.archive.ray_workers import ScanBatch

VIDEOS = 16


def test_a_batch_of_paths_becomes_rows(tmp_path: Path) -> None:
    """As Ray Data calls it."""
    videos = [str(small_video(tmp_path / f"{number}.mp4", 1.0 + number, seed=number)) for number in range(2)]
    rows = ScanBatch(str(tiny_weights(tmp_path)))({"path": [*videos, str(tmp_path / "gone.mp4")]})
    assert rows["path"][:2] == videos
    assert rows["frames"] == [5, 10, 0]
    assert [error is None for error in rows["error"]] == [True, True, False]


def actors() -> list[int]:
    """Processes of actors that are at work."""
    found = []
    for place in Path("/proc").iterdir():
        try:
            if place.name.isdigit() and (place / "cmdline").read_bytes().startswith(b"ray::_Actor"):
                found.append(int(place.name))
        except OSError:
            pass  # it has ended meanwhile
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc").is_dir(), reason="the system does not show its processes")
def test_an_actor_is_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (tmp_path / "videos").mkdir()
    for number in range(VIDEOS):
        small_video(tmp_path / "videos" / f"{number}.mp4", 120.0, seed=number)
    out, model = tmp_path / "results", tiny_weights(tmp_path)
    options = (tmp_path / "videos", "--out", out, "--model", model, "--ray", "local", "--processes", "2")
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(scan_command(*options), stdout=log, stderr=log)
        try:
            journal, until = out / "journal", time.monotonic() + 300
            while not (journal.exists() and b" row " in journal.read_bytes()):
                assert process.poll() is None, (tmp_path / "log").read_text()
                assert time.monotonic() < until
                time.sleep(0.02)
            if there := actors():
                os.kill(there[0], signal.SIGKILL)
            assert process.wait(300) == 0, (tmp_path / "log").read_text()
        finally:
            process.kill()
            process.wait()
    assert len(by_name(out)) == len(rows_of(out)) == VIDEOS
    assert all(row["frames"] == 600 for row in rows_of(out))
