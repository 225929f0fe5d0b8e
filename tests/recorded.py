"""Clips that a test looks at, and what was recorded in them."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
from camera_rig.filming import counter
from camera_rig.footage import Footage

from movinet.live.report import Begun, Ended, Figures, Over, Report
from movinet.video.camera.changes import SourceFigures
from movinet.video.camera.kept_packets import KeptPackets

FPS = 15


def report(what: Begun | Ended | Over) -> Report:
    return Report("door", time.time(), what, Figures(SourceFigures(), 5.0, 1.0))


def wait(until: Callable[[], float | None], seconds: float = 30.0) -> float:
    limit = time.monotonic() + seconds
    while time.monotonic() < limit:
        found = until()
        if found is not None:
            return found
        time.sleep(0.02)
    raise AssertionError("it did not come about")


def pictures(clip: Path) -> list[int | None]:
    with av.open(clip) as container:
        return [counter(frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def described(clip: Path) -> dict[str, object]:
    return json.loads(clip.with_suffix(".json").read_bytes())


def packets_of(footage: Footage, path: Path) -> Iterator[tuple["av.VideoStream", "av.Packet[av.VideoStream]"]]:
    """Of a connection that shows it once."""
    path.write_bytes(b"".join(unit.data for unit in footage.units))
    with av.open(str(path), format=footage.codec) as container:
        stream = container.streams.video[0]
        yield from ((stream, packet) for packet in container.demux(stream) if packet.size)


def play(packets: KeptPackets, footage: Footage, raw: Path) -> None:
    """All of it has come."""
    for n, (stream, packet) in enumerate(packets_of(footage, raw)):
        packets.add(stream, packet, n / FPS)
