"""Cameras in a process of their own, for what must not share a processor's lock with them.

    python -m camera_rig.rig_command '[{"kind": "rtsp", "footage": "a.footage"}]'

Prints the addresses as a JSON list, without logins, then obeys a JSON object a line until its input ends:

    {"camera": 0, "faults": {"jump": 3600}}     {"camera": 0, "show": "b.footage"}
    {"camera": 0, "password": "new"}            {"camera": 0, "do": "kill"}     start, hang_up
    {"camera": 0, "sent": 100}                  answers the newest: [[number, time.monotonic(), stamp], …]
"""

import json
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from camera_rig.camera import Camera, Faults
from camera_rig.footage import Footage
from camera_rig.http_cameras import HlsCamera, MjpegCamera, served
from camera_rig.rtsp_server import RtspCamera

_HTTP = {
    "mjpeg": (MjpegCamera, {}),
    "esp32": (MjpegCamera, {"esp32": True}),
    "jpeg": (MjpegCamera, {"path": "/snapshot"}),
    "hls": (HlsCamera, {}),
}


def stand_up(about: dict[str, Any], stack: ExitStack) -> tuple[Camera, str]:
    """A camera that runs, and its address."""
    kind, footage = about.pop("kind"), Footage.load(Path(about.pop("footage")))
    faults = Faults(**about.pop("faults", {}))
    if kind == "rtsp":
        camera = RtspCamera(footage, **about)
        camera.faults = faults
        stack.enter_context(camera)
        return camera, camera.url(login=False)
    make, more = _HTTP[kind]
    port = about.pop("port", 0)
    camera = make(footage, **{**more, **about})
    camera.faults = faults
    url = stack.enter_context(served(camera, port))
    return camera, f"http://{url.rpartition('@')[2].removeprefix('http://')}"


def obey(camera: Camera, order: dict[str, Any]) -> object:
    if "faults" in order:
        camera.faults = Faults(**{**asdict(camera.faults), **order["faults"]})
    if "show" in order:
        camera.show(Footage.load(Path(order["show"])))
    if "password" in order:
        camera.password = order["password"]
    if "do" in order:
        getattr(camera, order["do"])()
    return [astuple(one) for one in list(camera.sent)[-order["sent"] :]] if "sent" in order else None


def main() -> None:
    sys.setswitchinterval(0.001)  # many cameras: each is due at its moment
    with ExitStack() as stack:
        began = time.monotonic()
        cameras = [stand_up(about, stack) for about in json.loads(sys.argv[1])]
        for n, (camera, _) in enumerate(cameras):  # at one place of their footage, to within a picture
            camera.began = began + n * 0.618 % 1 / camera.footage.fps
        print(json.dumps([url for _, url in cameras]), flush=True)
        for line in sys.stdin:
            order = json.loads(line)
            print(json.dumps(obey(cameras[order["camera"]][0], order)), flush=True)


if __name__ == "__main__":
    main()
