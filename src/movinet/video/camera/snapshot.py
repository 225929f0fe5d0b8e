"""Cameras that give single pictures: an address of a JPEG, asked for again and again."""

import time

from movinet.errors import VideoError
from movinet.video.camera.line import Line
from movinet.video.camera.live_clock import LiveClock, Timeline
from movinet.video.frame import Frame
from movinet.video.net.http_io import Opener
from movinet.video.net.login import Address
from movinet.video.net.sources import Limits
from movinet.video.pacer import LivePacer
from movinet.video.pixels import ToRGB
from movinet.video.single_picture import decode_picture

_LARGEST = 64 << 20  # bytes


def poll(
    address: str | Address, line: Line, pacer: LivePacer, timeline: Timeline, *, timeout: float, limits: Limits
) -> None:
    """Ask for a camera's picture as often as the network wants one, or as fast as the camera answers, until the line
    is cut. A picture that is the same to the byte is no new one: sensors never see the same twice.

    Raises:
        VideoError: There is no new picture within `timeout` seconds.
    """
    clock, last, heard = LiveClock(timeline, stamped=False), b"", time.monotonic()
    name = str(address if isinstance(address, Address) else Address.of(address))
    to_rgb = ToRGB(name=name)
    ask = time.monotonic()
    while not line.is_cut:
        data = _fetch(address, timeout, limits)
        now = time.monotonic()
        if data != last:
            last, heard = data, now
            line.hear()
            clock.arrived(None, None, now)
            moment, _ = clock.shown(None)
            if moment is not None and pacer.is_due(moment):
                line.put(Frame.of_decoded(decode_picture(data, name, limits), moment, to_rgb))
        elif now - heard >= timeout:
            raise VideoError(f"{name}: gives the same picture for {timeout:g} s")
        ask = max(now, ask + 1 / pacer.fps)
        line.wait(ask - now)


def _fetch(address: str | Address, timeout: float, limits: Limits) -> bytes:
    opener = Opener(address, limits, timeout)
    data = bytearray()
    try:
        with opener.watch():
            file = opener(opener.url, 0, {})
            while more := file.read(1 << 16):
                data += more
                if len(data) > _LARGEST:
                    raise VideoError(f"{opener.name}: a picture of more than {_LARGEST >> 20} MB: refused")
        if opener.fault:
            raise VideoError(f"{opener.name}: {opener.fault}")
        return bytes(data)
    finally:
        opener.close()
