"""What real cameras do to a live source: told in time, back soon, and nothing false in between."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from camera_rig.filming import film
from camera_rig.footage import Footage
from camera_rig.http_cameras import HlsCamera, MjpegCamera, served
from camera_rig.rtsp_server import RtspCamera
from live_viewer import TIMEOUT, Viewer, viewing
from loopback import Answer, Request, site

from movinet.errors import LoginRefused, VideoError
from movinet.video.camera.live_source import LiveSource
from movinet.video.camera.live_video import LiveVideo

FPS = 25
TOLD = TIMEOUT + 0.5  # seconds from the last picture


@pytest.fixture(scope="module")
def footage() -> Footage:
    return film(seconds=4, fps=FPS, key_every=0.4, size=(160, 120))


def go_on(viewer: Viewer) -> None:
    """Times go up, and never by less than the frames' own."""
    times = [moment for _, moment, _ in viewer.seen]
    assert all(before < after for before, after in pairwise(times))


def at_once(check: Callable[..., None], *cases: Any) -> None:
    """The same for several cases, which mostly wait."""
    with ThreadPoolExecutor(len(cases)) as pool:
        for done in [pool.submit(check, case) for case in cases]:
            done.result()


def test_cameras_that_stop_are_told_in_time_and_found_soon(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), fps=5) as other:
        other.settle()
        at_once(lambda fault: stops(footage, fault), "kill", "hanging", "frozen", "blind")
        assert max(after - before for (before, _, _), (after, _, _) in pairwise(other.seen)) < 0.8
    assert other.changes == []


def stops(footage: Footage, fault: str) -> None:
    with RtspCamera(footage, sound=True) as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        if fault == "kill":
            camera.kill()
        else:
            setattr(camera.faults, fault, True)
        stopped = time.monotonic()
        at, lost = viewer.told("lost")
        assert at - stopped < (0.5 if fault == "kill" else TOLD)
        assert lost.seconds < TOLD
        assert lost.time == viewer.seen[-1][1]
        assert abs(lost.wall - time.time()) < 5
        count = len(viewer.seen)
        time.sleep(max(0.0, stopped + 2.5 * TIMEOUT - time.monotonic()))
        assert len(viewer.seen) == count  # nothing false in between
        assert viewer.kinds() == ["lost"]
        returned = time.monotonic()
        if fault == "kill":
            asked = camera.asked.count("DESCRIBE")
            camera.start()
        else:
            setattr(camera.faults, fault, False)
        at, found = viewer.told("found")
        assert at - returned < 2.0
        assert found.seconds == pytest.approx(at - viewer.seen[count - 1][0], abs=0.5)
        if fault == "kill":
            assert camera.asked.count("DESCRIBE") == asked + 1  # by FFmpeg, and not by us again
        viewer.sees()
        go_on(viewer)
        # Time goes on as the clock does.
        (before, begin, _), (after, end, _) = viewer.seen[0], viewer.seen[-1]
        assert end - begin == pytest.approx(after - before, abs=0.25)
    assert viewer.source.reconnects - viewer.reconnects == 1
    assert viewer.source.figures().reconnects == viewer.source.reconnects


def test_one_camera_and_another(footage: Footage) -> None:
    at_once(
        lambda check: check(footage),
        a_short_stop_is_no_loss,
        off_at_the_start_it_is_watched,
        a_wrong_password_is_told_once_and_tried_again_rarely,
        a_password_that_was_changed_is_told_besides_the_loss,
        another_size_goes_on,
        pictures_that_are_late_are_left_out_and_counted,
        damaged_pictures_are_not_recognized,
    )


