"""Live sources on GStreamer's RTSP server, which is somebody else's: nothing lost, and back after what happens."""

import time
from itertools import pairwise

import pytest
from camera_rig.filming import film
from camera_rig.process import CameraProcess, gstreamer_python
from live_viewer import TIMEOUT, Viewer, viewing

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(gstreamer_python() is None, reason="no Python here has GStreamer's RTSP server"),
]
FPS = 25
PICTURES = 4 * FPS  # after which the footage begins again


@pytest.fixture(scope="module")
def cameras(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Files of footage."""
    folder = tmp_path_factory.mktemp("footage")
    kinds = {"h264": ("h264", 0), "h264 with B-frames": ("h264", 2), "hevc": ("hevc", 0)}
    return {
        name: str(film(codec, seconds=4, fps=FPS, key_every=0.4, b_frames=b).save(folder / name))
        for name, (codec, b) in kinds.items()
    }


def nothing_is_lost(viewer: Viewer, fps: float = 5) -> None:
    """Every fifth picture, at its time."""
    assert viewer.source.dropped == 0
    for (_, before, first), (_, after, second) in pairwise(viewer.seen):
        assert after - before == pytest.approx(1 / fps, abs=0.02)
        assert (second - first) % PICTURES == FPS // fps


@pytest.mark.parametrize("transport", ["tcp", "udp"])
@pytest.mark.parametrize("name", ["h264", "h264 with B-frames", "hevc"])
def test_every_frame_that_is_due_comes(cameras: dict[str, str], name: str, transport: str) -> None:
    with (
        CameraProcess([{"kind": "rtsp", "footage": cameras[name]}], gstreamer=True) as process,
        viewing(process.urls[0], fps=5, transport=transport, timeout=5.0) as viewer,
    ):
        viewer.sees(40, 20)
        assert viewer.changes == []
        nothing_is_lost(viewer)


@pytest.mark.parametrize("digest", [False, True])
def test_logins(cameras: dict[str, str], digest: bool) -> None:
    login = {"user": "me", "password": "p@/:#", "digest": digest}
    with CameraProcess([{"kind": "rtsp", "footage": cameras["h264"], **login}], gstreamer=True) as process:
        with viewing(process.urls[0].replace("//", "//me:p%40%2F%3A%23@"), timeout=5.0) as viewer:
            viewer.sees()
        with viewing(process.urls[0].replace("//", "//me:wrong@"), timeout=5.0) as viewer:
            _, lost = viewer.told("lost")
            assert "401" in lost.why


@pytest.mark.parametrize("hangs", [False, True])
def test_away_and_back(cameras: dict[str, str], hangs: bool) -> None:
    with (
        CameraProcess([{"kind": "rtsp", "footage": cameras["h264"]}], gstreamer=True) as process,
        viewing(process.urls[0], fps=5) as viewer,
    ):
        viewer.sees(10)
        (process.stop if hangs else process.kill)()
        gone = time.monotonic()
        at, _ = viewer.told("lost")
        assert at - gone < TIMEOUT + 0.5
        count = len(viewer.seen)
        time.sleep(2)
        assert len(viewer.seen) == count
        (process.go_on if hangs else process.start)()
        returned = time.monotonic()
        at, _ = viewer.told("found")
        assert at - returned < 5
        viewer.sees()
        times = [moment for _, moment, _ in viewer.seen]
        assert all(before < after for before, after in pairwise(times))
