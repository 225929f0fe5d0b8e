"""How a frame is turned and mirrored before it is shown."""

import math
import struct
from typing import NamedTuple, cast

import av
import av.error
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideData
from numpy.typing import NDArray

Matrix = tuple[int, int, int, int]
"""(a, b, c, d) of the map from stored to shown coordinates, x' = a·x + c·y and y' = b·x + d·y, up to scale."""

_IDENTITY: Matrix = (1, 0, 0, 1)
_MATRIX = 6  # AV_FRAME_DATA_DISPLAYMATRIX
_KINDS = 64  # of side data; FFmpeg 8 has 34


class Matrices:
    """Reads the display matrix of frames, whatever else they carry.

    PyAV must not be asked what a frame carries: it refuses to answer when one thing among it is newer than its table
    (EXIF, the views of spatial video), and frees the names of color profiles twice, which ends the process some time
    later. So frames first go through filters of FFmpeg, which let only those with a matrix pass, and nothing but it.
    """

    def __init__(self) -> None:
        self._for: tuple[int, int, str] | None = None
        self._with_matrix: Graph | None = None
        self._only_matrix: Graph | None = None

    def of(self, frame: av.VideoFrame) -> Matrix:
        """The frame's matrix; that of a frame shown as it is stored, where it has none or one of zeros."""
        stored = self._stored(frame)
        if len(stored) < struct.calcsize("=9i"):
            return _IDENTITY
        a, b, _, c, d = struct.unpack_from("=5i", stored)
        return (a, b, c, d) if a or b or c or d else _IDENTITY

    def _stored(self, frame: av.VideoFrame) -> bytes:
        kind = (frame.width, frame.height, frame.format.name)
        try:
            if self._with_matrix is None or self._for != kind:
                self._for, self._only_matrix = kind, None
                self._with_matrix = _graph(kind, [f"mode=select:type={_MATRIX}"])
            self._with_matrix.push(frame)
            passed = self._with_matrix.pull()
            if self._only_matrix is None:  # takes milliseconds, and most videos need none
                self._only_matrix = _graph(kind, [f"mode=delete:type={n}" for n in range(_KINDS) if n != _MATRIX])
            self._only_matrix.push(passed)
            return bytes(cast(SideData, self._only_matrix.pull().side_data.get("DISPLAYMATRIX")))
        except av.error.BlockingIOError:  # none passed
            return b""
        except Exception:  # then nothing is known of how it is shown, and it is still a picture
            self._with_matrix = None
            return b""


def rotation(matrix: Matrix) -> int:
    """Degrees counter-clockwise by which a frame is turned, -180 to 180."""
    a, b, c, d = matrix
    across, down = math.hypot(a, c), math.hypot(b, d)
    return round(-math.degrees(math.atan2(b / down, a / across))) if across and down else 0


class Turn(NamedTuple):
    """What is done to a stored picture before it is shown: rows and columns change places, then axes are reversed."""

    transposed: bool
    flipped: tuple[bool, bool]  # rows, columns


def turn(matrix: Matrix) -> Turn:
    """The nearest right angle, mirrored where the matrix mirrors."""
    a, b, c, d = matrix
    return Turn(True, (b < 0, c < 0)) if is_turned(matrix) else Turn(False, (d < 0, a < 0))


def oriented(image: NDArray[np.uint8], turned: Turn) -> NDArray[np.uint8]:
    """The stored (H, W, C) as shown: a view."""
    if turned.transposed:
        image = image.transpose(1, 0, 2)
    rows, columns = (-1 if flipped else 1 for flipped in turned.flipped)
    return image[::rows, ::columns]


def is_turned(matrix: Matrix) -> bool:
    """Whether what is stored as width is shown as height."""
    a, b, c, d = matrix
    return abs(b) + abs(c) > abs(a) + abs(d)


def _graph(kind: tuple[int, int, str], side_data: list[str]) -> Graph:
    """FFmpeg's `sidedata` filter, once with each of some arguments, for frames of one width, height and format."""
    width, height, pixels = kind
    graph = Graph()
    graph.threads = 1
    begin = graph.add("buffer", f"video_size={width}x{height}:pix_fmt={pixels}:time_base=1/1")
    graph.link_nodes(begin, *(graph.add("sidedata", arguments) for arguments in side_data), graph.add("buffersink"))
    graph.configure()
    return graph
