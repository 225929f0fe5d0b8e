"""Pictures converted and resized by FFmpeg's scaler, the same to the bit on every processor."""

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar, cast

import av
import av.error
import numpy as np
from av.filter import Graph
from av.video.plane import VideoPlane
from av.video.reformatter import Colorspace, Interpolation, VideoReformatter
from numpy.typing import NDArray

from movinet.video.seen import Seen, cut_out

T = TypeVar("T")

_CACHE_LINE = 64  # bytes
_LARGE = 480  # rows of a picture that does not stay in a cache while others are decoded

# The scaler computes in YUV; full chroma keeps RGB's resolution there.
EXACT = (
    Interpolation.BITEXACT | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT | Interpolation.FULL_CHR_H_INP
)
# Bilinear, which widens its filter as it shrinks, is what networks were trained on: `interpolate(antialias=True)` of
# PyTorch is a level apart on video frames, but for the outermost row and column. benchmarks/scaling.py tells of others.
HOW = Interpolation.BILINEAR | EXACT


class Kept(threading.local, Generic[T]):
    """Tools a thread keeps between frames, the `most` used last, by what they are for: each serves one thread, and
    setting one up costs more than using it. Sources of the same size share them."""

    def __init__(self, most: int = 16) -> None:
        self._most = most
        self._tools: OrderedDict[object, T] = OrderedDict()

    def get(self, key: object, make: Callable[[], T]) -> T:
        """The tool for this, made if there is none."""
        if key not in self._tools:
            self._tools[key] = make()
            if len(self._tools) > self._most:
                self._tools.popitem(last=False)
        self._tools.move_to_end(key)
        return self._tools[key]


_scalers: Kept[VideoReformatter] = Kept()
_cutters: Kept[Graph] = Kept()
_spaces: Kept[av.VideoFrame] = Kept(2)  # of megabytes


def see_frame(
    frame: av.VideoFrame, rows: Seen, columns: Seen, colorspace: Colorspace | None = None
) -> NDArray[np.uint8]:
    """What is seen of a frame, as uint8 RGB (h, w, 3), in one pass of the scaler. Transparency is left out.

    Where an axis has fewer than five pixels, swscale takes the nearest.

    Args:
        frame: As decoded, of a format whose pixels are whole bytes, unless all of it is seen.
        rows, columns: Their sources begin where pixels do not share a color with the one before.
        colorspace: What the frame is in, where its tag does not say.
    """
    part = _part(frame, rows, columns)
    _fetch(part)
    # Planes, since packed pixels take twice as long: swscale writes them without vector instructions.
    scaled = _reformatted(part, rows.resized, columns.resized, "gbrp", colorspace)
    planes = [_pixels(scaled.planes[n], 1)[rows.crop, columns.crop, 0] for n in (2, 0, 1)]
    rgb = np.empty((*planes[0].shape, 3), np.uint8)
    for channel, plane in enumerate(planes):
        rgb[..., channel] = plane
    return rgb


def see_rgb(rgb: NDArray[np.uint8], rows: Seen, columns: Seen) -> NDArray[np.uint8]:
    """The same of uint8 RGB (H, W, 3) with any strides; a view of it where nothing is resized.

    Raises:
        ValueError: A picture so large that FFmpeg refuses it, which it does from about 2**28 pixels.
    """
    part = rgb[rows.source, columns.source]
    if part.shape[:2] == (rows.resized, columns.resized):
        return part[rows.crop, columns.crop]
    backwards = rgb.strides[2] < 0  # OpenCV's BGR turned round, which the scaler reads as fast
    pixels, layout = (part[..., ::-1], "bgr24") if backwards else (part, "rgb24")
    height, width = part.shape[:2]
    try:
        # Not where it lies: the scaler reads beyond the end of a row, where an array need not have memory.
        frame = _spaces.get((layout, height, width), lambda: av.VideoFrame(width, height, layout))
        _pixels(frame.planes[0], 3)[...] = pixels
        return see_frame(frame, cut_out(rows), cut_out(columns))
    except av.error.FFmpegError as error:
        new = f"{columns.resized}×{rows.resized}"
        raise ValueError(f"frames of {width}×{height} pixels cannot be resized to {new}: {error.strerror}") from None


def convert(frame: av.VideoFrame, layout: str, colorspace: Colorspace | None = None) -> NDArray[np.uint8]:
    """A frame in another format of 8-bit pixels, such as `rgba`, of its own size: (H, W, channels)."""
    return cast("NDArray[np.uint8]", _reformatted(frame, frame.height, frame.width, layout, colorspace).to_ndarray())


def _part(frame: av.VideoFrame, rows: Seen, columns: Seen) -> av.VideoFrame:
    """What is seen of a decoded frame, in the frame's own memory."""
    steps = []
    if (rows.source, columns.source) != (slice(0, frame.height), slice(0, frame.width)):
        (top, bottom), (left, right) = ((axis.source.start, axis.source.stop) for axis in (rows, columns))
        steps.append(("crop", f"w={right - left}:h={bottom - top}:x={left}:y={top}"))
    if frame.interlaced_frame and rows.resized != frame.height:
        steps.append(("setfield", "prog"))  # or the scaler makes two small pictures of the fields, and weaves them
    if not steps:
        return frame
    source = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base=1/1"

    def make() -> Graph:
        graph = Graph()
        graph.threads = 1
        filters = [graph.add(*step) for step in (("buffer", source), *steps, ("buffersink", None))]
        graph.link_nodes(*filters).configure()
        return graph

    graph = _cutters.get((source, *steps), make)
    graph.push(frame)
    return cast(av.VideoFrame, graph.pull())


def _fetch(frame: av.VideoFrame) -> None:
    """Bring a large picture into the cache, which decoding it has left: the scaler goes row by row and waits for each,
    while reads that need nothing of each other wait together. Of 720p it saves a quarter of the scaler's time."""
    if frame.height < _LARGE or not frame.format.name.startswith("yuv"):  # whose planes are simply rows
        return
    for plane in frame.planes:
        if plane.line_size > 0:  # not from the bottom up
            _pixels(plane, 1)[:, ::_CACHE_LINE].max()


def _reformatted(
    frame: av.VideoFrame, height: int, width: int, layout: str, colorspace: Colorspace | None
) -> av.VideoFrame:
    if frame.format.name.startswith("yaf32"):
        raise ValueError("FFmpeg's scaler ends the whole process over pixels in yaf32")  # 8.1, by an assertion
    told = frame.format.name, frame.colorspace, frame.color_range, colorspace
    scaler = _scalers.get((*told, frame.height, frame.width, height, width, layout), VideoReformatter)
    return scaler.reformat(
        frame, width=width, height=height, format=layout, src_colorspace=colorspace, interpolation=HOW, threads=1
    )


def _pixels(plane: VideoPlane, channels: int) -> NDArray[np.uint8]:
    """(height, width, channels) of a plane's own memory."""
    shape = plane.height, plane.width, channels
    return np.ndarray(shape, np.uint8, memoryview(plane), strides=(plane.line_size, channels, 1))
