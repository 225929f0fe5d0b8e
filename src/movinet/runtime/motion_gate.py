"""Which frames of a live stream need no step: those of a scene in which nothing has moved for a while."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.runtime.images import Image

_CELL = 4  # pixels a side, of what the network sees: what moves is as small as a hand, and noise averages out


@dataclass(frozen=True)
class MotionRule:
    """When a scene counts as still.

    Args:
        least: by which the mean of some cell of 4×4 pixels, as the network sees them, must differ for something to have
            moved; in levels of 0 to 255.
        hold: seconds without motion in which the network goes on: its answer follows what has just happened.
    """

    least: float = 4.0
    hold: float = 4.0

    def __post_init__(self) -> None:
        if not 0 < self.least < 255:
            raise MovinetError(f"least is {self.least}; want levels, more than 0 and less than 255")
        if not 0 <= self.hold < float("inf"):
            raise MovinetError(f"hold is {self.hold}; want seconds, at least 0")


class MotionGate:
    """Says of a stream's frames, one after the other, whether the scene is still.

    A frame is compared with the last that the network was shown, so what creeps moves in the end.

    Args:
        rule: when a scene counts as still.
        scale: what levels 0 and 255 become in frames that come prepared.
    """

    def __init__(self, rule: MotionRule, scale: tuple[float, float] = (0.0, 1.0)) -> None:
        self.rule = rule
        self._levels = 255 / abs(scale[1] - scale[0])
        self._shown: NDArray[np.float32] | None = None  # cells of the last frame that the network was shown
        self._moved = 0.0  # when something moved last

    def is_still(self, image: Image, time: float) -> bool:
        """Whether a frame may be left out. To be asked once for each, in order; one that may not is shown.

        Args:
            image: (h, w, 3), prepared for the network.
            time: seconds, of the stream.
        """
        cells = _cells(image)
        if image.dtype != np.uint8:
            cells *= self._levels
        if self._shown is None or float(np.abs(cells - self._shown).max()) >= self.rule.least:
            self._moved = time
        elif time - self._moved >= self.rule.hold:
            return True
        self._shown = cells
        return False

    def restart(self) -> None:
        """The stream begins anew: its next frame is shown."""
        self._shown = None


def _cells(image: Image) -> NDArray[np.float32]:
    """Means over cells and colors; what is left over at the right and below belongs to none."""
    rows, columns = image.shape[0] // _CELL, image.shape[1] // _CELL
    whole = image[: rows * _CELL, : columns * _CELL]
    # In two passes over rows that lie together: a third of the time that one over three axes takes.
    lines = whole.reshape(rows, _CELL, -1).sum(axis=1, dtype=np.float32)
    sums = lines.reshape(rows, columns, _CELL * 3).sum(axis=2)
    return sums / np.float32(_CELL * _CELL * 3)
