"""Looking at one video, or a piece of one: from its frames to the columns of a row."""

import logging
import time as clock
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from threading import get_ident
from typing import Any

from movinet.arch.step import DECAY, HEAD_POOL, POOL_WEIGHT, TensorSpec
from movinet.archive.items import Item, check_file
from movinet.archive.pieces import Piece, cut
from movinet.archive.spool import NoRoom, Spooled, Writer, read_spooled, spool_name
from movinet.archive.tally import Seconds, Tally, second_of
from movinet.archive.tasks import Outcome, Task, Wishes
from movinet.errors import MovinetError, VideoError
from movinet.runtime.seat import Network
from movinet.runtime.session import Session
from movinet.runtime.whole_video import TOGETHER
from movinet.video.container import Video, open_at
from movinet.video.decode import frames_of
from movinet.video.frame import Frame
from movinet.video.locations import is_address
from movinet.video.net.sources import DEFAULT_LIMITS
from movinet.video.pacer import FilePacer

_TIMEOUT = 30.0  # seconds that an address may stay silent

Alive = Callable[[], None]


class Looker:
    """Looks at videos one after the other, in one thread.

    Args:
        network: what runs.
        session: a stream of it, which this object has for itself.
        ports: the engine's state.
        wishes: what is wanted.
        spool: the folder for what is not part of a row.
        run: names this run in it.
    """

    def __init__(
        self, network: Network, session: Session, ports: Sequence[TensorSpec], wishes: Wishes, spool: Path, run: str
    ) -> None:
        self.network, self._session, self._wishes, self._spool, self._run = network, session, wishes, spool, run
        names = [port.name for port in ports]
        if wishes.vectors and HEAD_POOL not in names:
            raise MovinetError(f"{network.info.name}: only networks of our own, and no ensembles, give embeddings")
        self._places = tuple(names.index(name) for name in (POOL_WEIGHT, DECAY, HEAD_POOL)) if wishes.vectors else ()

    def look(self, task: Task, local: Path | None, alive: Alive) -> Outcome:
        """Do a task, whatever the video is.

        Args:
            task: what to do.
            local: where the video is, if it was brought here.
            alive: is called as frames come.
        """
        began, warnings = clock.monotonic(), list[str]()
        try:
            with _heard(warnings):
                if task.done is not None:
                    return self._joined(task, began, warnings)
                return self._looked(task, local, alive, began, warnings)
        except NoRoom as error:
            return Outcome(task.number, "stop", error=str(error))
        except MovinetError as error:
            return self._failed(task, _renamed(str(error), local, task.item), began, warnings)
        except Exception as error:  # a fault of ours or of a library's; the next video may be better
            return self._failed(task, f"{task.item.path}: {type(error).__name__}: {error}", began, warnings)

    def _looked(self, task: Task, local: Path | None, alive: Alive, began: float, warnings: list[str]) -> Outcome:
        item, fps = task.item, self.network.info.transform.fps
        if local is None:
            check_file(item)
        source = item.path if local is None else str(local)
        piece = task.piece or Piece(0, 0, 0, None)
        pacer = FilePacer(fps, piece.replay / fps, None if piece.end is None else piece.end / fps - 0.5 / fps)
        tally = Tally(self.network.info, self._wishes.answers)
        error, kept = None, _Kept(self, task)
        try:
            with open_at(
                source, pacer.start, _TIMEOUT if is_address(source) else None, 1, DEFAULT_LIMITS, pacer
            ) as video:
                if task.piece is None and local is None and self._wishes.piece != 0:
                    memory = self._wishes.answers.memory
                    pieces = cut(video, self.network.info.spec, memory, self._wishes.piece)
                    if len(pieces) > 1:
                        kept.discard()
                        return Outcome(task.number, "cut", pieces=tuple(pieces))
                try:
                    self._show(frames_of(video, pacer), piece, tally, kept, alive)
                    if not tally.frames:
                        raise video.empty()
                except NoRoom:
                    raise
                except MovinetError as stopped:  # what came before counts
                    error = _renamed(str(stopped), local, item)
                about = _about(video)
            files = kept.close()
        except BaseException:
            kept.discard()
            raise
        if local is None:
            warnings += _changed(item)
        about["duration"] = about["duration"] or tally.frames / fps
        if task.piece is not None:
            row = {**about, "warnings": warnings, "error": error, "seconds": clock.monotonic() - began}
            return Outcome(task.number, "piece", {**row, "frames": tally.frames}, files)
        return Outcome(task.number, "row", self._row(task, about, tally, error, began, warnings), files)

    def _show(self, frames: Iterator[Frame], piece: Piece, tally: Tally, kept: "_Kept", alive: Alive) -> None:
        """Show the network all frames; answers count from the piece's begin on."""
        transform, session = self.network.info.transform, self._session
        begin = (piece.begin - 0.5) / transform.fps
        session.reset()
        waiting: list[Frame] = []
        more = True
        while more:
            waiting.clear()
            fault: MovinetError | None = None
            try:
                for frame in frames:
                    waiting.append(frame.kept(transform))
                    alive()
                    if len(waiting) == TOGETHER:
                        break
                more = len(waiting) == TOGETHER
            except VideoError as error:  # after these frames
                fault, more = error, False
            for frame in waiting:
                counts = frame.time >= begin
                if counts:
                    kept.before(frame.time)
                prediction = session.see(frame)
                alive()
                if counts and prediction is not None:
                    tally.push(prediction)
                    kept.after(prediction.time, prediction.probabilities)
            if fault is not None:
                kept.end()
                raise fault
        kept.end()

    def _joined(self, task: Task, began: float, warnings: list[str]) -> Outcome:
        """The row of a file of which all pieces are there."""
        assert task.done is not None
        tally, answers, vectors = Tally(self.network.info, self._wishes.answers), [], []
        error = None
        for part in task.done:
            error = error or part["row"]["error"]
            warnings += [told for told in part["row"]["warnings"] if told not in warnings]
            for spooled in map(Spooled.of_dict, part["files"].get("answers", ())):
                answers.append(spooled.to_dict())
                for rows in read_spooled(self._spool, spooled):
                    tally.push_rows(rows)
            vectors += part["files"].get("vectors", [])
        about = {
            "duration": max(part["row"]["duration"] for part in task.done),
            "damaged": max(part["row"]["damaged"] for part in task.done),
        }
        if not tally.frames:
            return self._failed(task, error or f"{task.item.path}: has no frame that can be decoded", began, warnings)
        row = self._row(task, about, tally, error, began, warnings)
        row["seconds"] = round(sum(part["row"]["seconds"] for part in task.done), 3)
        files = {"frames": answers if self._wishes.frames else [], "vectors": vectors}
        return Outcome(task.number, "row", row, {table: names for table, names in files.items() if names})

    def _row(
        self, task: Task, about: dict[str, Any], tally: Tally, error: str | None, began: float, warnings: list[str]
    ) -> dict[str, Any]:
        return {
            **identity(task.item),
            **{name: None if value is None else round(value, 6) for name, value in about.items()},
            **tally.finish(),
            **self._made(error, began, warnings),
        }

    def _failed(self, task: Task, error: str, began: float, warnings: list[str]) -> Outcome:
        """What there is to say of a video, or a piece, that nothing can be seen of."""
        if task.piece is not None:
            told = {"duration": 0.0, "damaged": 0.0, "frames": 0, "warnings": warnings, "error": error}
            return Outcome(task.number, "piece", {**told, "seconds": clock.monotonic() - began})
        return Outcome(task.number, "row", {**failed_row(task.item), **self._made(error, began, warnings)})

    def _made(self, error: str | None, began: float, warnings: list[str]) -> dict[str, Any]:
        info = self.network.info
        return provenance(info.name, self.network.hash, error, warnings, clock.monotonic() - began)

    def failed(self, task: Task, error: str) -> Outcome:
        """What there is to say of a task that did not come so far as to be looked at."""
        return self._failed(task, error, clock.monotonic(), [])

    def pool(self) -> tuple[int, float, float, Any]:
        """(frames seen, weight, γ, pooled features) of the stream."""
        saved = self._session.snapshot()
        weight, decay, pool = (saved.state[place] for place in self._places)
        return saved.frames, float(weight.flat[0]), float(decay.flat[0]), pool.reshape(-1)

    def writer(self, task: Task, what: str, length: int, kind: str = "<f4") -> Writer:
        return Writer(self._spool, spool_name(task.item.key, self._run, task.number, what), length, kind)

    @property
    def wishes(self) -> Wishes:
        return self._wishes


