"""Synthetic streams as videos, with the list that says what happens in them."""

from pathlib import Path

import numpy as np
import pytest

from movinet.data.synthetic.gesture_streams import GestureStream
from movinet.data.synthetic.write_streams import write_streams
from movinet.errors import MovinetError
from movinet.evaluate.labeled_streams import read_streams
from movinet.video.decode import read_frames

SIZE = (32, 40)


def write(folder: Path, streams: int = 1, quiet: int = 1, **more: float) -> Path:
    return write_streams(folder, streams, quiet, seconds=20.0, size=SIZE, fps=5.0, gestures=1.0, **more)  # type: ignore[arg-type]


def test_the_list_says_what_the_videos_show(tmp_path: Path) -> None:
    loud, quiet = sorted(read_streams(write(tmp_path / "set", seed=2)), key=lambda stream: not stream.segments)
    assert not quiet.segments
    truth = GestureStream((2, 0, 0), 20.0, 1.0)
    said = [(s.label, s.start, s.end) for s in loud.segments]
    assert said == [
        (s.label, pytest.approx(s.start, abs=1e-3), pytest.approx(s.end, abs=1e-3)) for s in truth.segments()
    ]
    assert len(said) >= 2
    shown = np.stack([frame.rgb for frame in read_frames(loud.video)])
    drawn = np.stack(list(truth.frames(SIZE, 5.0)))
    assert shown.shape == drawn.shape == (100, *SIZE, 3)
    assert np.abs(shown.astype(int) - drawn).mean() < 6  # what a codec loses


def test_going_on_keeps_what_is_there(tmp_path: Path) -> None:
    write(tmp_path / "set")
    first = tmp_path / "set/stream_000000.mp4"
    before = first.stat().st_mtime_ns
    (tmp_path / "set/quiet_000000.mp4").unlink()
    done: list[tuple[int, int | None]] = []
    write(tmp_path / "set", streams=2, progress=lambda *counts: done.append(counts))  # type: ignore[arg-type]
    assert done == [(2, 3), (3, 3)]
    assert first.stat().st_mtime_ns == before
    assert len(read_streams(tmp_path / "set/streams.csv")) == 3
    with pytest.raises(MovinetError, match="was begun with"):
        write(tmp_path / "set", seed=1)


@pytest.mark.parametrize(
    ("more", "word"),
    [({"streams": 0, "quiet": 0}, "0 quiet"), ({"streams": -1, "quiet": 2}, "-1"), ({"seed": -1}, "seed")],
)
def test_nonsense_is_refused(tmp_path: Path, more: dict[str, int], word: str) -> None:
    with pytest.raises(MovinetError, match=word):
        write(tmp_path / "set", **more)
    assert not (tmp_path / "set").exists()
