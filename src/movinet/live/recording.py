"""Clips around events, as the camera sent them, with a description beside each."""

import logging
import os
import re
import shutil
import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from math import inf
from pathlib import Path
from typing import Any, Self

from movinet.errors import MovinetError
from movinet.files import Unfinished, adding, replacing, write_json
from movinet.live.json_lines import iso
from movinet.live.report import Begun, Changed, Ended, Over, Report
from movinet.live.storage import BEGAN, Storage, finish_clip
from movinet.video.camera.kept_packets import Kept, KeptPackets
from movinet.video.remux import Remux, suffix_for

logger = logging.getLogger(__name__)

_LOOK = 0.5  # seconds between looks where no packet comes
_PATIENCE = 3.0  # seconds beyond the last packet wanted, after which a clip ends without it
_WAITING = 100  # events of a source that may wait to be recorded
_LEAVE_WITHIN = 3.0  # seconds that finishing a clip may take at the end
_LEAST_FREE = 256 << 20  # bytes of the disk that are left to others
_DESCRIPTION = 16 << 10  # bytes of the disk that a description takes at most, as a rule
_UNFIT = re.compile(r"[^\w.-]+")  # in the name of a file


@dataclass(frozen=True)
class Recording:
    """How clips are recorded.

    Args:
        folder: made where it is not there; each source has a folder in it.
        before: seconds before an event's beginning that its clip begins, at the key frame before.
        after: seconds after its end that the clip ends; events that begin meanwhile are in the same clip.
        longest: seconds of a clip; an event that lasts longer goes on in another.
        days: after which clips are deleted.
        gigabytes: that all clips may take; the oldest go first.
    """

    folder: Path
    before: float = 5.0
    after: float = 5.0
    longest: float = 300.0
    days: float = inf
    gigabytes: float = 10.0

    def __post_init__(self) -> None:
        for name, least, most in (("before", 0, 60), ("after", 0, 600), ("longest", 10, 3600)):
            if not least <= getattr(self, name) <= most:
                raise MovinetError(f"recording {name}: want {least} to {most} seconds, got {getattr(self, name)}")
        for name in ("days", "gigabytes"):
            if not getattr(self, name) > 0:
                raise MovinetError(f"recording {name}: want more than 0, got {getattr(self, name)}")

    @property
    def kept(self) -> float:
        """Seconds of packets that have to be kept: events are told some time after they began."""
        return self.before + 15.0


def options_said(given: dict[str, Any], is_kept: bool = False) -> dict[str, Any]:
    """Fields of a `Recording` as a command line gives them, without those that nobody said.

    Args:
        given: by name, None for what was not said; `folder` among them.
        is_kept: a folder was named elsewhere.

    Raises:
        MovinetError: there is something to record with, and no folder.
    """
    said = {name: value for name, value in given.items() if value is not None}
    if said and "folder" not in said and not is_kept:
        raise MovinetError("no clips are kept; --record names the folder for them")
    return said


