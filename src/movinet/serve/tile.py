"""The newest picture of a source as a small JPEG, made when somebody asks."""

import threading
import time
from fractions import Fraction

import av
import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.video.frame import Frame

_WIDEST = 640  # pixels
_AGAIN = 0.5  # seconds for which one is given again


class Tile:
    """Keeps a source's newest frame. Any thread may call anything."""

    def __init__(self) -> None:
        self._frame: Frame | None = None
        self._made: tuple[float, bytes] | None = None
        self._lock = threading.Lock()

    def keep(self, frame: Frame | None) -> None:
        """This is what it shows; None: nothing any more."""
        self._frame = frame
        if frame is None:
            self._made = None

    def through(self, frame: Frame) -> Frame:
        """The same frame, which is kept on its way to whoever looks at it."""
        self.keep(frame)
        return frame

    def jpeg(self) -> bytes | None:
        """Its bytes; None where there is none (yet)."""
        with self._lock:
            frame, now = self._frame, time.monotonic()
            if frame is None:
                return None
            if self._made is not None and now - self._made[0] < _AGAIN:
                return self._made[1]
            try:
                data = encode_jpeg(frame.rgb, _WIDEST)
            except MovinetError:
                return None
            self._made = now, data
            return data


def encode_jpeg(rgb: NDArray[np.uint8], widest: int) -> bytes:
    """A picture (H, W, 3) as a JPEG, no wider than that, in pixels."""
    height, width = rgb.shape[:2]
    factor = min(1.0, widest / max(width, height))
    size = max(2, round(width * factor) // 2 * 2), max(2, round(height * factor) // 2 * 2)
    encoder = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height = size
    encoder.pix_fmt, encoder.time_base, encoder.thread_count = "yuvj420p", Fraction(1, 1), 1
    encoder.color_range, encoder.colorspace = 2, 5  # full, and BT.601, as JPEG has it
    encoder.options = {"qmin": "3", "qmax": "6"}
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
    frame = frame.reformat(*size, format="yuvj420p", dst_colorspace=5, dst_color_range=2)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])