class _Kept:
    """What is spooled of a video while it is looked at."""

    def __init__(self, looker: Looker, task: Task) -> None:
        wishes, self._looker, self._task = looker.wishes, looker, task
        self._frames: Writer | None = None
        self._vectors: Writer | None = None
        self._seconds = Seconds() if wishes.vectors else None
        self._second: int | None = None
        self._count, self._began = 0, False
        # Pieces are put together of their answers to the bit; tables have room for half of them.
        self._what = ("answers", "<f4") if task.piece is not None else ("frames", "<f2") if wishes.frames else None

    def before(self, time: float) -> None:
        """A frame is about to be shown."""
        if self._seconds is None:
            return
        if not self._began:
            self._began = True
            seen, weight, _, pool = self._looker.pool()
            self._seconds.begin(seen, weight, pool)
        if self._second is not None and second_of(time) != self._second:
            self._write_second()
        self._second = second_of(time)
        self._count += 1

    def after(self, time: float, probabilities: Any) -> None:
        """It was shown."""
        if self._what is None:
            return
        if self._frames is None:
            self._frames = self._looker.writer(self._task, self._what[0], len(probabilities), self._what[1])
        self._frames.add(time, probabilities)

    def end(self) -> None:
        """There are no more frames."""
        if self._count:
            self._write_second()

    def close(self) -> dict[str, list[dict[str, Any]]]:
        """The files that are there."""
        files = {}
        if self._frames is not None and self._what is not None:
            files[self._what[0]] = [self._frames.close().to_dict()]
        if self._vectors is not None:
            files["vectors"] = [self._vectors.close().to_dict()]
        return files

    def discard(self) -> None:
        for writer in (self._frames, self._vectors):
            if writer is not None:
                writer.discard()

    def _write_second(self) -> None:
        assert self._seconds is not None
        assert self._second is not None
        seen, weight, decay, pool = self._looker.pool()
        if self._vectors is None:
            self._vectors = self._looker.writer(self._task, "vectors", len(pool))
        vector = self._seconds.vector(self._count, seen, weight, decay, pool)
        self._vectors.add(float(self._second), vector)
        self._count = 0


