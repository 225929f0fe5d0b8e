"""Cameras over HTTP: JPEGs in one long answer as cheap cameras send them, a live HLS playlist, single pictures.

with served(MjpegCamera(film("mjpeg"))) as url:
    av.open(url)
"""

import base64
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from typing import Protocol

import av
from camera_rig.camera import Camera
from camera_rig.footage import Footage, Unit
from loopback import Answer, Request, site

_JPEG_HEAD = 700  # bytes that damage spares: what says the size and the tables


class HttpCamera(Protocol):
    """A camera that answers requests."""

    user: str
    password: str
    path: str
    """Where it is looked at."""

    def page(self, request: Request) -> Answer: ...

    def close(self) -> None: ...


@contextmanager
def served(camera: HttpCamera, port: int = 0) -> Iterator[str]:
    """The address of a camera on loopback, with its user and password."""

    def page(request: Request) -> Answer:
        login = base64.b64encode(f"{camera.user}:{camera.password}".encode()).decode()
        if camera.user and request.headers.get("Authorization") != f"Basic {login}":
            return Answer(b"who are you?", 401, {"WWW-Authenticate": 'Basic realm="camera"'})
        return camera.page(request)

    with site(page, port=port) as where:
        try:
            yield where.url(camera.path, user=f"{camera.user}:{camera.password}@" if camera.user else "")
        finally:
            camera.close()


class MjpegCamera(Camera):
    """multipart/x-mixed-replace at `/stream`; at `/snapshot` the picture of the moment.

    Args:
        footage: mjpeg.
        path: Which of the two it is looked at by.
        esp32: Framed as the ESP32-CAM's example does: a boundary of digits, before each part a line break, times.
    """

    def __init__(
        self, footage: Footage, *, esp32: bool = False, path: str = "/stream", user: str = "", password: str = ""
    ) -> None:
        super().__init__(footage, user=user, password=password)
        self.esp32, self.path = esp32, path
        self.gone = threading.Event()

    def close(self) -> None:
        self.gone.set()

    def page(self, request: Request) -> Answer:
        self.answer_in_time(self.gone)
        if request.path.startswith("/snapshot"):
            unit = self.footage.at(int((time.monotonic() - self.began) * self.footage.fps))
            self.tell(unit)
            return Answer(unit.data, headers={"Content-Type": "image/jpeg"}, ranges=False)
        if not request.path.startswith("/stream"):
            return Answer(b"no such page", 404)
        boundary = "123456789000000000000987654321" if self.esp32 else "frame"
        headers = {"Content-Type": f"multipart/x-mixed-replace;boundary={boundary}"}
        return Answer(headers=headers, send=lambda handler: self._send(handler, boundary))

    def _send(self, handler: BaseHTTPRequestHandler, boundary: str) -> None:
        for units in self.watched(self.gone):
            for unit, shown in units:
                if not shown:
                    continue
                self.tell(unit)
                for data in self.mistreat([unit.data], _JPEG_HEAD):
                    about = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n"
                    if self.esp32:
                        head, tail = f"\r\n--{boundary}\r\n{about}X-Timestamp: {time.time():.6f}\r\n\r\n", b""
                    else:
                        head, tail = f"--{boundary}\r\n{about}\r\n", b"\r\n"
                    handler.wfile.write(head.encode() + data + tail)
                    handler.wfile.flush()


