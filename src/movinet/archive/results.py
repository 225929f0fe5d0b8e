"""The folder of a scan: its journal, its tables, and what they say is done."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from movinet.archive.items import Item, key_of
from movinet.archive.journal import Journal, Line, read_lines_of
from movinet.archive.spool import Spooled, remove_spooled
from movinet.archive.tables import EMBEDDINGS, FRAMES, LINES, ROWS, parts, read_rows, settle, write_rows, write_vectors
from movinet.errors import MovinetError, brief
from movinet.files import dump_json, locked, write_atomically, write_json

JOURNAL, SETTINGS, FAILURES, SPOOL, SCRATCH = "journal", "scan.json", "failures.jsonl", "spool", ".scratch"
_OURS = {JOURNAL, SETTINGS, FAILURES, SPOOL, ROWS, LINES, FRAMES, EMBEDDINGS}
_SYNCED = 1.0  # seconds of work that a power failure may cost, which is done again then
_PART_BYTES, _PART_SPOOLED, _PART_SECONDS = 4 << 20, 256 << 20, 300.0  # a part is written with what comes first


@dataclass(frozen=True)
class Done:
    """What a journal says, by the videos' keys.

    Args:
        fingerprints: of what was looked at last, and whether it failed.
        pieces: of files that are looked at in pieces: fingerprint, and what came of those that are done.
        again: videos that may be in more than one part.
    """

    fingerprints: dict[str, tuple[str, bool]]
    pieces: dict[str, tuple[str, dict[int, dict[str, Any]]]]
    again: set[str]

    def failed(self, item: Item) -> bool | None:
        """Whether a video, as it is now, has failed; None: it was not looked at."""
        known = self.fingerprints.get(item.key)
        return known[1] if known is not None and known[0] == item.fingerprint else None


class _History:
    """What a journal tells, as its lines are read."""

    def __init__(self, folder: Path, settings: dict[str, Any]) -> None:
        self._folder, self._settings = folder, settings
        self.done = Done({}, {}, set())
        self.failures: dict[str, tuple[int, int]] = {}  # where the lines lie of videos that have failed
        self.flushed, self.parts = 0, 0

    def hear(self, line: Line) -> None:
        """The next line."""
        done = self.done
        match line.kind:
            case "row" | "failed":
                if line.key in done.fingerprints:
                    done.again.add(line.key)
                done.fingerprints[line.key] = line.fingerprint, line.kind == "failed"
                done.pieces.pop(line.key, None)
                self.failures.pop(line.key, None)
                if line.kind == "failed":
                    self.failures[line.key] = line.begin, line.end
            case "piece":
                fingerprint, known = done.pieces.get(line.key, ("", {}))
                if fingerprint != line.fingerprint:
                    fingerprint, known = line.fingerprint, {}
                known[line.value["number"]] = line.value
                done.pieces[line.key] = fingerprint, known
            case "part":
                value = line.value
                self.flushed, self.parts = value["end"], value["number"] + 1
            case "settled":
                done.again.clear()
            case "begin":
                _refuse_others(self._folder, line.value, self._settings)


class Results:
    """An open folder; see `open_results`."""

    def __init__(self, folder: Path, journal: Journal, history: _History, run: str) -> None:
        self.folder, self.journal, self.run = folder, journal, run
        self.spool = folder / SPOOL
        self._done, self._failures = history.done, history.failures
        self._flushed, self._number = history.flushed, history.parts
        self._waiting = self._spooled = 0  # rows and bytes that are in no part
        self._synced_at = self._flushed_at = time.monotonic()
        self._again: set[str] = set()

    def read(self) -> Done:
        """What is done; removes what killed runs left."""
        done = self._done
        keep: set[str] = set()
        for line in self._rows(self._flushed, self.journal.end):
            spooled = _spooled(line.value)
            if all(self._is_there(one) for one in spooled):
                keep |= {one.name for one in spooled}
                self._waiting += 1
            else:  # somebody has removed what was to be in a table
                done.fingerprints.pop(line.key, None)
        for _, known in done.pieces.values():
            for number, value in list(known.items()):
                spooled = _spooled({"spool": value["files"]})
                if all(self._is_there(one) for one in spooled):
                    keep |= {one.name for one in spooled}
                else:
                    del known[number]
        remove_spooled(self.spool, keep)
        self._again = set(done.again)
        return done

    def expect_again(self, key: str) -> None:
        """A video that has a row is looked at once more."""
        self._again.add(key)

    def add_row(self, item: Item, row: dict[str, Any], files: dict[str, list[dict[str, Any]]]) -> None:
        """A video is done; with this it is, whatever happens after."""
        begin = self.journal.end
        self.journal.append("failed" if row["error"] else "row", {**row, "spool": files}, item.key, item.fingerprint)
        self._failures.pop(item.key, None)
        if row["error"]:
            self._failures[item.key] = begin, self.journal.end
        self._waiting += 1
        self._spooled += sum(one.count * one.size for one in _spooled({"spool": files}))

    def add_piece(self, item: Item, piece: dict[str, Any]) -> None:
        """A piece of a video is done."""
        self.journal.append("piece", piece, item.key, item.fingerprint)

    def keep_up(self) -> None:
        """Sync and write parts as they are due."""
        now = time.monotonic()
        due = self.journal.end - self._flushed > _PART_BYTES or self._spooled > _PART_SPOOLED
        if self._waiting and (due or now - self._flushed_at > _PART_SECONDS):
            self.flush()
        elif now - self._synced_at > _SYNCED:
            self.journal.sync()
            self._synced_at = now

    def flush(self) -> None:
        """Have all that is done in tables.

        Raises:
            MovinetError: they cannot be written; the journal has it all the same.
        """
        self.journal.sync()
        self._synced_at = self._flushed_at = time.monotonic()
        end = self.journal.end
        rows: dict[str, dict[str, Any]] = {}
        for line in self._rows(self._flushed, end):
            rows.pop(line.key, None)
            rows[line.key] = line.value
        self._waiting = self._spooled = 0
        if not rows:
            return
        spooled = [(row["path"], _files(row.pop("spool"))) for row in rows.values()]
        write_rows(self.folder, self._number, list(rows.values()))
        for table, name in ((FRAMES, "frames"), (EMBEDDINGS, "vectors")):
            videos = [(path, [one for one in files.get(name, ()) if self._is_there(one)]) for path, files in spooled]
            write_vectors(self.folder, table, self._number, self.spool, videos)
        self.journal.append("part", {"number": self._number, "end": end})
        self.journal.sync()
        self._number, self._flushed = self._number + 1, end
        for _, files in spooled:
            for one in (one for some in files.values() for one in some):
                with suppress(OSError):
                    (self.spool / one.name).unlink()

    def finish(self) -> None:
        """Have the tables say of each video what was found last, and the failures by themselves."""
        self.flush()
        if self.journal.damaged:  # what a damaged line told may be in a table, and was looked at again
            self._again |= {key_of(row["path"]) for _, path in parts(self.folder, LINES) for row in read_rows(path)}
        if self._again:
            settle(self.folder, self._again)
            self.journal.append("settled", {})
            self.journal.sync()
            self._again.clear()
        failed = (line.value for place in self._failures.values() for line in self.journal.lines(*place))
        named = ({name: row[name] for name in ("path", "size", "error", "scanned")} for row in failed)
        write_atomically(self.folder / FAILURES, "".join(f"{dump_json(row)}\n" for row in named).encode())

    def _rows(self, begin: int, end: int) -> Iterator[Line]:
        return (line for line in self.journal.lines(begin, end) if line.kind in ("row", "failed"))

    def _is_there(self, spooled: Spooled) -> bool:
        try:
            return (self.spool / spooled.name).stat().st_size == spooled.count * spooled.size
        except OSError:
            return False


@contextmanager
def open_results(folder: Path, settings: dict[str, Any]) -> Iterator[Results]:
    """A folder of results, new or to go on with; one process has it at a time.

    Args:
        folder: there, or to be made.
        settings: what makes results what they are: the network, and how it is asked.

    Raises:
        MovinetError: it cannot be used, another process uses it, it holds other things, or results of other settings.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        there = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    except OSError as error:
        raise MovinetError(f"{folder}: cannot be used: {error.strerror or error}") from error
    if JOURNAL not in there and there - {SETTINGS, SPOOL}:
        raise MovinetError(
            f"{folder}: has other things in it ({min(there)}); results want a folder of their own (--out)"
        )
    with locked(folder / ".lock", f"{folder}: another scan is at work in this folder"):
        path = folder / JOURNAL
        history = _History(folder, settings)
        journal = Journal(path, history.hear) if path.exists() else Journal.create(path, settings, history.hear)
        try:
            if not (folder / SETTINGS).exists():
                write_json(folder / SETTINGS, settings)
            (folder / SPOOL).mkdir(exist_ok=True)
            _clean(folder / SCRATCH)
            yield Results(folder, journal, history, os.urandom(4).hex())
        except OSError as error:
            raise MovinetError(f"{folder}: cannot be used: {error.strerror or error}") from error
        finally:
            journal.close()