def identity(item: Item) -> dict[str, Any]:
    """The columns that say which video it is."""
    return {"path": item.path, "size": item.size, "modified": item.modified, "etag": item.etag}


def failed_row(item: Item) -> dict[str, Any]:
    """A row of a video that nothing was seen of."""
    nothing: dict[str, Any] = {
        "duration": None,
        "damaged": None,
        "frames": 0,
        "last": [],
        "mean": [],
        "events": [],
        "maxima": [],
    }
    return {**identity(item), **nothing}


def provenance(model: str, hash: str, error: str | None, warnings: list[str], seconds: float) -> dict[str, Any]:
    """The columns that say how a row came about."""
    return {
        "warnings": warnings,
        "error": error,
        "model": model,
        "model_hash": hash,
        "version": _version(),
        "seconds": round(seconds, 3),
        "scanned": datetime.now(UTC).isoformat(timespec="seconds"),
    }


@cache
def _version() -> str:
    """Ours; to ask for it reads a file and takes a millisecond, which is as long as some videos take."""
    return version("movinet")


def _about(video: Video) -> dict[str, Any]:
    packets = max(video.packets, 1)
    return {"duration": video.duration, "damaged": min(1.0, video.damaged / packets)}


def _changed(item: Item) -> list[str]:
    from movinet.archive.items import file_item

    if is_address(item.path) or file_item(item.path).fingerprint == item.fingerprint:
        return []
    return ["changed since it was listed: the same command looks at it again"]


def _renamed(message: str, local: Path | None, item: Item) -> str:
    return message if local is None else message.replace(str(local), item.path)


@contextmanager
def _heard(warnings: list[str]) -> Iterator[None]:
    """What this thread's readers warn of is part of the row."""
    handler = _Handler(warnings)
    logger = logging.getLogger("movinet")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


class _Handler(logging.Handler):
    def __init__(self, told: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._told, self._thread = told, get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread and len(self._told) < 100:
            self._told.append(record.getMessage())
