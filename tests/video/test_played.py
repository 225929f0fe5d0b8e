"""Files as live sources: at their pace, to their end."""

import itertools
import time
from fractions import Fraction
from pathlib import Path

import pytest
from live_viewer import BUSY, QUICK
from loopback import Answer, site
from video_clips import number_of, numbered, write, write_with_sound

from movinet.video.camera.live_source import LiveSource
from movinet.video.decode import probe


def test_file_is_played_at_its_pace(second_clip: Path) -> None:
    began = time.monotonic()
    with LiveSource(second_clip, 10) as source:
        seen = [(time.monotonic() - began, newest.time, number_of(newest.rgb)) for newest in source]
    assert all(number == round(20 * due) for _, due, number in seen)
    assert all(due - 0.02 < now < due + BUSY for now, due, _ in seen)
    assert len(seen) + source.dropped == 10
    assert source.reconnects == 0
    assert time.monotonic() - began > 0.95  # the last frame has its turn


def test_slow_consumer_misses_frames_but_does_not_lag(second_clip: Path) -> None:
    began = time.monotonic()
    seen = []
    with LiveSource(second_clip, 20) as source:
        for newest in source:
            seen.append(newest.time)
            assert time.monotonic() - began - newest.time < BUSY
            time.sleep(0.22)
    assert len(seen) + source.dropped == 20
    assert 3 <= len(seen) <= 6


def test_loop_goes_on_in_time(second_clip: Path) -> None:
    with LiveSource(second_clip, 10, loop=True) as source:
        seen = list(itertools.islice(source, 13))
    times = [newest.time for newest in seen]
    assert times == sorted(times)
    assert times[-1] >= 1.2 - 1e-9  # 13 frames, more if some were missed
    assert number_of(seen[-1].rgb) == round(times[-1] * 20) % 20


def no_length(data: bytes) -> Answer:
    return Answer(send=lambda handler: handler.wfile.write(data), headers={"Connection": "close"})


@pytest.mark.parametrize("with_length", [True, False])
def test_sound_that_outlasts_the_pictures_is_no_loss(tmp_path: Path, with_length: bool) -> None:
    clip = write_with_sound(tmp_path / "clip.mkv", [numbered(i) for i in range(10)], fps=20, seconds=4).read_bytes()
    with site({"/clip.mkv": Answer(clip) if with_length else no_length(clip)}) as server:
        with LiveSource(server.url("/clip.mkv"), 20, **QUICK) as source:
            got = [number_of(frame.rgb) for frame in source]
        assert len(got) + source.dropped == 10
        assert got[-1] == 9
        assert source.reconnects == 0
        assert len(server.asked) <= 6


def test_a_file_without_a_duration_ends_and_keeps_its_pace(tmp_path: Path) -> None:
    frames = [numbered(i) for i in range(20)]
    path = write(tmp_path / "clip.mkv", frames, time_base=Fraction(1, 40), muxer={"live": "1"})
    assert probe(path).duration is None
    with site({"/clip.mkv": path.read_bytes()}) as server:
        began = time.monotonic()
        with LiveSource(server.url("/clip.mkv"), 40, **QUICK) as source:
            got = [number_of(frame.rgb) for frame in source]
        assert len(got) + source.dropped == 20
        assert got[-1] == 19
        assert time.monotonic() - began > 0.4
        assert source.reconnects == 0