def a_short_stop_is_no_loss(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        camera.faults.frozen = True
        time.sleep(0.6 * TIMEOUT)
        camera.faults.frozen = False
        viewer.sees()
        go_on(viewer)
    assert viewer.changes == []


def off_at_the_start_it_is_watched(footage: Footage) -> None:
    camera = RtspCamera(footage)
    with camera:
        address = camera.url()
    with viewing(address) as viewer:
        _, lost = viewer.told("lost", within=1.0)
        assert lost.time is None
        assert "Connection refused" in lost.why
        time.sleep(0.3)
        camera.start()
        try:
            viewer.sees(within=2.0)
        finally:
            camera.kill()
    assert viewer.kinds()[:2] == ["lost", "found"]
    assert viewer.source.reconnects == 0  # it was not there before
    assert viewer.seen[0][1] == 0.0


def a_wrong_password_is_told_once_and_tried_again_rarely(footage: Footage) -> None:
    with RtspCamera(footage, user="me", password="right") as camera:
        address = camera.url().replace("right", "wrong")
        with viewing(address) as viewer:
            _, lost = viewer.told("lost")
            assert "401" in lost.why
            assert "wrong" not in lost.why
            time.sleep(1.0)
            assert camera.asked.count("OPTIONS") == 1
            assert viewer.kinds() == ["lost"]
        with pytest.raises(LoginRefused, match="is the password right"), LiveSource(address, 5, retries=0):
            pass


def a_password_that_was_changed_is_told_besides_the_loss(footage: Footage) -> None:
    with RtspCamera(footage, user="me", password="right") as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        camera.password = "other"
        camera.kill()
        camera.start()
        viewer.wait(lambda: any("401" in change.why for _, change in viewer.changes))
    assert set(viewer.kinds()) == {"lost"}


def test_stamps_that_jump_silence_nothing(footage: Footage) -> None:
    at_once(lambda jump: jumps(footage, jump), 3600.0, -3600.0, -0.8, 0.5)


def jumps(footage: Footage, jump: float) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url()) as viewer:
        viewer.settle()
        camera.faults.jump = jump
        viewer.sees(15)
        go_on(viewer)
        whens = [when for when, _, _ in viewer.seen]
        times = [moment for _, moment, _ in viewer.seen]
        assert max(after - before for before, after in pairwise(whens)) < 0.6
        assert max(after - before for before, after in pairwise(times)) < 0.4 + max(0, jump % 3600)
    assert viewer.changes == []


def another_size_goes_on(footage: Footage) -> None:
    smaller = film(seconds=1, fps=FPS, key_every=0.4, size=(128, 96))
    with RtspCamera(footage) as camera, LiveSource(camera.url(), 10, timeout=TIMEOUT) as source:
        next(source)
        camera.show(smaller)
        shapes = {next(source).rgb.shape for _ in range(10)}
    assert {(120, 160, 3), (96, 128, 3)} >= shapes
    assert (96, 128, 3) in shapes
    assert source.reconnects == 0


@pytest.mark.parametrize("transports", [("udp",), ("tcp",)])
def test_transports(footage: Footage, transports: tuple[str, ...]) -> None:
    other = {"udp": "tcp", "tcp": "udp"}[transports[0]]
    with RtspCamera(footage, transports=transports, sound=True) as camera:
        with viewing(camera.url(), transport=transports[0]) as viewer:
            viewer.sees(10)
        with (
            pytest.raises(VideoError, match=f"--transport {transports[0]}"),
            LiveSource(camera.url(), 5, retries=0, transport=other),
        ):
            pass
    assert None not in [number for _, _, number in viewer.seen]


def test_first_frame_within_a_key_frame_interval(footage: Footage) -> None:
    with RtspCamera(footage, sound=True) as camera:
        taken = []
        for _ in range(3):
            began = time.monotonic()
            with LiveSource(camera.url(), 10) as source:
                next(source)
            taken.append(time.monotonic() - began)
    assert sorted(taken)[1] < 0.4 + 0.5  # one may meet a busy machine


def test_every_frame_that_is_due_comes(footage: Footage) -> None:
    at_once(lambda fps: all_come(footage, fps), 10, FPS, 60)


