"""Cameras in processes of their own: ours in every `make test`, GStreamer's among the slow ones."""

import itertools
import time

import av
import av.error
import pytest
from camera_rig.filming import counter, film
from camera_rig.process import CameraProcess, gstreamer_python

QUICK = {"probesize": "20000", "analyzeduration": "100000", "fflags": "nobuffer", "rtsp_transport": "tcp"}


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("footage") / "h264.footage"
    return str(film(seconds=2, fps=30, key_every=0.5).save(path))


def numbers(url: str, count: int) -> list[int | None]:
    with av.open(url, timeout=5, options=QUICK) as container:
        frames = itertools.islice(container.decode(video=0), count)
        return [counter(frame.to_ndarray(format="rgb24")) for frame in frames]


def live_through(process: CameraProcess) -> None:
    """Looked at, spoken to, stopped, killed and back at its place."""
    seen = numbers(process.urls[0], 20)
    assert seen == [(seen[0] + n) % 60 for n in range(20)]
    sent = process.order(sent=100)
    assert set(seen) <= {number for number, _, _ in sent}
    assert abs(time.monotonic() - sent[-1][1]) < 2
    process.order(faults={"jump": 5.0})
    process.stop()
    with pytest.raises(av.error.FFmpegError):
        av.open(process.urls[0], timeout=0.3, options=QUICK)
    process.go_on()
    where = process.urls[0]
    process.kill()
    with pytest.raises(av.error.FFmpegError):
        av.open(where, timeout=1, options=QUICK)
    process.start()
    assert process.urls == [where]
    assert None not in numbers(where, 3)


def test_the_rigs_server(footage: str) -> None:
    with CameraProcess([{"kind": "rtsp", "footage": footage}]) as process:
        live_through(process)


@pytest.mark.slow
@pytest.mark.skipif(gstreamer_python() is None, reason="no Python here has GStreamer's RTSP server")
def test_gstreamers_server(footage: str) -> None:
    login = {"user": "me", "password": "p@/:#"}
    with CameraProcess([{"kind": "rtsp", "footage": footage}], gstreamer=True) as process:
        live_through(process)
    with CameraProcess([{"kind": "rtsp", "footage": footage, "digest": True, **login}], gstreamer=True) as process:
        with pytest.raises(av.error.FFmpegError):
            numbers(process.urls[0], 1)
        assert None not in numbers(process.urls[0].replace("//", "//me:p%40%2F%3A%23@"), 3)
