"""RTP: encoded pictures and sound in packets, and the description (SDP) that says what they hold."""

import base64
import struct
from collections.abc import Iterable
from functools import lru_cache

from camera_rig.footage import Footage, Unit, nal_type, nal_units

PICTURE_CLOCK = 90_000  # ticks a second
SOUND_CLOCK = 8_000
PICTURES, SOUND = 96, 0  # payload types; 0 is µ-law
_MOST = 1400  # bytes of a payload


@lru_cache(4096)
def payloads(codec: str, data: bytes) -> tuple[bytes, ...]:
    """A picture's payloads in order (RFC 6184, RFC 7798): small units joined (STAP-A, AP), big ones cut (FU-A, FU)."""
    found: list[bytes] = []
    small: list[bytes] = []
    for nal in nal_units(data):
        if small and (sum(2 + len(one) for one in small) + 2 + len(nal) > _MOST or len(nal) > _MOST):
            found.append(_joined(codec, small))
            small = []
        if len(nal) <= _MOST:
            small.append(nal)
        else:
            found += _cut(codec, nal)
    if small:
        found.append(_joined(codec, small))
    return tuple(found)


def _joined(codec: str, nals: list[bytes]) -> bytes:
    if len(nals) == 1:
        return nals[0]
    inner = b"".join(struct.pack(">H", len(nal)) + nal for nal in nals)
    if codec == "h264":
        return bytes([24 | max(nal[0] & 0x60 for nal in nals)]) + inner
    return bytes([48 << 1, 1]) + inner


def _cut(codec: str, nal: bytes) -> Iterable[bytes]:
    kind, header = nal_type(codec, nal), 1 if codec == "h264" else 2
    pieces = [nal[begin : begin + _MOST] for begin in range(header, len(nal), _MOST)]
    for n, piece in enumerate(pieces):
        place = (0x80 if n == 0 else 0) | (0x40 if n == len(pieces) - 1 else 0)
        if codec == "h264":
            yield bytes([nal[0] & 0x60 | 28, place | kind]) + piece
        else:
            yield bytes([49 << 1 | nal[0] & 0x81, nal[1], place | kind]) + piece


class Track:
    """One track's packets, numbered."""

    def __init__(self, kind: int, clock: int, source: int) -> None:
        self.kind, self.clock, self.source = kind, clock, source
        self.sent = self.bytes = 0

    def packets(self, contents: Iterable[bytes], seconds: float) -> list[bytes]:
        """The packets of what is shown or heard at a time; the last is marked."""
        contents = list(contents)
        stamp = self.stamp(seconds)
        made = []
        for n, content in enumerate(contents):
            mark = 0x80 if n == len(contents) - 1 and self.kind == PICTURES else 0
            head = struct.pack(">BBHII", 0x80, mark | self.kind, self.sent & 0xFFFF, stamp, self.source)
            made.append(head + content)
            self.sent += 1
            self.bytes += len(content)
        return made

    def stamp(self, seconds: float) -> int:
        return round((seconds + 1000) * self.clock) & 0xFFFFFFFF

    def report(self, seconds: float, wall: float) -> bytes:
        """A sender's report (RTCP): which time by the clock on the wall a stamp is."""
        ntp = round((wall + 2_208_988_800) * (1 << 32)) & 0xFFFFFFFFFFFFFFFF
        numbers = (self.source, ntp, self.stamp(seconds), self.sent & 0xFFFFFFFF, self.bytes & 0xFFFFFFFF)
        return struct.pack(">BBHIQIII", 0x80, 200, 6, *numbers)


def picture_payloads(footage: Footage, unit: Unit) -> tuple[bytes, ...]:
    return payloads(footage.codec, unit.data)


def description(footage: Footage, sound: bool) -> str:
    """The SDP of a camera."""
    sets = [base64.b64encode(nal).decode() for nal in footage.parameter_sets]
    if footage.codec == "h264":
        name, details = "H264", f"packetization-mode=1;sprop-parameter-sets={','.join(sets)}"
    else:
        name = "H265"
        details = ";".join(f"sprop-{n}={one}" for n, one in zip(("vps", "sps", "pps"), sets, strict=True))
    lines = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*"]
    lines += [f"m=video 0 RTP/AVP {PICTURES}", f"a=rtpmap:{PICTURES} {name}/{PICTURE_CLOCK}"]
    lines += [f"a=fmtp:{PICTURES} {details}", f"a=framerate:{footage.fps}", "a=control:pictures"]
    if sound:
        lines += [f"m=audio 0 RTP/AVP {SOUND}", f"a=rtpmap:{SOUND} PCMU/{SOUND_CLOCK}", "a=control:sound"]
    return "\r\n".join(lines) + "\r\n"
