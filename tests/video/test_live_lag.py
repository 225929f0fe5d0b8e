"""A stream that comes faster than it can be decoded, or read: never far behind, and nothing is left out in silence."""

import time
from itertools import pairwise

import pytest
from camera_rig.footage import Footage
from camera_rig.rtsp_server import RtspCamera
from live_viewer import viewing

from movinet.video.camera import ladder
from movinet.video.camera.live_video import LiveVideo
from movinet.video.pacer import LivePacer

MAX_LAG = 0.5


def slowly(monkeypatch: pytest.MonkeyPatch, what: str, seconds: float) -> None:
    """Decoding a packet, or reading one, takes so long."""
    if what == "decode":
        decode = LiveVideo.decode

        def slow(video: LiveVideo, packet: object) -> list[object]:
            time.sleep(seconds)
            return decode(video, packet)

        monkeypatch.setattr(LiveVideo, "decode", slow)
        return
    arrivals = LiveVideo.arrivals

    def drip(video: LiveVideo) -> object:
        for packet in arrivals(video):
            time.sleep(seconds)
            yield packet

    monkeypatch.setattr(LiveVideo, "arrivals", drip)


def test_more_than_can_be_decoded(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    slowly(monkeypatch, "decode", 0.06)  # at 25 a second
    pacer = LivePacer(10, max_gap=0.3)
    lags, gaps = [], []
    with RtspCamera(footage) as camera, viewing(camera.url(), fps=pacer, max_lag=MAX_LAG) as viewer:
        viewer.sees()
        until = time.monotonic() + 5.0
        while time.monotonic() < until:
            lags.append(viewer.source.figures().lag)
            gaps.append(pacer.max_gap)
            time.sleep(0.01)
        kinds = viewer.kinds()
        assert {"lagging", "caught_up"} == set(kinds)
        assert kinds[:4] == ["lagging", "caught_up", "lagging", "caught_up"]
        figures = viewer.source.figures()
    assert max(lags) < 1.5 * MAX_LAG
    assert max(lags) > MAX_LAG
    assert figures.late > 10
    assert viewer.source.reconnects == 0
    times = [moment for _, moment, _ in viewer.seen]
    assert max(after - before for before, after in pairwise(times)) < 2 * 0.4 + MAX_LAG
    assert max(gaps) >= 2 * 0.4  # what was left out is no gap
    assert len(times) > 15


def test_a_stretch_left_out_is_no_gap_and_others_are_again(footage: Footage) -> None:
    pacer = LivePacer(10, max_gap=0.3)
    usual = pacer.max_gap
    with RtspCamera(footage) as camera, viewing(camera.url(), fps=pacer, max_lag=MAX_LAG, timeout=4) as viewer:
        viewer.sees()
        camera.faults.holding = True
        time.sleep(1.0)
        camera.faults.holding = False
        viewer.told("caught_up")
        assert pacer.max_gap >= 2 * 0.4
        viewer.wait(lambda: pacer.max_gap == usual, 3.0)


def test_more_than_can_be_read_is_begun_anew(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "_HOPELESS", 0.4)
    slowly(monkeypatch, "read", 0.06)
    with RtspCamera(footage) as camera, viewing(camera.url(), max_lag=MAX_LAG) as viewer:
        _, lost = viewer.told("lost")
        assert "behind" in lost.why
        viewer.told("found")
        assert viewer.kinds()[:3] == ["lagging", "lost", "found"]
