"""From a camera's description to what the loop watches."""

from collections.abc import Callable, Iterator
from difflib import get_close_matches
from typing import Self

from movinet.errors import MovinetError
from movinet.live.cameras import Camera
from movinet.live.loop import Feed, Source
from movinet.runtime.engine import clip_memory
from movinet.runtime.pool import StreamPool
from movinet.video.camera.changes import Change, SourceFigures
from movinet.video.camera.live_source import LiveSource
from movinet.video.crop import Crop
from movinet.video.frame import Frame
from movinet.video.locations import Source as Origin
from movinet.video.net.sources import DEFAULT_LIMITS, Limits
from movinet.video.pacer import LivePacer


def feed_of(camera: Camera, origin: Origin, pool: StreamPool, limits: Limits = DEFAULT_LIMITS) -> Feed:
    """What the loop watches.

    Args:
        camera: with a name that no other has; what it leaves open is as `LiveSource` and `EventDetector` have it.
            Without a memory it has that of the clips the network was made for, where that can forget.
        origin: what is opened, as `Camera.source` has it with its login.
        pool: of its model, with a place for it.
        limits: what the source may make this process do.

    Raises:
        MovinetError: its thresholds make no sense, or are of labels there are not.
    """
    info = pool.info
    if info.labels is not None:
        for label in camera.by_label:
            if label not in info.labels:
                near = get_close_matches(label, info.labels, n=1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise MovinetError(f"{camera.shown}: by_label: {info.name} has no label {label!r}{hint}")
    memory = clip_memory(pool.engine, info.spec) if camera.memory is None else camera.memory

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
            on_change=on_change,
        )
        return live if camera.crop is None else Cropped(live, camera.crop)

    return Feed(camera.shown, opened, pool, camera.detector(), memory or None)


class Cropped:
    """A source of which only a part of each picture is looked at."""

    def __init__(self, whole: Source, crop: Crop) -> None:
        self._whole, self._crop = whole, crop

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
            yield frame.cropped(self._crop)
