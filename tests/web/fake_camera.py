"""Files that Chromium plays in the place of a camera."""

from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray


def write_y4m(path: Path, frames: NDArray[np.uint8], fps: int) -> None:
    """Frames (T, H, W, 3) RGB, H and W even, as raw 4:2:0; the file's rate is the camera's."""
    height, width = frames.shape[1:3]
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F{fps}:1 Ip A1:1 C420\n".encode())
        for frame in frames:
            planes = av.VideoFrame.from_ndarray(frame, format="rgb24").reformat(format="yuv420p").to_ndarray()
            file.write(b"FRAME\n" + planes.tobytes())
