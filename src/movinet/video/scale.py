"""Pictures resized by FFmpeg's scaler, the same to the bit on every processor."""

import threading
from typing import cast

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

# Bilinear, which widens its filter as it shrinks: of swscale's filters the one that `torch.nn.functional.interpolate`
# calls bilinear and antialiased, on which networks are trained; on video frames the two are a level apart at most but
# for the outermost row and column. AREA and BICUBIC are 4 to 19 levels off (first and last percent of the pixels).
# The scaler computes in YUV; full chroma keeps RGB's resolution there.
_HOW = (
    Interpolation.BILINEAR
    | Interpolation.BITEXACT
    | Interpolation.ACCURATE_RND
    | Interpolation.FULL_CHR_H_INT
    | Interpolation.FULL_CHR_H_INP
)


class _Scaler(threading.local):
    """What a thread keeps between frames: a scaler serves one thread, and setting one up costs more than using it."""

    def __init__(self) -> None:
        self.reformatter = VideoReformatter()
        self.source: av.VideoFrame | None = None


_scaler = _Scaler()


def scale_frame(frame: av.VideoFrame, height: int, width: int) -> NDArray[np.uint8]:
    """A decoded frame of any pixel format as uint8 RGB (height, width, 3).

    Where an axis has fewer than five pixels, swscale takes the nearest.
    """
    scaled = _scaler.reformatter.reformat(
        frame, width=width, height=height, format="rgb24", interpolation=_HOW, threads=1
    )
    return cast(NDArray[np.uint8], scaled.to_ndarray())


def scale_rgb(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The same for uint8 RGB (H, W, 3) with any strides."""
    # Not where it lies: the scaler reads beyond the end of a row, where an array need not have memory.
    frame = _scaler.source
    if frame is None or (frame.height, frame.width) != rgb.shape[:2]:
        frame = _scaler.source = av.VideoFrame(rgb.shape[1], rgb.shape[0], "rgb24")
    plane = frame.planes[0]
    pixels: NDArray[np.uint8] = np.ndarray(rgb.shape, np.uint8, memoryview(plane), strides=(plane.line_size, 3, 1))
    pixels[...] = rgb
    return scale_frame(frame, height, width)