class Recorder:
    """Writes the clips of one source, in a thread of its own; a context manager. Nothing here holds up watching.

    A clip appears when nothing more is written to it: `FOLDER/SOURCE/TIME_LABEL.mp4` (`.mkv` for codecs that do not
    fit), and beside it a `.json` of the same name with source, times and events. Where the camera is lost, or nothing
    can be written any more, it ends with what there is.

    Args:
        source: its name.
        packets: what it sent, which its `LiveSource` fills.
        recording: how.
        storage: what is kept of all clips, shared by all recorders of a folder.
    """

    def __init__(self, source: str, packets: KeptPackets, recording: Recording, storage: Storage) -> None:
        self.source, self.packets, self.recording, self.storage = source, packets, recording, storage
        self.clips = 0
        """Written so far."""
        self._reports: deque[Report] = deque(maxlen=_WAITING)
        self._closing = threading.Event()
        self._clip: _Clip | None = None
        self._told: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="movinet-record", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def close(self) -> None:
        """Finish what is being written, with what there is. Does not wait."""
        self._closing.set()
        self.packets.wake()

    def __exit__(self, *error: object) -> None:
        self.close()
        self._thread.join(_LEAVE_WITHIN)
        if self._thread.is_alive():
            logger.warning("%s: the last clip was not finished in time", self.source)

    def tell(self, report: Report) -> None:
        """What becomes of the source; never waits."""
        if isinstance(report.what, Begun | Ended | Changed | Over):
            self._reports.append(report)
            self.packets.wake()

    def _run(self) -> None:
        while True:
            closing = self._closing.is_set()
            try:
                while self._reports:
                    self._take(self._reports.popleft())
                if self._clip is not None:
                    self._go_on(self._clip)
                if closing:
                    self._finish()
                    return
            except MovinetError as error:  # a full disk, most likely; the next event may fare better
                self._break_off(str(error))
            except OSError as error:
                self._break_off(f"{self.recording.folder}: cannot be written: {error.strerror or error}")
            except Exception as error:  # a fault of ours
                self._break_off(f"{type(error).__name__}: {error}")
            self.packets.wait(lambda: bool(self._reports) or self._closing.is_set(), _LOOK)

    def _take(self, report: Report) -> None:
        match report.what:
            case Begun(event):
                if self._clip is None:
                    self._begin(event.start, event.label)
                if self._clip is not None:
                    self._clip.begin(event.label, event.start, report.wall)
            case Ended(event):
                if self._clip is not None and event.end is not None:
                    self._clip.end(event.label, event.start, event.end, event.confidence)
            case Changed(change) if change.kind == "lost":
                self._finish()
            case Over():
                self._finish()

    def _begin(self, start: float, label: str) -> None:
        first = self.packets.since(start - self.recording.before)
        found = [] if first is None else self.packets.after(first)[:1]
        if not found:
            self._warn(f"not recorded: {self.packets.refused or 'no key frame has come yet'}")
            return
        self.storage.make_room()
        folder = self.recording.folder / (_UNFIT.sub("_", self.source).strip("._")[:60] or "source")
        folder.mkdir(parents=True, exist_ok=True)
        if (free := shutil.disk_usage(folder).free) < _LEAST_FREE:
            words = f"not recorded: {folder} has {free >> 20} MB left, less than {_LEAST_FREE >> 20}"
            self._warn(words, "no room")
            return
        self._clip = _Clip(folder, self.source, label, found[0])

    def _go_on(self, clip: "_Clip") -> None:
        until = clip.until(self.recording.after)
        for kept in self.packets.after(clip.next):
            if kept.moment > until:
                self._finish()
                return
            too_long = kept.moment - clip.first.moment > self.recording.longest and kept.is_key
            if too_long or kept.connection is not clip.connection:
                self._split(clip, kept)
                return
            clip.add(kept)
        if time.monotonic() > clip.ended_at + self.recording.after + _PATIENCE and until < inf:
            self._finish()

    def _split(self, clip: "_Clip", kept: Kept) -> None:
        """An event that lasts too long for one file, or has pictures of two sizes, goes on in the next."""
        running = [event for event in clip.events.values() if event["end"] is None]
        self._finish()
        if running:
            self._clip = _Clip(clip.folder, self.source, running[0]["label"], kept)
            for event in running:
                self._clip.events[event["label"], event["start"]] = dict(event)

    def _finish(self) -> None:
        finished = self._clip is not None and self._clip.finish()
        self._clip = None
        if finished:
            self.clips += 1
            self._told.clear()  # what comes after a clip that went well is news
            self.storage.make_room()

    def _break_off(self, why: str) -> None:
        clip, self._clip = self._clip, None
        if clip is None:
            self._warn(why)
            return
        self._warn(f"{why}; the clip ends there", "broken off")
        self.clips += clip.break_off()

    def _warn(self, words: str, fault: str | None = None) -> None:
        """Tell of a fault once; by its words, where it has no name."""
        fault = fault or words
        if fault not in self._told and len(self._told) < _WAITING:
            self._told.add(fault)
            logger.warning("%s: %s", self.source, words)


