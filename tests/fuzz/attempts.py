"""One file given to one reader: what may come of it, and in what time and memory."""

import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from types import FrameType

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
