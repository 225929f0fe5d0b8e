"""Pictures resized by FFmpeg's scaler, the same to the bit on every processor."""

import threading
from typing import cast

import av
import av.error
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter
from numpy.typing import NDArray

# Bilinear, which widens its filter as it shrinks, is what networks were trained on: `interpolate(antialias=True)` of
# PyTorch is a level apart on video frames, but for the outermost row and column. Of 279 real clips the bundled network
# says the same of all, with AREA and BICUBIC of all but one, and one percent of their pixels are 8 or more levels off.
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
    # Planes, since packed pixels take twice as long: swscale writes them without vector instructions.
    scaled = _scaler.reformatter.reformat(
        frame, width=width, height=height, format="gbrp", interpolation=_HOW, threads=1
    )
    return cast(NDArray[np.uint8], scaled.to_ndarray())


def scale_rgb(rgb: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The same for uint8 RGB (H, W, 3) with any strides.

    Raises:
        ValueError: A picture so large that FFmpeg refuses it, which it does from about 2**28 pixels.
    """
    backwards = rgb.strides[2] < 0  # OpenCV's BGR turned round, which the scaler reads as fast
    pixels, layout = (rgb[..., ::-1], "bgr24") if backwards else (rgb, "rgb24")
    try:
        # Not where it lies: the scaler reads beyond the end of a row, where an array need not have memory.
        frame = _scaler.source
        if frame is None or (frame.height, frame.width, frame.format.name) != (*rgb.shape[:2], layout):
            frame = _scaler.source = av.VideoFrame(rgb.shape[1], rgb.shape[0], layout)
        plane = frame.planes[0]
        space: NDArray[np.uint8] = np.ndarray(rgb.shape, np.uint8, memoryview(plane), strides=(plane.line_size, 3, 1))
        space[...] = pixels
        return scale_frame(frame, height, width)
    except av.error.FFmpegError as error:
        old, new = (f"{w}×{h}" for h, w in (rgb.shape[:2], (height, width)))
        raise ValueError(f"frames of {old} pixels cannot be resized to {new}: {error.strerror}") from None
