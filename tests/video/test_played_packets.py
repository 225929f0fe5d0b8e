"""The packets of a file that is played: they come at the pace of its frames, also where its stamps say nothing."""

from pathlib import Path

import av
import pytest
from video_clips import numbered, write

from movinet.video.camera.kept_packets import KeptPackets
from movinet.video.camera.live_source import LiveSource

FRAMES, FPS = 20, 25


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return write(tmp_path / "film.mp4", [numbered(n) for n in range(FRAMES)], options={"bf": "0"})


def stamp_with_0(film: Path) -> None:
    """All its frames, as those of some published data sets are."""
    stored = bytearray(film.read_bytes())
    # After its version, how many entries it has, and of how many frames the first is.
    delta = stored.index(b"stts") + 16
    stored[delta : delta + 4] = bytes(4)
    film.write_bytes(stored)
    with av.open(film) as container:
        assert {packet.pts for packet in container.demux(video=0) if packet.size} == {0}


@pytest.mark.parametrize("stamped", [True, False])
def test_they_have_the_times_of_their_frames(stamped: bool, film: Path) -> None:
    if not stamped:
        stamp_with_0(film)
    packets = KeptPackets(10.0)
    with LiveSource(film, FPS, packets=packets) as source:
        seen = [frame.time for frame in source]
    assert len(seen) > 1
    moments = [kept.moment for kept in packets.after(0)]
    assert moments == pytest.approx([n / FPS for n in range(FRAMES)], abs=0.002)
    assert packets.after(0)[-1].wall - packets.after(0)[0].wall > moments[-1] / 2  # not all at once


def test_rounds_of_a_file_are_of_one_connection(film: Path) -> None:
    """A clip around an event holds what was before and after the file's end."""
    packets = KeptPackets(10.0)
    with LiveSource(film, FPS, loop=True, packets=packets) as source:
        for frame in source:
            if frame.time > 2.5 * FRAMES / FPS:
                break
    kept = packets.after(0)
    assert len({one.connection for one in kept}) == len({id(one.connection) for one in kept}) == 1
    assert [one.moment for one in kept] == pytest.approx([n / FPS for n in range(len(kept))], abs=0.002)
    assert packets.since(2.0) > FRAMES


def test_another_file_of_that_name_is_another_connection(film: Path, tmp_path: Path) -> None:
    other = write(tmp_path / "other.mp4", [numbered(n)[:-16] for n in range(FRAMES)], options={"bf": "0"})
    packets = KeptPackets(10.0)
    with LiveSource(film, FPS, loop=True, packets=packets) as source:
        for frame in source:
            if frame.time > 0.2 and other.exists():
                other.replace(film)
            if frame.time > 2.5 * FRAMES / FPS:
                break
    kept = packets.after(0)
    assert {one.number // FRAMES: id(one.connection) for one in kept}.keys() == {0, 1, 2}
    first, second, third = (kept[n * FRAMES].connection for n in range(3))
    assert first is not second is third