def read_status(folder: Path) -> dict[str, Any]:
    """What a folder's journal says, also while a scan is at work: how many videos are done and failed, hours of video
    and of work, how many events.

    Raises:
        MovinetError: it holds no results.
    """
    rows: dict[str, tuple[bool, float, float, int]] = {}
    settings: dict[str, Any] = {}
    for line in read_lines_of(folder / JOURNAL):
        if line.kind == "begin":
            settings = line.value
        elif line.kind in ("row", "failed"):
            row = line.value
            rows[line.key] = bool(row["error"]), row["duration"] or 0.0, row["seconds"], len(row["events"])
    return {
        "model": settings["model"],
        "model_hash": settings["hash"],
        "done": sum(not failed for failed, *_ in rows.values()),
        "failed": sum(failed for failed, *_ in rows.values()),
        "hours_of_video": round(sum(duration for _, duration, _, _ in rows.values()) / 3600, 4),
        "core_hours": round(sum(seconds for _, _, seconds, _ in rows.values()) / 3600, 4),
        "events": sum(events for *_, events in rows.values()),
        "parts": len(parts(folder, ROWS)),
        "at_work": _is_busy(folder),
    }


def _is_busy(folder: Path) -> bool:
    try:
        with (folder / ".lock").open("a"):
            pass
    except OSError:  # who may not write here can tell nothing of others
        return False
    try:
        with locked(folder / ".lock", "busy"):
            return False
    except MovinetError:
        return True


def _refuse_others(folder: Path, found: dict[str, Any], wanted: dict[str, Any]) -> None:
    for name, value in wanted.items():
        # The source may have moved, and earlier versions left `network_hash` out.
        if found.get(name, value) != value and name != "source":
            was = f"with {name} {brief(found.get(name))}, not {brief(value)}"
            if name == "network_hash":
                was = "of a network of the same parameters that computes, sees or stores them otherwise"
            raise MovinetError(f"{folder}: holds results {was}; go on with that, or choose another folder (--out)")


def _clean(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(exist_ok=True)


def _files(spool: dict[str, list[dict[str, Any]]]) -> dict[str, list[Spooled]]:
    return {table: [Spooled.of_dict(one) for one in files] for table, files in spool.items()}


def _spooled(row: dict[str, Any]) -> list[Spooled]:
    return [one for files in _files(row.get("spool") or {}).values() for one in files]
