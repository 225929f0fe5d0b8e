"""Cameras of this machine, by number."""

import sys
from pathlib import Path

import av.device

from movinet.errors import VideoError
from movinet.video.camera.live_video import LiveVideo
from movinet.video.locations import Source


def camera_number(source: Source) -> int | None:
    """0 for `0` and for `/dev/video0`; None for what is not a camera."""
    number = str(source).removeprefix("/dev/video")
    return int(number) if number.isascii() and number.isdigit() else None


def open_camera(number: int, timeout: float | None = None) -> LiveVideo:
    """Open a camera by its number, through the system's own capture interface.

    Raises:
        VideoError: There is none, or it cannot be opened.
    """
    if sys.platform == "darwin":
        return LiveVideo(str(number), timeout, device="avfoundation", options={"framerate": "30"})
    if sys.platform == "win32":
        cameras = [d.name for d in av.device.enumerate_input_devices("dshow") if "video" in d.media_types]
        if number >= len(cameras):
            raise VideoError(f"camera {number}: there are {len(cameras)} cameras")
        return LiveVideo(f"video={cameras[number]}", timeout, device="dshow")
    device = Path(f"/dev/video{number}")
    if not device.exists():
        found = ", ".join(sorted(str(path) for path in Path("/dev").glob("video*"))) or "none"
        raise VideoError(f"camera {number}: no {device}; cameras found: {found}")
    return LiveVideo(device, timeout, device="v4l2")
