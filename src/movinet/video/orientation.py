"""How a frame is turned and mirrored before it is shown."""

import math
import struct
from fractions import Fraction
from typing import cast

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideData, Type
from numpy.typing import NDArray

Matrix = tuple[int, int, int, int]
"""(a, b, c, d) of the map from stored to shown coordinates, x' = a·x + c·y and y' = b·x + d·y, up to scale."""

_IDENTITY: Matrix = (1, 0, 0, 1)
_KINDS = 128  # of side data; FFmpeg 8 has 34


class Matrices:
    """Reads the display matrix of frames, whatever else they carry.

    PyAV refuses to list what a frame carries when one thing among it is newer than its table (EXIF, the views of
    spatial video). Such frames first go through a filter that drops all that PyAV does not know.
    """

    def __init__(self) -> None:
        self._known: Graph | None = None
        self._for: tuple[int, int, str] | None = None

    def of(self, frame: av.VideoFrame) -> Matrix:
        """The frame's matrix; that of a frame shown as it is stored, where it has none or one of zeros."""
        try:
            data = frame.side_data.get("DISPLAYMATRIX")
        except Exception:
            data = self._among_known(frame)
        stored = b"" if data is None else bytes(cast(SideData, data))
        if len(stored) < struct.calcsize("=9i"):
            return _IDENTITY
        a, b, _, c, d = struct.unpack_from("=5i", stored)
        return (a, b, c, d) if a or b or c or d else _IDENTITY

    def _among_known(self, frame: av.VideoFrame) -> object | None:
        kind = (frame.width, frame.height, frame.format.name)
        try:
            if self._known is None or self._for != kind:
                self._known, self._for = _only_known(*kind), kind
            self._known.push(frame)
            return self._known.pull().side_data.get("DISPLAYMATRIX")
        except Exception:  # then nothing is known of how it is shown, and it is still a picture
            self._known = None
            return None


def rotation(matrix: Matrix) -> int:
    """Degrees counter-clockwise by which a frame is turned, -180 to 180."""
    a, b, c, d = matrix
    across, down = math.hypot(a, c), math.hypot(b, d)
    return round(-math.degrees(math.atan2(b / down, a / across))) if across and down else 0


def oriented(image: NDArray[np.uint8], matrix: Matrix) -> NDArray[np.uint8]:
    """Turned to the nearest right angle, mirrored where the matrix mirrors; a view of `image`, (H, W, C)."""
    a, b, c, d = matrix
    if is_turned(matrix):
        image = image.transpose(1, 0, 2)
        flip_x, flip_y = c < 0, b < 0
    else:
        flip_x, flip_y = a < 0, d < 0
    return image[:: -1 if flip_y else 1, :: -1 if flip_x else 1]


def is_turned(matrix: Matrix) -> bool:
    """Whether what is stored as width is shown as height."""
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def _only_known(width: int, height: int, pixels: str) -> Graph:
    """A graph through which frames pass, but no side data of kinds that PyAV does not know."""
    graph = Graph()
    graph.threads = 1
    known = {cast(int, kind.value) for kind in Type}
    chain = [graph.add("buffer", f"video_size={width}x{height}:pix_fmt={pixels}:time_base={Fraction(1)}")]
    chain += [graph.add("sidedata", f"mode=delete:type={kind}") for kind in range(_KINDS) if kind not in known]
    chain.append(graph.add("buffersink"))
    graph.link_nodes(*chain).configure()
    return graph
