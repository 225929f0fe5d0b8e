"""A gap in time stamps without a gap in frames is not time; what is time is repeated within bounds."""

import logging
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from video_clips import number_of, numbered, write

from movinet.data.inspection import inspect_video
from movinet.labeled.entries import VideoEntry as Clip
from movinet.video.container import Video, open_at
from movinet.video.decode import duration, probe, read_at, read_frames
from movinet.video.pacer import FILLED

HOUR = 3600


def recording(path: Path, first: int, begins: float, count: int = 30, bf: int = 2) -> bytes:
    """A transport stream of numbered frames, ten a second, whose clock begins at so many seconds."""
    ticks = [round(begins * 10) + n for n in range(count)]
    frames = [numbered(first + n) for n in range(count)]
    return write(
        path, frames, ticks, Fraction(1, 10), options={"bf": str(bf), "g": "10", "sc_threshold": "0"}
    ).read_bytes()


def joined(folder: Path, *begins: float, bf: int = 2) -> Path:
    path = folder / "joined.ts"
    parts = [recording(folder / f"{n}.ts", 30 * n, at, bf=bf) for n, at in enumerate(begins)]
    path.write_bytes(b"".join(parts))
    return path


@pytest.mark.parametrize("bf", [0, 2])
@pytest.mark.parametrize(
    "begins",
    [(0, HOUR), (HOUR, 0), (0, 25 * HOUR), (25 * HOUR, 0), (0, 30), (30, 0), (5, 5), (0, HOUR, 20), (2 * HOUR, HOUR)],
)
def test_a_second_clock_is_not_time(tmp_path: Path, begins: tuple[float, ...], bf: int) -> None:
    path, count = joined(tmp_path, *begins, bf=bf), 30 * len(begins)
    frames = list(read_frames(path))
    assert [number_of(frame.rgb) for frame in frames] == list(range(count))
    assert [frame.time for frame in frames] == pytest.approx([n / 10 for n in range(count)], abs=0.01)
    assert [number_of(frame.rgb) for frame in read_frames(path, 5)] == list(range(0, count, 2))
    assert duration(path) == pytest.approx(count / 10, abs=0.01)
    assert probe(path).duration == pytest.approx(count / 10, abs=0.01)
    inspected = inspect_video(Clip(path, ("a",)))
    assert (inspected.frames, inspected.error, inspected.damage) == (count, "", "")
    assert inspected.duration == pytest.approx(count / 10, abs=0.01)


@pytest.mark.parametrize("begins", [(0, HOUR), (HOUR, 0), (10, 0)])
def test_what_lies_behind_the_seam_is_found(tmp_path: Path, begins: tuple[float, ...]) -> None:
    path = joined(tmp_path, *begins)
    assert [number_of(frame.rgb) for frame in read_frames(path, 10, 3.5, 4.0)] == list(range(35, 40))
    assert [number_of(frame.rgb) for frame in read_at(path, [2.5, 4.5, 5.9])] == [25, 45, 59]


def test_one_recording_is_still_searched_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.ts"
    recording(path, 0, 0, 250)
    with open_at(path, 24.0) as video:
        assert 13.0 < next(video)[0] <= 24.0


def test_lost_frames_are_time(tmp_path: Path) -> None:
    path = tmp_path / "lost.ts"
    whole = recording(path, 0, 0, 250, bf=0)
    packets = [whole[at : at + 188] for at in range(0, len(whole), 188)]
    with av.open(str(path)) as container:
        places = [(packet.pos or 0) // 188 for packet in container.demux(video=0) if packet.size]
    path.write_bytes(b"".join(packets[: places[33]] + packets[places[184] :]))  # goes on amid a group of pictures
    frames = list(read_frames(path))
    assert max(later.time - frame.time for frame, later in pairwise(frames)) == pytest.approx(15, abs=1)
    assert duration(path) == pytest.approx(25, abs=0.2)


def hole(folder: Path, seconds: float) -> Path:
    ticks = [*range(10), *(round(10 * seconds) + 9 + n for n in range(10))]
    return write(folder / "hole.mkv", [numbered(n) for n in range(20)], ticks, Fraction(1, 10), options={"bf": "0"})


def test_a_hole_is_filled_within_bounds_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        frames = list(read_frames(hole(tmp_path, HOUR), 5))
    assert len(frames) == 5 + 5 * FILLED + 5
    assert frames[-1].time == pytest.approx(HOUR + 1.8, abs=0.11)
    assert [round(5 * frame.time) / 5 for frame in frames] == [frame.time for frame in frames]
    # The first frame after the hole that falls to an instant: nothing else need be decoded.
    assert "nothing new for 3600 s before 3601.00 s; its last frame is repeated for 60 s" in caplog.text
    assert "3540.00 s are left out" in caplog.text or "3539.90 s are left out" in caplog.text


def test_a_short_hole_is_filled_whole_and_not_spoken_of(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        frames = list(read_frames(hole(tmp_path, 30), 5))
    assert [frame.time for frame in frames] == [k / 5 for k in range(len(frames))]
    assert not caplog.text


@pytest.mark.parametrize(("codec", "bf"), [("libx264", 1), ("libx264", 2), ("libx264", 8), ("mpeg4", 2)])
def test_avi_with_frames_that_wait_for_others(tmp_path: Path, codec: str, bf: int) -> None:
    path = tmp_path / "a.avi"
    options = {"bf": str(bf), "b_strategy": "0"} if codec == "libx264" else {"bf": str(bf)}
    write(path, [numbered(n) for n in range(20)], None, Fraction(1, 5), codec, options=options)
    frames = list(read_frames(path))
    assert [number_of(frame.rgb) for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == pytest.approx([n / 5 for n in range(20)])
    assert len(list(read_frames(path, 5))) == 20
    assert duration(path) == pytest.approx(4.0)


def test_a_clock_that_goes_mad_ends(tmp_path: Path) -> None:
    ticks = [*range(10), 10**8, *(10**8 + n for n in range(1, 10))]
    path = write(tmp_path / "mad.mkv", [numbered(n) for n in range(20)], ticks, Fraction(1, 10), options={"bf": "0"})
    assert len(list(read_frames(path, 5))) < 5 * (FILLED + 5)
    assert np.isfinite(duration(path))
    with Video(path) as video:
        assert sum(1 for _ in video) == 20