def all_come(footage: Footage, fps: int) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), fps=fps) as viewer:
        viewer.sees(2 * min(fps, FPS))
    numbers = [number for _, _, number in viewer.seen]
    steps = [(after - before) % (4 * FPS) for before, after in pairwise(numbers)]
    assert set(steps) <= ({1} if fps >= FPS else {2, 3})
    assert viewer.source.dropped == 0
    sent = {one.number: one.at for one in camera.sent}
    late = sorted(when - sent[number] for when, _, number in viewer.seen[5:-5])
    assert late[len(late) // 4] < 1 / FPS + 0.02


def pictures_that_are_late_are_left_out_and_counted(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), max_lag=0.3, timeout=3) as viewer:
        viewer.settle()
        camera.faults.holding = True
        time.sleep(1.0)
        camera.faults.holding = False
        viewer.told("caught_up")
        viewer.sees()
    kinds = viewer.kinds()
    assert kinds[:2] == ["lagging", "caught_up"]
    assert set(kinds) == {"lagging", "caught_up"}
    assert viewer.changes[0][1].seconds > 0.3


def damaged_pictures_are_not_recognized(footage: Footage) -> None:
    with RtspCamera(footage) as camera, viewing(camera.url(), timeout=5) as viewer:
        viewer.sees()
        camera.faults.damaged = 0.9
        _, lost = viewer.told("lost")
        assert "damaged" in lost.why
        count = len(viewer.seen)
        time.sleep(0.5)
        assert len(viewer.seen) <= count + 1
        camera.faults.damaged = 0.0
        viewer.told("found")
        viewer.sees()
    assert viewer.source.figures().damaged > 5
    assert viewer.source.reconnects == 0


def test_cameras_over_http(footage: Footage) -> None:
    at_once(
        lambda check: check(footage),
        mjpeg_that_freezes,
        a_single_picture_is_asked_for_again_and_again,
        hls_is_played_at_its_pace_and_old_pieces_only_once,
        hls_that_ends_is_not_begun_again,
        sound_that_goes_on_is_no_picture,
    )


def mjpeg_that_freezes(footage: Footage) -> None:
    camera = MjpegCamera(film("mjpeg", seconds=4, fps=FPS, size=(160, 120)))
    with served(camera) as url, viewing(url) as viewer:
        viewer.sees()
        camera.faults.frozen = True
        stopped = time.monotonic()
        at, _ = viewer.told("lost")
        assert at - stopped < TOLD
        camera.faults.frozen = False
        viewer.told("found")
        viewer.sees()
        go_on(viewer)


def a_single_picture_is_asked_for_again_and_again(footage: Footage) -> None:
    camera = MjpegCamera(film("mjpeg", seconds=4, fps=FPS, size=(160, 120)))
    with served(camera) as url, viewing(url.replace("stream", "snapshot.jpg")) as viewer:
        began = viewer.sees(1)
        ended = viewer.sees(20)
        numbers = [number for _, _, number in viewer.seen]
        assert ended - began == pytest.approx(2.0, abs=0.3)  # at the network's rate
        assert len(set(numbers)) == len(numbers)
        camera.footage = film("mjpeg", seconds=1, fps=1, size=(160, 120))  # the same one from here on
        _, lost = viewer.told("lost")
        assert "the same picture" in lost.why or "no picture" in lost.why


def hls_is_played_at_its_pace_and_old_pieces_only_once(footage: Footage) -> None:
    camera = HlsCamera(footage, target=0.4)
    with served(camera) as url:
        time.sleep(1.0)  # until there are some pieces
        with viewing(url, timeout=2.0) as viewer:
            viewer.sees(20)
            waits = [after - before for (before, _, _), (after, _, _) in pairwise(viewer.seen)]
            assert sum(wait < 0.03 for wait in waits) <= 3  # not all at once, as they arrive
            times = [moment for _, moment, _ in viewer.seen]
            assert max(after - before for before, after in pairwise(times)) < 0.2
            camera.faults.blind = True  # the playlist stays as it is
            viewer.told("lost")
            count = len(viewer.seen)
            time.sleep(0.7)
            assert len(viewer.seen) == count  # though the old pieces are there
            camera.faults.blind = False
            viewer.told("found")
            viewer.sees()
            go_on(viewer)
    assert None not in [number for _, _, number in viewer.seen]


