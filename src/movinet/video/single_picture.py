"""One picture as cameras and browsers send it: how large it says it is, before it is decoded, and what it shows."""

import struct
from collections.abc import Iterator
from fractions import Fraction
from typing import cast

import av

from movinet.errors import VideoError
from movinet.video.net.sources import Limits

_CODECS = {"jpeg": "mjpeg", "png": "png", "webp": "webp", "bmp": "bmp"}
_MOST_SCANS = 32  # of a JPEG; progressive ones have ten, and each costs a pass over the whole picture
_PADDING = 64  # pixels by which decoders' pictures are larger, at most
_ALONE = {0x01, *range(0xD0, 0xDA)}  # JPEG's markers that nothing follows


def picture_kind(data: bytes) -> str | None:
    """jpeg, png, webp or bmp, by the first bytes; None for anything else."""
    if data.startswith(b"\xff\xd8"):
        return "jpeg"
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "webp"
    return "bmp" if data.startswith(b"BM") else None


def stated_size(data: bytes) -> tuple[int, int]:
    """Width and height that a JPEG, PNG, WebP or BMP says it has, of its first bytes alone.

    Raises:
        ValueError: it is none of these, cut short, says two sizes, or has more parts than pictures have.
    """
    try:
        match picture_kind(data):
            case "jpeg":
                return _jpeg_size(data)
            case "png":
                width, height = struct.unpack_from(">II", data, 16)
            case "webp":
                return _webp_size(data)
            case "bmp":
                width, height = struct.unpack_from("<ii", data, 18)  # a height below 0: from the top down
                if width < 0:
                    raise ValueError(f"a BMP that is {width} wide")
            case _:
                raise ValueError("no picture (JPEG, PNG, WebP or BMP)")
    except struct.error:
        raise ValueError("a picture that is cut short") from None
    return int(width), abs(int(height))


def decode_picture(data: bytes, name: str, limits: Limits) -> av.VideoFrame:
    """What a picture shows.

    Args:
        data: of a JPEG, PNG, WebP or BMP.
        name: of where it comes from, for messages.
        limits: how large it may say it is, and be.

    Raises:
        VideoError: it is none, too large, or cannot be decoded.
    """
    try:
        width, height = stated_size(data)
    except ValueError as error:
        raise VideoError(f"{name}: gives {error}") from None
    if width < 1 or height < 1 or width * height > limits.max_pixels:
        raise VideoError(f"{name}: gives a picture of {width}x{height}, more than {limits.max_pixels} pixels: refused")
    try:
        decoder = cast(av.VideoCodecContext, av.CodecContext.create(_CODECS[str(picture_kind(data))], "r"))
        decoder.thread_count = 1
        # What it says counts, and FFmpeg counts with padding.
        decoder.options = {"max_pixels": str((width + _PADDING) * (height + _PADDING))}
        packet = av.Packet(data)
        packet.time_base = Fraction(1, 1000)
        frames = [*decoder.decode(packet), *decoder.decode(None)]
    except Exception as error:  # FFmpeg's, or PyAV's of what it does not know
        raise VideoError(f"{name}: gives a picture that cannot be decoded: {type(error).__name__}") from None
    if not frames or (frames[0].width, frames[0].height) != (width, height):
        raise VideoError(f"{name}: gives a picture that cannot be decoded")
    return frames[0]


def _jpeg_size(data: bytes) -> tuple[int, int]:
    size: tuple[int, int] | None = None
    scans = 0
    for marker, at in _jpeg_markers(data):
        if 0xC0 <= marker <= 0xCF and marker not in (0xC4, 0xC8, 0xCC):  # the start of a frame, of whichever kind
            height, width = struct.unpack_from(">HH", data, at + 5)
            if size is not None:
                raise ValueError("a JPEG that says its size twice")
            size = width, height
        elif marker == 0xDA:
            scans += 1
            if scans > _MOST_SCANS:
                raise ValueError(f"a JPEG of more than {_MOST_SCANS} scans")
    if size is None:
        raise ValueError("a JPEG that does not say its size")
    return size


def _jpeg_markers(data: bytes) -> Iterator[tuple[int, int]]:
    """Each marker, and where it is; between scans, too."""
    at = 2
    while (at := data.find(b"\xff", at)) >= 0 and at + 1 < len(data):
        marker = data[at + 1]
        if marker in (0x00, 0xFF):  # a byte of the picture, or filling
            at += 1 + (marker == 0x00)
            continue
        yield marker, at
        if marker == 0xD9:  # what follows its end is no part of it
            return
        at += 2
        if marker not in _ALONE and marker != 0xDA:
            if at + 2 > len(data):
                return
            at += max(2, int.from_bytes(data[at : at + 2], "big"))


def _webp_size(data: bytes) -> tuple[int, int]:
    chunk = data[12:16]
    if chunk == b"VP8 ":
        if data[23:26] != b"\x9d\x01\x2a":
            raise ValueError("a WebP that does not say its size")
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    if chunk == b"VP8L":
        if data[20:21] != b"\x2f":
            raise ValueError("a WebP that does not say its size")
        (bits,) = struct.unpack_from("<I", data, 21)
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if chunk == b"VP8X":
        flags, wide, high = data[20:21], data[24:27], data[27:30]
        if len(high) < 3:
            raise ValueError("a picture that is cut short")
        if flags[0] & 0x02:
            raise ValueError("a WebP that moves, which is no picture")
        return int.from_bytes(wide, "little") + 1, int.from_bytes(high, "little") + 1
    raise ValueError("a WebP that does not say its size")
