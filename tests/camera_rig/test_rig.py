"""The rig's cameras are what they say: every picture once, at its time, and each fault as it is told."""

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import av
import av.error
import pytest
from camera_rig.filming import counter, film
from camera_rig.footage import Footage
from camera_rig.http_cameras import HlsCamera, MjpegCamera, served
from camera_rig.rtsp_server import RtspCamera

FPS = 30


@pytest.fixture(scope="module")
def footage() -> dict[str, Footage]:
    return {codec: film(codec, seconds=2, fps=FPS, key_every=0.5) for codec in ("h264", "hevc", "mjpeg")}


Looked = Iterator[tuple[int | None, float]]


@contextmanager
def looking(url: str, timeout: float = 3.0, **options: str) -> Iterator[Looked]:
    """Numbers and times of the pictures as FFmpeg alone reads them."""
    quick = {"probesize": "20000", "analyzeduration": "100000", "fflags": "nobuffer"}
    with av.open(url, timeout=timeout, options={**quick, **options}) as container:
        frames = container.decode(container.streams.video[0])
        yield ((counter(frame.to_ndarray(format="rgb24")), frame.time) for frame in frames)


def follow_on(seen: list[tuple[int | None, float]], of: int = 2 * FPS) -> bool:
    numbers = [number for number, _ in seen]
    return numbers == [(numbers[0] + n) % of for n in range(len(numbers))]


def test_footage_comes_back_from_a_file(footage: dict[str, Footage], tmp_path) -> None:
    for one in footage.values():
        assert Footage.load(one.save(tmp_path / "footage")) == one
        assert one.at(2 * FPS + 3).time == pytest.approx(2 + 3 / FPS)


@pytest.mark.parametrize(("codec", "transport"), [("h264", "tcp"), ("h264", "udp"), ("hevc", "udp")])
def test_rtsp(footage: dict[str, Footage], codec: str, transport: str) -> None:
    secrets = {"user": "me", "password": "p@/:#%"}
    with RtspCamera(
        footage[codec], transports=(transport,), digest=transport == "tcp", sound=True, **secrets
    ) as camera:
        with looking(camera.url(), rtsp_transport=transport) as pictures:
            seen = list(itertools.islice(pictures, 20))
        for address, wanted in (
            (camera.url(login=False), transport),
            (camera.url(), {"tcp": "udp"}.get(transport, "tcp")),
        ):
            with pytest.raises(av.error.FFmpegError), looking(address, rtsp_transport=wanted):
                pass
    assert follow_on(seen)
    steps = [after - before for (_, before), (_, after) in itertools.pairwise(seen)]
    assert steps == pytest.approx([1 / FPS] * 19, abs=1e-3)
    assert {"OPTIONS", "DESCRIBE", "SETUP", "PLAY"} <= set(camera.asked)


def test_b_frames_come_out_of_order(tmp_path) -> None:
    late = film(seconds=1, fps=FPS, key_every=0.5, b_frames=2)
    assert [unit.number for unit in late.units[:4]] == [0, 3, 1, 2] or late.units[1].number > late.units[2].number
    with RtspCamera(late) as camera, looking(camera.url(), rtsp_transport="tcp") as pictures:
        assert follow_on(list(itertools.islice(pictures, 20)), FPS)


def test_faults_of_rtsp(footage: dict[str, Footage]) -> None:
    with RtspCamera(footage["h264"], sound=True) as camera, looking(camera.url(), rtsp_transport="tcp") as pictures:
        before = list(itertools.islice(pictures, 5))[-1]
        camera.faults.holding = True
        time.sleep(0.5)
        camera.faults.holding = False
        began = time.monotonic()
        assert follow_on([before, *itertools.islice(pictures, 12)])
        assert time.monotonic() - began < 0.3  # 12 pictures last 0.4 s
        camera.faults.frozen = True
        time.sleep(0.5)
        camera.faults.frozen = False
        seen = list(itertools.islice(pictures, 30))
        assert max((b - a) % (2 * FPS) for (a, _), (b, _) in itertools.pairwise(seen)) > FPS // 4  # left out
        camera.faults.jump = -0.8
        times = [time for _, time in itertools.islice(pictures, 30)]
        assert min(b - a for a, b in itertools.pairwise(times)) == pytest.approx(1 / FPS - 0.8, abs=0.01)
        camera.faults.blind = True
        count = len(camera.sent)
        time.sleep(0.2)
        assert len(camera.sent) <= count + 1
        camera.kill()
        with pytest.raises(av.error.FFmpegError):
            av.open(camera.url(), timeout=1)
        camera.faults.blind = False
        camera.start()
        with looking(camera.url(), rtsp_transport="tcp") as again:
            assert next(again)[0] is not None
        camera.faults.hanging = True
        began = time.monotonic()
        with pytest.raises(av.error.FFmpegError), looking(camera.url(), timeout=0.5):
            pass
        assert time.monotonic() - began > 0.4


def test_another_size(footage: dict[str, Footage]) -> None:
    smaller = film(seconds=2, fps=FPS, key_every=0.5, size=(160, 120))
    with RtspCamera(footage["h264"]) as camera, av.open(camera.url(), timeout=3) as container:
        frames = container.decode(container.streams.video[0])
        assert next(frames).width == 320
        camera.show(smaller)
        assert any(frame.width == 160 for frame in itertools.islice(frames, 60))


@pytest.mark.parametrize("esp32", [False, True])
def test_mjpeg(footage: dict[str, Footage], esp32: bool) -> None:
    camera = MjpegCamera(footage["mjpeg"], esp32=esp32, user="me", password="pw")
    with served(camera) as url:
        with looking(url) as pictures:
            assert follow_on(list(itertools.islice(pictures, 20)))
        with av.open(url.replace("stream", "snapshot"), timeout=3) as container:
            assert len(list(container.decode(video=0))) == 1
        with pytest.raises(av.error.FFmpegError), looking(url.replace("me:pw@", "")):
            pass


@pytest.mark.parametrize(("codec", "fragmented"), [("h264", False), ("hevc", True)])
def test_hls(footage: dict[str, Footage], codec: str, fragmented: bool) -> None:
    with served(HlsCamera(footage[codec], target=0.5, fragmented=fragmented)) as url, looking(url) as pictures:
        seen = list(itertools.islice(pictures, 30))
    assert follow_on(seen)
    steps = [after - before for (_, before), (_, after) in itertools.pairwise(seen)]
    assert steps == pytest.approx([1 / FPS] * 29, abs=1e-3)
