"""What a command is asked to look at: files, folders of them, standard input, and the times between which to look."""

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from math import inf
from pathlib import Path

from movinet.errors import MovinetError
from movinet.video.camera.devices import camera_number
from movinet.video.decode import IMAGES, VIDEOS, in_natural_order, probe
from movinet.video.locations import Source, is_address
from movinet.video.net.sources import Limits, without_password

STDIN = "-"
MOST_OF_STDIN = 8 << 30  # bytes
_CHUNK = 1 << 20
_CLOCK = re.compile(r"(?:(\d{1,6}):)?(\d{1,6}):(\d{1,2}(?:\.\d*)?)")  # 1:30, 0:01:30.5
_FRAME = re.compile(r"(\d{1,12})f")
_ASPECT = re.compile(r"(\d{1,5}(?:\.\d{1,6})?)(?:[:/](\d{1,5}))?")


def videos_below(name: str) -> list[str]:
    """The videos of a folder and those in it, in the order of their names; what is no such folder is taken as it is.

    A folder with images is one video, of images.

    Raises:
        MovinetError: the folder has neither, or this is a camera.
    """
    if camera_number(name) is not None and not Path(name).is_file() and not Path(name).is_dir():
        raise MovinetError(f"{name}: no video file; a camera is watched: `movinet watch {name}`")
    if name == STDIN or is_address(name) or not Path(name).is_dir():
        return [name]
    found: list[Path] = []
    for folder, _, files in os.walk(name):
        seen = [Path(folder, file) for file in files if not file.startswith(".")]
        if folder == name and any(path.suffix.lower() in IMAGES for path in seen):
            return [name]
        found += [path for path in seen if path.suffix.lower() in VIDEOS]
    if not found:
        raise MovinetError(f"{name}: a folder without videos ({', '.join(sorted(VIDEOS))}) and without images")
    return [str(path) for path in sorted(found, key=lambda path: in_natural_order(str(path)))]


@contextmanager
def opened_input(name: str) -> Iterator[str]:
    """A file to open in place of `-`: all that comes from standard input; anything else is itself.

    Most formats cannot be read without going back and forth, which a pipe does not allow.

    Raises:
        MovinetError: nothing comes, it is a terminal, or there is too much.
    """
    if name != STDIN:
        yield name
        return
    source = sys.stdin.buffer
    if source.isatty():
        raise MovinetError("- is standard input, which is a terminal here: pipe a video into the command")
    with tempfile.TemporaryDirectory(prefix="movinet-") as folder:
        path, size = Path(folder, "standard input"), 0
        with path.open("wb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > MOST_OF_STDIN:
                    raise MovinetError(f"standard input goes on for more than {MOST_OF_STDIN >> 30} GiB: give a file")
                file.write(chunk)
        if not size:
            raise MovinetError("standard input is empty")
        yield str(path)


def read_time(option: str, text: str) -> float | int:
    """A time as people write it: `90`, `1:30`, `0:01:30.5` in seconds as a float; `450f`, a frame, as an int.

    Raises:
        MovinetError: it is none of these.
    """
    if found := _FRAME.fullmatch(text):
        return int(found[1])
    if found := _CLOCK.fullmatch(text):
        hours, minutes, rest = found.groups()
        if float(rest) < 60 and (hours is None or int(minutes) < 60):
            return 3600.0 * int(hours or 0) + 60.0 * int(minutes) + float(rest)
    try:
        time = float(text)
    except ValueError:
        time = -1.0
    if not 0 <= time < inf:
        raise MovinetError(f"{option} is {text}; want seconds (90.5), a time (0:01:30) or the number of a frame (450f)")
    return time


Times = tuple[float | int, float | int | None]
"""Where to begin and to end: seconds as a float, the number of a frame as an int."""


def read_times(start: str, end: str | None) -> Times:
    """What `--start` and `--end` say.

    Raises:
        MovinetError: they are no times, or in the wrong order as far as that can be told.
    """
    first, last = read_time("--start", start), None if end is None else read_time("--end", end)
    if last is not None and type(first) is type(last) and last <= first:
        raise MovinetError(f"--end must come after --start; got {end} and {start}")
    return first, last


def stretch(times: Times, source: Source, limits: Limits) -> tuple[float, float | None]:
    """From when to when, in seconds of a video; frames go by its average rate.

    Raises:
        MovinetError: the video does not tell its rate, or the end is not after the start.
    """
    first, last = (_in_seconds(time, source, limits) for time in times)
    assert first is not None
    if last is not None and last <= first:
        raise MovinetError(f"--end must come after --start; got {last:g} s and {first:g} s")
    return first, last


def _in_seconds(time: float | int | None, source: Source, limits: Limits) -> float | None:
    if time is None or isinstance(time, float):
        return time
    fps = probe(source, limits=limits).fps
    if not fps:
        raise MovinetError(
            f"{without_password(source)}: does not tell how many frames a second it has; give a time instead of {time}f"
        )
    return time / fps


def read_aspect(text: str) -> Fraction:
    """Width to height, as in `16:9` or `1.85`.

    Raises:
        MovinetError: it is none, or that of no picture.
    """
    found = _ASPECT.fullmatch(text)
    if found and Fraction(found[2] or 1) and Fraction(1, 8) <= (aspect := Fraction(found[1]) / int(found[2] or 1)) <= 8:
        return aspect
    raise MovinetError(f"--aspect is {text}; want width to height, such as 16:9 or 1.85")