class HlsCamera(Camera):
    """A live playlist whose segments grow in real time; each ends at a key frame.

    Args:
        footage: h264 or hevc.
        target: Seconds of a segment.
        fragmented: Segments of fragmented MP4 instead of MPEG transport streams.
        window: Segments in the playlist; two more are kept.
    """

    def __init__(
        self,
        footage: Footage,
        *,
        target: float = 2.0,
        fragmented: bool = False,
        window: int = 4,
        user: str = "",
        password: str = "",
    ) -> None:
        super().__init__(footage, user=user, password=password)
        self.target, self.fragmented, self.window = target, fragmented, window
        self.path = "/live.m3u8"
        self.gone = threading.Event()
        self._segments: deque[tuple[int, float, bytes]] = deque(maxlen=window + 2)
        self._head = b""
        self._thread = threading.Thread(target=self._grow, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.gone.set()
        self._thread.join(2)

    def page(self, request: Request) -> Answer:
        self.answer_in_time(self.gone)
        name = request.path.partition("?")[0].removeprefix("/")
        if name == "live.m3u8":
            return Answer(self._playlist(), headers={"Content-Type": "application/vnd.apple.mpegurl"}, ranges=False)
        if name == "head.mp4":
            return Answer(self._head, headers={"Content-Type": "video/mp4"})
        held = {f"{number}.{self._ending}": data for number, _, data in list(self._segments)}
        if name in held:
            return Answer(held[name], headers={"Content-Type": "video/mp4" if self.fragmented else "video/mp2t"})
        return Answer(b"no such page", 404)

    @property
    def _ending(self) -> str:
        return "m4s" if self.fragmented else "ts"

    def _playlist(self) -> bytes:
        until = time.monotonic() + 10
        while not self._segments and time.monotonic() < until:  # as a camera that starts when it is asked
            self.gone.wait(0.05)
        shown = list(self._segments)[-self.window :]
        longest = max((seconds for _, seconds, _ in shown), default=self.target)
        lines = ["#EXTM3U", "#EXT-X-VERSION:7", f"#EXT-X-TARGETDURATION:{round(longest + 0.5)}"]
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{shown[0][0] if shown else 0}")
        if self.fragmented:
            lines.append('#EXT-X-MAP:URI="head.mp4"')
        for number, seconds, _ in shown:
            lines += [f"#EXTINF:{seconds:.3f},", f"{number}.{self._ending}"]
        return ("\n".join(lines) + "\n").encode()

    def _grow(self) -> None:
        muxer, begun = _Muxer(self.footage, self.fragmented), None
        for units in self.watched(self.gone):
            for unit, shown in units:
                if not shown or (begun is None and not unit.key):
                    continue
                begun = unit.time if begun is None else begun
                seconds = unit.time - begun
                ends = unit.key and seconds >= self.target - 0.5 / self.footage.fps
                if ends and not self.fragmented:
                    self._cut(muxer, seconds)
                self.tell(unit)
                muxer.add(unit, self.faults.jump)
                if ends and self.fragmented:  # the last fragment is written when the next key frame comes
                    self._cut(muxer, seconds)
                begun = unit.time if ends else begun

    def _cut(self, muxer: "_Muxer", seconds: float) -> None:
        head, data = muxer.take()
        self._head = self._head or head
        self._segments.append((self._segments[-1][0] + 1 if self._segments else 0, seconds, data))


class _Muxer:
    """One container without end, whose bytes are taken as they come."""

    def __init__(self, footage: Footage, fragmented: bool) -> None:
        self._period, self._bytes = 1 / footage.fps, bytearray()
        options = (
            {"movflags": "delay_moov+default_base_moof+frag_keyframe", "use_editlist": "0"}
            if fragmented
            else {"mpegts_flags": "pat_pmt_at_frames"}
        )
        options["flush_packets"] = "1"
        self._out = av.open(self, "w", format="mp4" if fragmented else "mpegts", options=options)
        self._stream = self._out.add_mux_stream(
            footage.codec, rate=footage.fps, width=footage.width, height=footage.height
        )
        self._stream.time_base = Fraction(1, 90_000)
        self._count: int | None = None

    def write(self, data: bytes) -> int:
        self._bytes += data
        return len(data)

    def add(self, unit: Unit, jump: float) -> None:
        if self._count is None:
            self._count = round(unit.time / self._period)
        packet = av.Packet(unit.data)
        packet.stream, packet.time_base, packet.is_keyframe = self._stream, Fraction(1, 90_000), unit.key
        packet.pts = round(90_000 * (unit.time + jump + 10 * self._period))
        packet.dts = round(90_000 * (self._count * self._period + jump))
        self._count += 1
        self._out.mux_one(packet)

    def take(self) -> tuple[bytes, bytes]:
        """What was written since the last time: what comes once, before the first fragment, and the rest."""
        data = bytes(self._bytes)
        self._bytes.clear()
        first = data.find(b"moof") - 4 if data[4:8] == b"ftyp" else 0
        return data[:first], data[first:]