def hls_that_ends_is_not_begun_again(footage: Footage) -> None:
    camera = HlsCamera(footage, target=0.4)
    ended = threading.Event()
    page = camera.page

    def with_end(request: Request) -> Answer:
        answer = page(request)
        if ended.is_set() and request.path == "/live.m3u8":
            return replace(answer, body=answer.body + b"#EXT-X-ENDLIST\n")
        return answer

    camera.page = with_end  # type: ignore[method-assign]
    with served(camera) as url:
        time.sleep(1.0)
        with viewing(url, timeout=2.0) as viewer:
            viewer.sees(5)
            camera.faults.blind = True
            ended.set()
            viewer.told("lost")
            count = len(viewer.seen)
            time.sleep(1.5)
            assert len(viewer.seen) == count
            assert viewer.kinds() == ["lost"]
            go_on(viewer)
    numbers = [number for _, _, number in viewer.seen]
    assert len(set(numbers)) == len(numbers)


def sound_that_goes_on_is_no_picture(footage: Footage) -> None:
    stopped = threading.Event()

    def send(handler: BaseHTTPRequestHandler) -> None:
        class Sent:
            def write(self, data: bytes) -> int:
                return handler.wfile.write(data)

        out = av.open(Sent(), "w", format="mpegts", options={"flush_packets": "1"})
        pictures = out.add_mux_stream("h264", rate=FPS, width=160, height=120)
        pictures.time_base = Fraction(1, 90_000)
        sound = out.add_stream("aac", rate=48_000, layout="mono")
        began, shown, heard = time.monotonic(), 0, 0
        while True:
            now = time.monotonic() - began
            while shown / FPS <= now and not stopped.is_set():
                unit = footage.at(shown)
                packet = av.Packet(unit.data)
                packet.stream, packet.time_base, packet.is_keyframe = pictures, pictures.time_base, unit.key
                packet.pts = packet.dts = round(90_000 * unit.time)
                out.mux_one(packet)
                shown += 1
            while heard * 1024 / 48_000 <= now:
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts, frame.time_base = 48_000, 1024 * heard, Fraction(1, 48_000)
                out.mux(sound.encode(frame))
                heard += 1
            time.sleep(0.01)

    answer = Answer(send=send, headers={"Content-Type": "video/mp2t"})
    with site({"/live.ts": answer}) as server, viewing(server.url("/live.ts")) as viewer:
        viewer.sees()
        stopped.set()
        at = time.monotonic()
        told, lost = viewer.told("lost")
        assert told - at < TOLD
        assert "no picture within" in lost.why


def test_only_one_variant_of_a_playlist_is_fetched(footage: Footage, tmp_path: Path) -> None:
    pages: dict[str, bytes] = {}
    master = ["#EXTM3U"]
    for name in ("small", "large"):
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
        for number in range(6):
            path = tmp_path / f"{name}{number}.ts"
            with av.open(str(path), "w", format="mpegts") as out:
                stream = out.add_mux_stream("h264", rate=FPS, width=160, height=120)
                stream.time_base = Fraction(1, 90_000)
                for n in range(10 * number, 10 * number + 10):  # key frames are ten apart
                    unit = footage.at(n)
                    packet = av.Packet(unit.data)
                    packet.stream, packet.time_base, packet.is_keyframe = stream, stream.time_base, unit.key
                    packet.pts = packet.dts = round(90_000 * unit.time)
                    out.mux_one(packet)
            pages[f"/{path.name}"] = path.read_bytes()
            lines += ["#EXTINF:0.4,", path.name]
        pages[f"/{name}.m3u8"] = "\n".join([*lines, "#EXT-X-ENDLIST"]).encode()
        master += [f"#EXT-X-STREAM-INF:BANDWIDTH={1000 if name == 'small' else 2000}", f"{name}.m3u8"]
    pages["/live.m3u8"] = "\n".join(master).encode()
    with site(pages) as server:
        with LiveVideo(server.url("/live.m3u8"), 3.0) as video:
            assert sum(1 for _ in video.arrivals()) == 60
        fetched = [path for path in server.paths() if path.endswith(".ts")]
    assert min(sum(path.startswith(f"/{name}") for path in fetched) for name in ("small", "large")) <= 4
