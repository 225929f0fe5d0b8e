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
