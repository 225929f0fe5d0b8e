"""The server-side sources: added, changed and removed while it runs, kept over a restart, each told of as it goes."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from movinet.dataclass_io import to_plain
from movinet.errors import MovinetError
from movinet.live.cameras import Camera
from movinet.live.feeds import Passing, feed_of
from movinet.live.json_lines import as_json, iso
from movinet.live.loop import Follower, Source
from movinet.live.recording import Recorder
from movinet.live.report import Begun, Changed, Over, Report, Seen
from movinet.runtime.engine import live_memory
from movinet.serve.clip_store import open_storage
from movinet.serve.pools import Pools
from movinet.serve.private_file import write_private
from movinet.serve.protocol import told_memory
from movinet.serve.settings import Settings
from movinet.serve.source_rules import limits_of, origin_of, shown_address, source_from
from movinet.serve.tile import Tile
from movinet.video.camera.changes import Change
from movinet.video.camera.kept_packets import KeptPackets
from movinet.video.net.credentials import read_secret_yaml
from movinet.video.pacer import LivePacer

logger = logging.getLogger(__name__)

_LEAVE_WITHIN = 2.0  # seconds
_STATES = {"lost": "lost", "found": "running", "lagging": "lagging", "caught_up": "running"}


class Taken(MovinetError):
    """There is a source of that name."""


class Missing(MovinetError):
    """There is no source of that name."""


class Full(MovinetError):
    """There is no room for another source."""


@dataclass
class _Watched:
    """A source on the wall. What is told of it comes from its follower's thread."""

    camera: Camera
    memory: float | None
    tell: Callable[[Report], None]
    tile: Tile = field(default_factory=Tile)
    recorder: Recorder | None = None
    follower: Follower | None = None
    last: Report | None = None
    seen: Report | None = None
    state: str = "opening"
    why: str | None = None
    since: float = field(default_factory=time.time)
    removed: bool = False

    def put(self, item: Report, block: bool = True, timeout: float | None = None) -> None:
        """A report of its follower's."""
        if self.removed:
            return
        self.last, before = item, self.state
        match item.what:
            case Seen():
                self.seen = item
                if self.state in ("opening", "lost"):
                    self.state, self.why = "running", None
            case Changed(change):
                self.state = _STATES[change.kind]
                self.why = change.why if self.state in ("lost", "lagging") else None
                if self.state == "lost":
                    self.seen = None
                    self.tile.keep(None)
            case Over(error):
                self.state, self.why = ("ended", None) if error is None else ("given up", str(error))
                self.seen = None
        if self.state != before:
            self.since = time.time()
        if self.recorder is not None:
            self.recorder.tell(item)
        self.tell(item)

    def described(self) -> dict[str, Any]:
        """For clients; without passwords."""
        camera, seen, last = self.camera, self.seen, self.last
        line = None if last is None else as_json(last)
        running = seen.what.running if seen is not None and isinstance(seen.what, Seen) else ()
        return {
            "name": camera.name,
            "address": shown_address(camera),
            "model": camera.model,
            "memory": told_memory(self.memory),
            "state": self.state,
            "why": self.why,
            "since": iso(self.since),
            "time": None if seen is None or seen.time is None else round(seen.time, 3),
            "top": as_json(seen)["top"] if seen is not None else [],
            "running": [
                {"label": event.label, "start": round(event.start, 3), "confidence": round(event.confidence, 6)}
                for event in running
            ],
            "figures": None if line is None else line["figures"],
        }


