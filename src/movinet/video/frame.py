"""One frame of a video, converted when somebody looks at it."""

import threading
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from movinet.video.crop import Crop
from movinet.video.transform import Transform

if TYPE_CHECKING:
    import av

    from movinet.video.pixels import ToRGB


class Frame:
    """One frame as a player would show it, made by `Frame.of_rgb`, by the readers of this package and by live sources.

    Nothing is converted before it is asked for, by whichever thread asks, and then once. Frames that repeat share
    their pixels: copy before writing into them. A frame of a video keeps the decoded picture as long as it lives.

    Attributes:
        time: Seconds since the first frame of the video; for live sources, since the first frame received.
    """

    __slots__ = ("_picture", "time")

    def __init__(self, time: float, picture: "Picture") -> None:
        self.time, self._picture = time, picture

    @classmethod
    def of_rgb(cls, rgb: NDArray[np.uint8], time: float) -> Self:
        """A frame of pixels.

        Args:
            rgb: (H, W, 3) uint8, which is kept, not copied.
            time: Seconds.
        """
        return cls(time, Picture(rgb=rgb))

    @classmethod
    def of_decoded(cls, decoded: "av.VideoFrame", time: float, to_rgb: "ToRGB") -> Self:
        """A frame as a decoder gave it.

        Args:
            decoded: Nobody may change it any more.
            time: Seconds.
            to_rgb: How this video's frames are converted.
        """
        return cls(time, Picture(decoded, to_rgb))

    def at(self, time: float) -> Self:
        """The same pixels at another time, in seconds."""
        return type(self)(time, self._picture)

    def cropped(self, crop: Crop) -> Self:
        """A part of the picture, cut out when somebody looks at it: VideoError where it has no such part."""
        return type(self)(self.time, Part(self._picture, crop))

    def kept(self, transform: Transform) -> Self:
        """The same frame with nothing but what a network sees: it holds on to no picture, so that many may wait.

        Raises:
            VideoError, ValueError: As `levels`. Whoever asks the new frame for other pixels gets a ValueError.
        """
        return type(self)(self.time, Kept(transform, self.levels(transform)))

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(H, W, 3) uint8. The size may change within a video.

        Raises:
            VideoError: The video's pixels are in a format that cannot be converted.
        """
        return self._picture.rgb()

    def levels(self, transform: Transform) -> NDArray[np.uint8]:
        """What a network sees, before it is scaled: (h, w, 3) uint8 of the transform's size.

        Raises:
            VideoError: As `rgb`.
            ValueError: It was made of an array that is not uint8 (H, W, 3), or is too large to be resized.
        """
        return self._picture.levels(transform)


class Picture:
    """What a frame shows, and what was made of it."""

    def __init__(
        self,
        decoded: "av.VideoFrame | None" = None,
        to_rgb: "ToRGB | None" = None,
        rgb: NDArray[np.uint8] | None = None,
    ) -> None:
        self._decoded, self._to_rgb, self._rgb = decoded, to_rgb, rgb
        self._levels: tuple[Transform, NDArray[np.uint8]] | None = None
        # PyAV changes the color tags of a frame while it converts it: never in two threads at once.
        self._converting = threading.Lock()

    def rgb(self) -> NDArray[np.uint8]:
        with self._converting:
            return self._full_size()

    def levels(self, transform: Transform) -> NDArray[np.uint8]:
        with self._converting:
            if self._levels is None or self._levels[0] != transform:
                self._levels = (transform, self._small(transform))
            return self._levels[1]

    def _small(self, transform: Transform) -> NDArray[np.uint8]:
        if self._decoded is not None and self._to_rgb is not None:
            return self._to_rgb.levels(self._decoded, transform)
        levels = transform.levels(self._full_size())
        if len(levels) != 1:
            raise ValueError(f"a frame is one picture, not {len(levels)}")
        return levels[0]

    def part(self, transform: Transform, crop: Crop) -> NDArray[np.uint8]:
        """What a network sees of a part: VideoError where there is no such part."""
        with self._converting:
            if self._decoded is not None and self._to_rgb is not None:
                return self._to_rgb.levels(self._decoded, transform, crop)
            return transform.levels(crop(self._full_size()))[0]

    def _full_size(self) -> NDArray[np.uint8]:
        if self._rgb is None:
            assert self._decoded is not None
            assert self._to_rgb is not None
            self._rgb = self._to_rgb(self._decoded)
        return self._rgb


class Part(Picture):
    """A part of a picture."""

    def __init__(self, whole: Picture, crop: Crop) -> None:
        super().__init__()
        self._whole, self._crop = whole, crop

    def _small(self, transform: Transform) -> NDArray[np.uint8]:
        return self._whole.part(transform, self._crop)

    def _full_size(self) -> NDArray[np.uint8]:
        if self._rgb is None:
            self._rgb = self._crop(self._whole.rgb())
        return self._rgb


class Kept(Picture):
    """What one network sees of a picture that is gone."""

    def __init__(self, transform: Transform, levels: NDArray[np.uint8]) -> None:
        super().__init__()
        self._levels = transform, levels

    def _full_size(self) -> NDArray[np.uint8]:
        raise ValueError("of this frame only what another network sees was kept")
