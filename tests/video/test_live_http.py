"""What cameras over http do to a live source: pictures that stop, one picture at a time, playlists."""

import threading
import time
from dataclasses import replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from camera_rig.filming import film
from camera_rig.footage import Footage
from camera_rig.http_cameras import HlsCamera, MjpegCamera, served
from live_viewer import FPS, TOLD, at_once, go_on, viewing
from loopback import Answer, Request, site

from movinet.video.camera.live_video import LiveVideo


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
