"""From a camera's description to what the loop watches."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from math import isfinite
from typing import Self

from movinet.events import what_is_promised
from movinet.live.cameras import Camera
from movinet.live.loop import Feed, Source
from movinet.runtime.engine import live_memory
from movinet.runtime.exported import precision_of
from movinet.runtime.motion_gate import MotionRule
from movinet.runtime.pool import StreamPool
from movinet.video.camera.changes import Change, SourceFigures
from movinet.video.camera.kept_packets import KeptPackets
from movinet.video.camera.live_source import LiveSource
from movinet.video.frame import Frame
from movinet.video.locations import Source as Origin
from movinet.video.net.sources import DEFAULT_LIMITS, Limits
from movinet.video.pacer import LivePacer


def feed_of(
    camera: Camera,
    origin: Origin,
    pool: StreamPool,
    limits: Limits = DEFAULT_LIMITS,
    packets: KeptPackets | None = None,
) -> Feed:
    """What the loop watches.

    Args:
        camera: with a name that no other has; what it leaves open is as `LiveSource` has it, and memory and thresholds
            as the network's weights do (`live_memory`, `detector_of`).
        origin: what is opened, as `Camera.source` has it with its login.
        pool: of its model, with a place for it.
        limits: what the source may make this process do.
        packets: where what it sends is kept, to be recorded.

    Raises:
        MovinetError: its thresholds make no sense, or are of labels there are not.
    """
    memory = _memory(camera, pool)

    def opened(pacer: LivePacer, on_change: Callable[[Change], None]) -> Source:
        live = LiveSource(
            origin,
            pacer,
            loop=bool(camera.loop),
            timeout=camera.timeout or 10.0,
            retries=camera.retries,
            max_lag=camera.max_lag or 1.0,
            transport=camera.transport or "tcp",
            limits=limits,
            hardware=camera.hardware or False,
            packets=packets,
            on_change=on_change,
        )
        if (crop := camera.crop) is None:
            return live
        return Passing(live, lambda frame: frame.cropped(crop))

    motion = motion_rule(memory) if camera.motion_gate else None
    return Feed(camera.shown, opened, pool, camera.detector(pool.info), memory, motion=motion)


def motion_rule(memory: float | None) -> MotionRule:
    """When the network is spared: after twice its memory without motion, when six sevenths of what it saw before are
    forgotten, and an answer that holds says nothing of what has gone. Of a network that never forgets, or within
    moments, after the usual time.

    Args:
        memory: of the stream, in seconds, as `Session` takes it.
    """
    usual = MotionRule()
    return usual if memory is None or not isfinite(memory) else replace(usual, hold=max(usual.hold, 2 * memory))


def promise_of(camera: Camera, pool: StreamPool) -> str | None:
    """What to know of a camera's thresholds (`what_is_promised`); nothing where it has its own."""
    if camera.has_own_thresholds:
        return None
    return what_is_promised(pool.info, _memory(camera, pool), precision_of(pool.network, pool.engine))


def _memory(camera: Camera, pool: StreamPool) -> float | None:
    return live_memory(pool.engine, pool.info, camera.memory)


class Passing:
    """A source whose frames pass something on their way, such as one that crops them.

    Args:
        whole: the source.
        through: from each frame to the one that is looked at.
    """

    def __init__(self, whole: Source, through: Callable[[Frame], Frame]) -> None:
        self._whole, self._through = whole, through

    def figures(self) -> SourceFigures:
        return self._whole.figures()

    def close(self) -> None:
        self._whole.close()

    def __enter__(self) -> Self:
        self._whole.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._whole.__exit__(None, None, None)

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._whole:
            yield self._through(frame)
