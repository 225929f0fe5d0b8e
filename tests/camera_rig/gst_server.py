"""GStreamer's RTSP server as a camera, in a process of its own; run by a Python that has its bindings.

    /usr/bin/python3 -m camera_rig.gst_server '[{"kind": "rtsp", "footage": "a.footage"}]'

Speaks as `camera_rig.rig_command` does; of the faults it knows `jump`, forwards. Needs GstRtspServer 1.0 (Debian:
gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good, -bad). Media are pushed whether or not anybody looks.
"""

import json
import sys
import threading
import time
from collections import deque
from pathlib import Path

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtspServer", "1.0")
from camera_rig.footage import Footage  # noqa: E402
from gi.repository import GLib, Gst, GstRtspServer  # noqa: E402

_CAPS = {"h264": "video/x-h264", "hevc": "video/x-h265"}
_PAY = {"h264": "h264parse ! rtph264pay", "hevc": "h265parse ! rtph265pay"}


class GstCamera(GstRtspServer.RTSPMediaFactory):
    """One mount point that shows footage over and over by a clock of its own."""

    def __init__(self, footage: Footage, faults: dict) -> None:
        super().__init__()
        self.footage = footage
        self.faults = {"jump": 0.0, **faults}
        self.sent: deque = deque(maxlen=100_000)
        self.began = time.monotonic()
        self.source = None
        self.set_shared(True)
        threading.Thread(target=self._pump, daemon=True).start()

    def do_create_element(self, url):
        codec = self.footage.codec
        caps = f"{_CAPS[codec]},stream-format=byte-stream,alignment=au,framerate={self.footage.fps}/1"
        source = "appsrc name=source is-live=true format=time max-bytes=4000000 block=false"
        pictures = f'{source} caps="{caps}" ! {_PAY[codec]} name=pay0 pt=96 config-interval=-1'
        return Gst.parse_launch(f"( {pictures} )")

    def do_configure(self, media):
        source = media.get_element().get_by_name("source")
        media.connect("unprepared", lambda media: self._gone(source))
        self.source = source

    def _gone(self, source) -> None:
        if self.source is source:  # the next one may be there already
            self.source = None

    def _pump(self) -> None:
        period, index = 1 / self.footage.fps, 0
        known, ahead = None, 0.0
        while True:
            late = time.monotonic() - (self.began + index * period)
            if late < 0:
                time.sleep(-late)
            elif late > 2:  # it was stopped: a camera's clock goes on
                index = int((time.monotonic() - self.began) / period) + 1
                continue
            unit = self.footage.at(index)
            index += 1
            source = self.source
            clock = source.get_clock() if source is not None else None
            if clock is None or source.get_base_time() == 0:  # it has not begun to play
                known = None
                continue
            if known is not source:  # stamps go on from the pipeline's own time
                known, ahead = source, (clock.get_time() - source.get_base_time()) / 1e9 - unit.time
            stamp = unit.time + self.faults["jump"]
            buffer = Gst.Buffer.new_wrapped(unit.data)
            buffer.pts = max(0, round(1e9 * (stamp + ahead)))
            buffer.duration = round(1e9 * period)
            if not unit.key:
                buffer.set_flags(Gst.BufferFlags.DELTA_UNIT)
            self.sent.append((unit.number, time.monotonic(), stamp))
            source.emit("push-buffer", buffer)


def allow(server: GstRtspServer.RTSPServer, cameras: list, about: dict) -> None:
    """Who may look."""
    token = GstRtspServer.RTSPToken()
    token.set_string("media.factory.role", "user")
    login = GstRtspServer.RTSPAuth.new()
    if about.get("digest"):
        login.set_supported_methods(2)  # RTSPAuthMethod.DIGEST
        login.add_digest(about["user"], about["password"], token)
    else:
        login.add_basic(GstRtspServer.RTSPAuth.make_basic(about["user"], about["password"]), token)
    server.set_auth(login)
    for camera in cameras:
        may = GstRtspServer.RTSPPermissions.new()
        for what in ("media.factory.access", "media.factory.construct"):
            may.add_permission_for_role("user", what, True)
        camera.set_permissions(may)


def obey(cameras: list, loop: GLib.MainLoop) -> None:
    for line in sys.stdin:
        order = json.loads(line)
        camera = cameras[order["camera"]]
        camera.faults.update(order.get("faults", {}))
        if "show" in order:
            camera.footage = Footage.load(Path(order["show"]))
        answer = list(camera.sent)[-order["sent"] :] if "sent" in order else None
        print(json.dumps(answer), flush=True)
    loop.quit()


def main() -> None:
    sys.setswitchinterval(0.001)
    Gst.init(None)
    abouts = json.loads(sys.argv[1])
    server = GstRtspServer.RTSPServer()
    server.set_service(str(abouts[0].get("port", 0)))
    server.set_address("127.0.0.1")
    server.get_thread_pool().set_max_threads(len(abouts))  # an answer may wait for a key frame: not for another's
    cameras = []
    for number, about in enumerate(abouts):
        footage = Footage.load(Path(about["footage"]))
        camera = GstCamera(footage, about.get("faults", {}))
        server.get_mount_points().add_factory(f"/{number}", camera)
        cameras.append(camera)
    if abouts[0].get("user"):
        allow(server, cameras, abouts[0])
    loop = GLib.MainLoop()
    if server.attach(None) == 0:
        sys.exit("the port is taken")
    GLib.timeout_add_seconds(2, lambda: (server.get_session_pool().cleanup(), True)[1])
    port = server.get_bound_port()
    print(json.dumps([f"rtsp://127.0.0.1:{port}/{number}" for number in range(len(cameras))]), flush=True)

    threading.Thread(target=obey, args=(cameras, loop), daemon=True).start()
    loop.run()


if __name__ == "__main__":
    main()