class Wall:
    """All sources. Any thread may call anything; calls that change something wait for each other.

    Args:
        settings: what is allowed.
        pools: what recognizes.
        path: where sources are kept.
        listeners: are told every report, by the sources' threads; none may wait.
        on_change: is told of names that have come and gone.
    """

    def __init__(
        self,
        settings: Settings,
        pools: Pools,
        path: Path,
        listeners: Sequence[Callable[[Report], None]] = (),
        on_change: Callable[[str, bool], None] = lambda name, there: None,
    ) -> None:
        self._settings, self._pools, self._path = settings, pools, path
        self._listeners, self._on_change = listeners, on_change
        self._watched: dict[str, _Watched] = {}
        self._changing = threading.Lock()
        self._closed = False
        self._recording = None if settings.clips is None else settings.clips.recording()
        self._storage = None if settings.clips is None else open_storage(settings.clips)
        self.begun = 0
        """Events that have begun."""

    def open(self) -> None:
        """Go on with the sources that were kept. One that may not be any more is told of, and stays in the file.

        Raises:
            MovinetError: the file cannot be read.
        """
        for number, entry in enumerate(read_sources(self._path)):
            try:
                self.add(entry, keep=False)
            except MovinetError as error:
                logger.warning("%s: cameras[%d] is left out: %s", self._path, number, error)

    def add(self, entry: Any, *, keep: bool = True) -> dict[str, Any]:
        """A new source, from an entry as of a list of cameras.

        Raises:
            MovinetError: it may not be, or there is no room for it.
        """
        camera = self._checked(entry)
        assert camera.name is not None
        with self._changing:
            if camera.name in self._watched:
                raise Taken(f"there is a source called {camera.name!r}; PUT changes it")
            if len(self._watched) >= self._settings.bounds.sources:
                raise Full(f"there are {len(self._watched)} sources, and that is all there may be")
            watched = self._start(camera)
            if keep:
                try:
                    self._write()
                except MovinetError:
                    self._stop(camera.name)
                    raise
        self._on_change(camera.name, True)
        return watched.described()

    def replace(self, name: str, make: Callable[[Camera], Any]) -> dict[str, Any]:
        """Another source in the place of one.

        Args:
            name: of the source.
            make: the entry, from the source there is.

        Raises:
            MovinetError: there is none, or it may not be.
        """
        with self._changing:
            before = self._find(name).camera
            camera = self._checked(make(before))
            if camera.name != name:
                raise MovinetError(f"source.name: want {name!r}, as the address says; add and remove to rename")
            self._stop(name)
            watched = self._start(camera)
            self._write()
        self._on_change(name, True)
        return watched.described()

    def remove(self, name: str) -> None:
        """Stop watching a source, and forget it.

        Raises:
            MovinetError: there is none.
        """
        with self._changing:
            self._find(name)
            self._stop(name)
            self._write()
        self._on_change(name, False)

    def described(self) -> list[dict[str, Any]]:
        """All, by name."""
        return [watched.described() for _, watched in sorted(self._watched.copy().items())]

    def one(self, name: str) -> dict[str, Any]:
        """A source.

        Raises:
            MovinetError: there is none.
        """
        return self._find(name).described()

    def tile(self, name: str) -> Tile:
        """Its newest picture.

        Raises:
            MovinetError: there is no such source.
        """
        return self._find(name).tile

    def close(self) -> None:
        """End all sources, and have what runs told as ended; within seconds."""
        with self._changing:
            self._closed = True
            followers = [watched.follower for watched in self._watched.values() if watched.follower]
            for follower in followers:
                follower.end()
            until = time.monotonic() + _LEAVE_WITHIN
            for follower in followers:
                follower.join(max(0.0, until - time.monotonic()))
            for watched in self._watched.values():
                watched.removed = True
            for follower in followers:
                follower.stop()
            recorders = [watched.recorder for watched in self._watched.values() if watched.recorder]
            for recorder in recorders:
                recorder.close()
            for recorder in recorders:
                recorder.__exit__(None, None, None)

    def _checked(self, entry: Any) -> Camera:
        camera = source_from(entry, self._settings)
        pool = self._pools.of(camera.model)
        camera = replace(camera, model=pool.info.name)
        feed_of(camera, "", pool)  # which knows labels
        return camera

    def _find(self, name: str) -> _Watched:
        found = self._watched.get(name)
        if found is None:
            raise Missing(f"there is no source called {name!r}")
        return found

    def _start(self, camera: Camera) -> _Watched:
        if self._closed:
            raise Full("the server stops")
        assert camera.name is not None
        pool = self._pools.of(camera.model)
        if self._pools.is_full(pool):
            raise Full(f"all {self._pools.max_streams} places of {pool.info.name} are taken")
        limits = limits_of(self._settings)
        recorder = self._recorder(camera)
        packets = None if recorder is None else recorder.packets
        feed = feed_of(camera, origin_of(camera, self._settings), pool, limits, packets)
        memory = live_memory(pool.engine, pool.info) if camera.memory is None else camera.memory
        watched = _Watched(camera, memory, self._tell, recorder=recorder)
        inner = feed.open

        def opened(pacer: LivePacer, on_change: Callable[[Change], None]) -> Source:
            return Passing(inner(pacer, on_change), watched.tile.through)

        watched.follower = Follower(replace(feed, open=opened), None, watched)
        self._watched[camera.name] = watched
        if recorder is not None:
            recorder.__enter__()
        watched.follower.start()
        return watched

    def _recorder(self, camera: Camera) -> Recorder | None:
        if self._recording is None or self._storage is None or camera.record is False:
            return None
        return Recorder(str(camera.name), KeptPackets(self._recording.kept), self._recording, self._storage)

    def _stop(self, name: str) -> None:
        watched = self._watched.pop(name)
        assert watched.follower is not None
        watched.follower.end()
        watched.follower.join(_LEAVE_WITHIN)  # events are told as ended
        watched.removed = True
        watched.follower.stop()
        if watched.recorder is not None:
            watched.recorder.__exit__(None, None, None)

    def _tell(self, report: Report) -> None:
        self.begun += isinstance(report.what, Begun)
        for listener in self._listeners:
            listener(report)

    def _write(self) -> None:
        cameras = [watched.camera for _, watched in sorted(self._watched.items())]
        write_private(self._path, {"cameras": [to_plain(camera) for camera in cameras]})


def read_sources(path: Path) -> list[Any]:
    """The entries of a list of cameras; none where there is no file.

    Raises:
        MovinetError: it cannot be read, or is something else.
    """
    if not path.exists():
        return []
    data = read_secret_yaml(path, "list of sources")
    if not isinstance(data, dict) or not isinstance(data.get("cameras"), list):
        raise MovinetError(f"{path}: want cameras in a list: cameras: [{{name: door, address: rtsp://…}}, …]")
    return list(data["cameras"])
