"""Making footage: pictures with a counter burnt in, encoded once and served many times."""

import itertools
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from camera_rig.footage import Codec, Footage, Unit
from numpy.typing import NDArray

BITS = 12
_CHECK = (1, 0, 1)  # after the number: what is no counter is not taken for one
_ENCODERS = {"h264": "libx264", "hevc": "libx265", "mjpeg": "mjpeg", "vp8": "libvpx", "vp9": "libvpx-vp9"}


def burn(picture: NDArray[np.uint8], number: int) -> NDArray[np.uint8]:
    """Write a number (below 4096) into the upper left corner: squares of black and white, a 24th of the height each."""
    side = max(8, picture.shape[0] // 24)
    for place, bit in enumerate([*(number >> n & 1 for n in range(BITS)), *_CHECK]):
        picture[:side, place * side : (place + 1) * side] = 255 * bit
    return picture


def counter(rgb: NDArray[np.uint8]) -> int | None:
    """The number of a picture of its own size, None where it has none that can be read."""
    side = max(8, rgb.shape[0] // 24)
    middles = rgb[side // 2, side // 2 : side * (BITS + len(_CHECK)) : side].mean(axis=1)
    bits = [int(level > 127) for level in middles]
    if tuple(bits[BITS:]) != _CHECK:
        return None
    return sum(bit << place for place, bit in enumerate(bits[:BITS]))


def moving_square(width: int, height: int) -> Iterator[NDArray[np.uint8]]:
    """A square that goes around on a gradient, without end."""
    rows, columns = np.mgrid[:height, :width]
    still = np.stack([rows * 255 // height, columns * 255 // width, (rows + columns) % 256], axis=2).astype(np.uint8)
    side = height // 4
    for n in itertools.count():
        picture = still.copy()
        top = round((height - side) * (0.5 + 0.5 * np.sin(n / 9)))
        left = round((width - side) * (0.5 + 0.5 * np.cos(n / 9)))
        picture[top : top + side, left : left + side] = (250, 220, 30)
        yield picture


def film(
    codec: Codec = "h264",
    *,
    seconds: float = 4.0,
    fps: int = 15,
    size: tuple[int, int] = (320, 240),
    key_every: float = 1.0,
    b_frames: int = 0,
    kilobits: int = 600,
    first: int = 0,
    preset: str = "ultrafast",
    pictures: Callable[[int, int], Iterator[NDArray[np.uint8]]] = moving_square,
) -> Footage:
    """Encode footage.

    Args:
        codec: h264, hevc, mjpeg, vp8 or vp9.
        seconds: How long it is before it begins again; with `fps` at most 4096 pictures.
        fps: Pictures a second.
        size: Width and height.
        key_every: Seconds between key frames.
        b_frames: Between others; pictures then come out of order.
        kilobits: A second.
        first: Number of the first picture: cameras with pictures of their own can be told apart.
        preset: Of H.264's encoder; a slower one makes pictures that take longer to decode, as cameras' do.
        pictures: What is seen, of a width and height.
    """
    width, height = size
    encoder = av.CodecContext.create(_ENCODERS[codec], "w")
    encoder.width, encoder.height = width, height
    encoder.time_base, encoder.framerate = Fraction(1, fps), Fraction(fps)
    encoder.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    encoder.thread_count = 1
    encoder.options = _options(codec, max(1, round(key_every * fps)), b_frames, preset)
    if codec == "mjpeg":
        encoder.qmin = encoder.qmax = 5
    else:
        encoder.bit_rate = 1000 * kilobits
    packets = []
    for number, picture in enumerate(itertools.islice(pictures(width, height), round(seconds * fps))):
        frame = av.VideoFrame.from_ndarray(burn(np.array(picture), first + number), format="rgb24")
        frame.pts, frame.time_base = number, encoder.time_base
        packets += encoder.encode(frame)
    packets += encoder.encode(None)
    units = tuple(Unit(bytes(p), codec == "mjpeg" or p.is_keyframe, p.pts / fps, first + p.pts) for p in packets)
    return Footage(codec, fps, width, height, units)


def _options(codec: Codec, interval: int, b_frames: int, preset: str) -> dict[str, str]:
    if codec == "mjpeg":
        return {}
    if codec in ("vp8", "vp9"):
        keys = {"g": str(interval), "keyint_min": str(interval)}
        return {**keys, "deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0"}
    plain = {"preset": preset if codec == "h264" else "ultrafast", "forced-idr": "1"}
    if codec == "h264":
        tune = {} if b_frames else {"tune": "zerolatency"}
        x264 = f"keyint={interval}:min-keyint={interval}:scenecut=0:bframes={b_frames}:b-adapt=0:sliced-threads=0"
        return {**plain, **tune, "x264-params": x264}
    x265 = f"keyint={interval}:min-keyint={interval}:scenecut=0:bframes={b_frames}:repeat-headers=1:open-gop=0"
    return {**plain, "x265-params": f"{x265}:pools=none:frame-threads=1:log-level=none"}


def filmed(path: Path, **arguments: object) -> Path:
    """The file of some footage; made where there is none."""
    if not path.exists():
        part = path.with_suffix(".part")
        film(**arguments).save(part).rename(path)  # type: ignore[arg-type]
    return path
