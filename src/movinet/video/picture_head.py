"""The size a picture states of itself in its first bytes, which FFmpeg gives only of what it decodes."""

import struct

_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG's SOF0 … SOF15


def size_in_head(head: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels by the first bytes of a PNG or JPEG file; None where they do not say."""
    if head.startswith(b"\x89PNG\r\n\x1a\n") and len(head) >= 24:
        width, height = struct.unpack_from(">II", head, 16)
        return width, height
    if not head.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(head) and head[at] == 0xFF:
        if head[at + 1] in _FRAMES:
            height, width = struct.unpack_from(">HH", head, at + 5)
            return width, height
        at += 2 + struct.unpack_from(">H", head, at + 2)[0]
    return None


def size_in_vp8(frame: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels of a VP8 key frame (RFC 6386, 9.1); None of any other."""
    if len(frame) < 10 or frame[0] & 1 or frame[3:6] != b"\x9d\x01\x2a":
        return None
    width, height = struct.unpack_from("<HH", frame, 6)
    return width & 0x3FFF, height & 0x3FFF


def size_in_vp9(frame: bytes) -> tuple[int, int] | None:
    """(width, height) in pixels of a VP9 key frame (bitstream specification, 6.2); None of any other."""
    bits = _Bits(frame[:20])
    if bits.take(2) != 2:
        return None
    profile = bits.take(1) | bits.take(1) << 1
    if profile == 3:
        bits.take(1)
    if bits.take(2):  # shows one that was there before, or is no key frame
        return None
    bits.take(2)
    if bits.take(24) != 0x498342:
        return None
    if profile >= 2:
        bits.take(1)  # 10 or 12 bits
    is_rgb = bits.take(3) == 7
    if not is_rgb:
        bits.take(1)  # range
    if profile & 1:
        bits.take(1 if is_rgb else 3)  # subsampling
    width, height = bits.take(16) + 1, bits.take(16) + 1
    return (width, height) if bits.left >= 0 else None


class _Bits:
    """Reads bits, the highest of each byte first; zeros where there are no more."""

    def __init__(self, data: bytes) -> None:
        self._value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self.left -= count
        shifted = self._value >> self.left if self.left >= 0 else self._value << -self.left
        return shifted & ((1 << count) - 1)
