"""One file given to one reader: what may come of it, and in what time and memory; and readers of several files."""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from types import FrameType
from typing import Any

from movinet.errors import MovinetError

SECONDS = 2.0  # of the processor, so that a busy machine is no fault
MEGABYTES = 256.0  # above what the process had before
_HOPELESS = 20.0  # seconds after which a reader is stopped


class TooLong(BaseException):
    """A reader that would not end."""


@dataclass(frozen=True)
class Target:
    """A reader of files.

    Args:
        seeds: right files of less than 10 kB each, of every form it reads.
        read: reads one; the only error it may raise is a `MovinetError`.
        tokens: what such files have in them.
    """

    seeds: tuple[bytes, ...]
    read: Callable[[bytes], None]
    tokens: tuple[bytes, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What is wrong with an attempt, in words (None: nothing), and what it took."""

    fault: str | None
    seconds: float
    megabytes: float


def attempt(read: Callable[[bytes], None], data: bytes) -> Outcome:
    """Give a file to a reader."""
    fault, before = None, _memory("VmRSS")
    _forget_peak()
    begin = process_time()
    try:
        with _stopped_after(_HOPELESS):
            read(data)
    except MovinetError as error:
        if not str(error).strip():
            fault = f"{type(error).__name__} says nothing"
    except TooLong:
        fault = f"more than {_HOPELESS:g} s, at {_place(sys.exc_info()[2])}"
    except Exception as error:
        fault = f"{type(error).__name__} at {_place(error.__traceback__)}: {str(error)[:100]!r}"
    seconds, megabytes = process_time() - begin, _memory("VmHWM") - before
    if fault is None and seconds > SECONDS:
        fault = f"{seconds:.1f} s of the processor"
    if fault is None and megabytes > MEGABYTES:
        fault = f"{megabytes:.0f} MB of memory"
    return Outcome(fault, seconds, megabytes)


def _place(trace: object) -> str:
    """The last line of ours on the way."""
    frames = traceback.extract_tb(trace)  # type: ignore[arg-type]
    ours = [frame for frame in frames if "movinet" in Path(frame.filename).parts] or frames
    return f"{Path(ours[-1].filename).name}:{ours[-1].lineno}"


@contextmanager
def _stopped_after(seconds: float) -> Iterator[None]:
    def stop(number: int, frame: FrameType | None) -> None:
        raise TooLong

    earlier = signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, earlier)


def _forget_peak() -> None:
    with suppress(OSError):  # Linux alone, and not everywhere
        Path("/proc/self/clear_refs").write_bytes(b"5")


def _memory(what: str) -> float:
    """Megabytes; the peak is the whole process's where the system does not say."""
    try:
        status = Path("/proc/self/status").read_bytes()
    except OSError:
        return peak_memory()
    line = status[status.index(what.encode()) :].split(b"\n", 1)[0]
    return int(line.split()[1]) / 1024


def peak_memory() -> float:
    """Megabytes of the process, over all of its life."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def limit_memory(gigabytes: float) -> None:
    """From here on more than so much is refused, instead of taking the machine down."""
    bytes_ = int(gigabytes * 2**30)
    resource.setrlimit(resource.RLIMIT_DATA, (bytes_, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def scratch_root() -> str | None:
    """Where files cost least."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def several(
    folder: Path, files: Mapping[str, bytes], read: Callable[[str], None], tokens: tuple[bytes, ...] = ()
) -> Target:
    """A reader of a folder in which one file at a time is another."""
    for name, content in files.items():
        (folder / name).write_bytes(content)

    def read_one(data: bytes) -> None:
        name, content = way_in(data)
        if name not in files:
            raise MovinetError(f"no file is called {name!r}")
        (folder / name).write_bytes(content)
        try:
            read(name)
        finally:
            (folder / name).write_bytes(files[name])

    return Target(tuple(f"@{name}\n".encode() + content for name, content in files.items()), read_one, tokens)


def way_in(data: bytes) -> tuple[str, bytes]:
    """What the first line says it is of, and the rest."""
    if not data.startswith(b"@"):
        return "", data
    way, _, rest = data[1:].partition(b"\n")
    return way.decode(errors="replace"), rest


def words(value: Any) -> tuple[bytes, ...]:
    """All keys and short texts in a value."""
    found, waiting = set[str](), [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            found.update(map(str, item))
            waiting += item.values()
        elif isinstance(item, list | tuple):
            waiting += item
        elif isinstance(item, str) and len(item) < 40:
            found.add(item)
    return tuple(sorted(word.encode() for word in found))
