"""What a camera of the rig shows: encoded pictures with their times, kept in a file.

The standard library alone, so that servers under another Python read it too.
"""

import json
import struct
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path

Codec = str  # h264, hevc or mjpeg


@dataclass(frozen=True)
class Unit:
    """One encoded picture, as the network carries it.

    Args:
        data: H.264 and HEVC with start codes (Annex B), parameter sets before every key frame; else a JPEG.
        key: Whether it needs no other.
        time: When it is shown, seconds from the first.
        number: What is burnt into the picture.
    """

    data: bytes
    key: bool
    time: float
    number: int


@dataclass(frozen=True)
class Footage:
    """Pictures that a camera shows over and over, in the order of decoding."""

    codec: Codec
    fps: int
    width: int
    height: int
    units: tuple[Unit, ...]

    @property
    def seconds(self) -> float:
        return len(self.units) / self.fps

    def at(self, index: int) -> Unit:
        """The unit of a camera that has shown `index` before; its time goes on from round to round."""
        rounds, place = divmod(index, len(self.units))
        unit = self.units[place]
        return replace(unit, time=unit.time + rounds * self.seconds)

    @cached_property
    def parameter_sets(self) -> list[bytes]:
        """VPS, SPS and PPS without start codes."""
        kinds = {"h264": {7, 8}, "hevc": {32, 33, 34}}.get(self.codec, set())
        return [nal for nal in nal_units(self.units[0].data) if nal_type(self.codec, nal) in kinds]

    def save(self, path: Path) -> Path:
        about = {key: value for key, value in asdict(replace(self, units=())).items() if key != "units"}
        index = [[len(unit.data), unit.key, unit.time, unit.number] for unit in self.units]
        head = json.dumps({**about, "units": index}).encode()
        path.write_bytes(struct.pack(">I", len(head)) + head + b"".join(unit.data for unit in self.units))
        return path

    @staticmethod
    def load(path: Path) -> "Footage":
        data = path.read_bytes()
        begin = 4 + struct.unpack_from(">I", data)[0]
        about = json.loads(data[4:begin])
        units = []
        for size, key, time, number in about.pop("units"):
            units.append(Unit(data[begin : begin + size], key, time, number))
            begin += size
        return Footage(**about, units=tuple(units))


def nal_units(data: bytes) -> list[bytes]:
    """What stands between start codes."""
    # The zeros are a longer start code's, or padding: no unit ends with one.
    return [piece.rstrip(b"\0") for piece in data.split(b"\0\0\1")[1:]]


def nal_type(codec: Codec, nal: bytes) -> int:
    return nal[0] & 31 if codec == "h264" else nal[0] >> 1 & 63