class Recorders:
    """The recorders of several sources; a context manager.

    Args:
        sources: their names.
        recording: how; None records nothing.

    Raises:
        MovinetError: the folder cannot be used.
    """

    def __init__(self, sources: Sequence[str], recording: Recording | None) -> None:
        self._by_source: dict[str, Recorder] = {}
        if recording is None:
            return
        try:
            recording.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise MovinetError(f"{recording.folder}: clips cannot be kept here: {error.strerror or error}") from error
        storage = Storage(recording.folder, recording.days, recording.gigabytes)
        storage.make_room()
        for source in sources:
            self._by_source[source] = Recorder(source, KeptPackets(recording.kept), recording, storage)

    def packets(self, source: str) -> KeptPackets | None:
        """Where what a source sends is to be kept; None where it is not recorded."""
        recorder = self._by_source.get(source)
        return None if recorder is None else recorder.packets

    def tell(self, report: Report) -> None:
        """What becomes of a source; never waits."""
        if (recorder := self._by_source.get(report.source)) is not None:
            recorder.tell(report)

    def __enter__(self) -> Self:
        for recorder in self._by_source.values():
            recorder.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        for recorder in self._by_source.values():
            recorder.close()
        for recorder in self._by_source.values():
            recorder.__exit__(None, None, None)


class _Clip:
    """A file that is being written."""

    def __init__(self, folder: Path, source: str, label: str, first: Kept) -> None:
        self.folder, self.source, self.first, self.connection = folder, source, first, first.connection
        self.next = first.number
        self.events: dict[tuple[str, float], dict[str, Any]] = {}
        self.ended_at = inf  # when its last event was told as ended, by `time.monotonic`
        self._last = first
        moment = f"{datetime.fromtimestamp(first.wall, UTC).strftime(BEGAN)[:-4]}Z"  # to the millisecond
        name = f"{moment}_{_UNFIT.sub('_', label).strip('._')[:40] or 'event'}"
        self._open = ExitStack()
        # The clip before, or one of another process, may begin with the same key frame.
        self._part, self.path = self._open.enter_context(adding(folder / f"{name}{suffix_for(first.connection)}"))
        try:
            self._file = Remux(self._part, first.connection)
        except BaseException as error:
            self._open.__exit__(type(error), error, None)
            raise

    def begin(self, label: str, start: float, wall: float) -> None:
        self.events[label, start] = {"label": label, "start": start, "end": None, "confidence": None, "wall": iso(wall)}

    def end(self, label: str, start: float, end: float, confidence: float) -> None:
        known = self.events.get((label, start))
        if known is not None:
            known |= {"end": end, "confidence": round(confidence, 6)}
            self.ended_at = time.monotonic()

    def until(self, after: float) -> float:
        """The moment of the stream after which nothing is wanted, as far as that is known."""
        ends = [event["end"] for event in self.events.values()]
        return inf if None in ends else max(ends, default=self.first.moment) + after

    def add(self, kept: Kept) -> None:
        self._file.add(kept.data, kept.moment, kept.ahead, kept.is_key)
        self._last, self.next = kept, kept.number + 1

    def finish(self) -> bool:
        """The file and its description are there; False where there was nothing to write.

        Raises:
            MovinetError, OSError: they are not; `break_off` has it end here.
        """
        if self.next == self.first.number:
            return self.break_off()
        # Written before the clip is there: one without it would never be deleted.
        with replacing(self.path.with_suffix(".json")) as described:
            write_json(described, self._about())
            self._file.close()
            self._open.close()
        return True

    def break_off(self) -> bool:
        """The file ends where it could be written to, and is a clip as far as it goes, or an hour later where not even
        its description can be written now; whether it is one."""
        with suppress(MovinetError):
            self._file.close()
        self._open.__exit__(Unfinished, Unfinished(), None)
        if finish_clip(self._part, self.path, self._about()):
            return True
        with suppress(OSError):  # the last picture, which may be half a one, makes room on a full disk
            os.truncate(self._part, max(0, self._part.stat().st_size - _DESCRIPTION))
        return finish_clip(self._part, self.path, self._about())

    def _about(self) -> dict[str, Any]:
        return {
            "movinet": "recording",
            "source": self.source,
            "clip": self.path.name,
            "began": iso(self.first.wall),
            "ended": iso(self._last.wall),
            "start": round(self.first.moment, 3),
            "end": round(self._last.moment, 3),
            "events": [_told(event, self.first.moment) for event in self.events.values()],
        }


def _told(event: dict[str, Any], began: float) -> dict[str, Any]:
    """An event with its times to the millisecond, and where it is in a clip that began at this second."""
    start, end = event["start"], event["end"]
    times = {"start": round(start, 3), "end": None if end is None else round(end, 3)}
    return event | times | {"in_clip": round(start - began, 3)}
