"""Writing frames as video files."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.codec.codec import UnknownCodecError
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream
from numpy.typing import NDArray

from movinet.errors import MovinetError, VideoError
from movinet.files import replacing


def encode_video(
    path: str | Path, frames: Iterable[NDArray[np.uint8]], fps: float, key_frame_every: int | None = None
) -> None:
    """Writes frames as H.264 (MPEG-4 part 2 where PyAV lacks libx264), BT.601, at a quality close to the original.

    The file appears whole or not at all; one that is there already is replaced.

    Args:
        path: the suffix chooses the container: .mp4, .mkv, .avi, .mov.
        frames: (H, W, 3) uint8 RGB each, all of one size, at least one; a (T, H, W, 3) array will do.
        fps: frames per second, 0.01 to 1000.
        key_frame_every: most frames from one that can be decoded alone to the next; by default what the encoder likes.

    Raises:
        MovinetError: for no frames, frames of another kind or of unequal size, or where the file cannot be written.
        VideoError: whatever `frames` raises of this kind.
    """
    path = Path(path)
    if not 0.01 <= fps <= 1000:
        raise MovinetError(f"{path}: the frame rate must be 0.01 to 1000 frames per second, not {fps}")
    try:
        with replacing(path) as part:
            _write(part, frames, Fraction(fps).limit_denominator(1001), key_frame_every)
    except VideoError:  # of the frames, which are read while they are written
        raise
    except (OSError, ValueError) as error:  # PyAV's errors are one or the other
        if isinstance(error, MovinetError):
            raise MovinetError(f"{path}: {error}") from None
        raise MovinetError(
            f"{path}: cannot be written as video: {getattr(error, 'strerror', None) or error}"
        ) from error


def _write(path: Path, frames: Iterable[NDArray[np.uint8]], rate: Fraction, key_frame_every: int | None) -> None:
    shape: tuple[int, ...] | None = None
    with av.open(path, "w") as container:
        for array in frames:
            if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
                raise MovinetError(f"frames must be (H, W, 3) uint8, not {array.shape} {array.dtype}")
            if shape is None:
                shape = array.shape
                stream = _add_stream(container, rate, shape[0], shape[1])
                if key_frame_every is not None:
                    stream.gop_size = key_frame_every
            if array.shape != shape:
                raise MovinetError(f"frames must be of one size, not {shape[:2]} and then {array.shape[:2]}")
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(array), format="rgb24")
            frame = frame.reformat(
                format=stream.pix_fmt, dst_colorspace=Colorspace.ITU601, dst_color_range=ColorRange.MPEG
            )
            container.mux(stream.encode(frame))
        if shape is None:
            raise MovinetError("there are no frames to write")
        container.mux(stream.encode())


def _add_stream(container: av.container.OutputContainer, rate: Fraction, height: int, width: int) -> VideoStream:
    try:
        # Without looking ahead x264 writes the same bytes for the same frames; with it, now and then it does not.
        options = {"crf": "18", "preset": "faster", "x264-params": "rc-lookahead=0:mbtree=0"}
        stream = container.add_stream("libx264", rate=rate, options=options)
    except UnknownCodecError:
        stream = container.add_stream("mpeg4", rate=rate, options={"qscale": "3"})
    stream.height, stream.width = height, width
    # Chroma at half resolution, which everything plays, needs even sides.
    stream.pix_fmt = "yuv420p" if height % 2 == width % 2 == 0 or stream.codec.name == "mpeg4" else "yuv444p"
    stream.codec_context.colorspace = Colorspace.ITU601
    stream.codec_context.color_range = ColorRange.MPEG
    stream.thread_count = 1  # clips are small and many: whoever writes them runs several processes
    return stream
