"""Reads every file of a folder and compares what came with what ffprobe and ffmpeg say of it.

    python benchmarks/odd_files.py FOLDER [--timeout 60] [--json rows.json]

Prints a row for each file that is not exact and a table of how many are: exact (as many frames, each within 2 ms of
its time, the size after rotation, pictures that differ by less than 4 levels), a clear error (ours, and ffprobe has no
frame either), different, or a fault: a traceback, a crash or no end in time. Exits with 1 where there is a fault. Each
file is read in a child process. Of long files the first 2000 frames are compared. Needs ffmpeg and ffprobe on the path;
their version decides what they can read.
"""

import argparse
import faulthandler
import json
import logging
import multiprocessing
import os
import shutil
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from itertools import islice
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from movinet.data.inspection import inspect_video
from movinet.errors import MovinetError
from movinet.labeled.entries import VideoEntry as Clip
from movinet.video.container import Video
from movinet.video.decode import duration, probe, read_frames
from movinet.video.frame import Frame

SIDE = 32  # pixels of the pictures that are compared
ALIKE = 4.0  # levels of 255, mean of a picture
CLOSE = 0.002  # seconds
FRAMES = 2000  # compared at most
_ALPHA = ("yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16", "pal8")

Pictures = NDArray[np.uint8]


@dataclass
class Seen:
    """What a reader makes of a file. times in seconds from the first frame; sizes (height, width); pictures
    (T, SIDE, SIDE, 3)."""

    times: list[float] = field(default_factory=list)
    size: tuple[int, int] | None = None
    pictures: Pictures | None = None
    stream: int = 0
    error: str = ""
    fault: str = ""


@dataclass
class Row:
    """How a file compares."""

    path: str
    outcome: str  # exact, clear error, differs, fault
    about: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds a file may take")
    parser.add_argument("--json", type=Path, help="write the rows there")
    arguments = parser.parse_args()
    for program in ("ffmpeg", "ffprobe"):
        if shutil.which(program) is None:
            parser.error(f"{program} is not on the path")
    files = sorted(path for path in arguments.folder.rglob("*") if path.is_file() and not path.name.startswith("."))
    rows = compare_all(files, arguments.timeout, lambda row: print_row(row, arguments.folder))
    counts = Counter(row.outcome for row in rows)
    print(f"\n{'':12s}{'files':>8s}")
    for outcome in ("exact", "clear error", "differs", "fault"):
        print(f"{outcome:12s}{counts[outcome]:8d}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    sys.exit(1 if counts["fault"] else 0)


def print_row(row: Row, folder: Path) -> None:
    if row.outcome != "exact":
        print(f"{row.outcome:12s}{os.path.relpath(row.path, folder)}: {row.about}", flush=True)


def compare_all(files: list[Path], timeout: float, tell: Callable[[Row], None] = lambda row: None) -> list[Row]:
    """A row for each file, each read in a child that is replaced when it ends or hangs."""
    rows = []
    reader = Reader(timeout, serve)
    try:
        for path in files:
            ours = reader.read(path)
            rows.append(compared(str(path), ours, reference(path, None if ours.error else ours.stream, timeout)))
            tell(rows[-1])
    finally:
        reader.close()
    return rows


def compared(path: str, ours: Seen, theirs: Seen) -> Row:
    """The row of a file."""
    if ours.fault:
        return Row(path, "fault", ours.fault)
    if ours.error:
        if theirs.times:
            return Row(path, "differs", f"{ours.error} (ffprobe: {len(theirs.times)} frames)")
        return Row(path, "clear error", ours.error)
    if not theirs.times:
        return Row(path, "differs", f"{len(ours.times)} frames, ffprobe has none: {theirs.error}")
    found = []
    if len(ours.times) != len(theirs.times):
        found.append(f"{len(ours.times)} frames, not {len(theirs.times)}")
    else:
        late = np.abs(np.subtract(ours.times, theirs.times))
        if late.max() > CLOSE:
            found.append(f"times differ by up to {late.max():.3f} s, first at frame {int((late > CLOSE).argmax())}")
    if ours.size != theirs.size:
        found.append(f"size {ours.size}, not {theirs.size}")
    found += different_pictures(ours.pictures, theirs.pictures)
    return Row(path, "differs" if found else "exact", "; ".join(found))


def different_pictures(ours: Pictures | None, theirs: Pictures | None) -> list[str]:
    if ours is None or theirs is None or not len(theirs):
        return ["ffmpeg has no pictures"]
    count = len(ours) if len(ours) == len(theirs) else 1  # without a partner for each, the first alone
    apart = np.abs(ours[:count].astype(np.int16) - theirs[:count]).mean(axis=(1, 2, 3))
    worst = int(apart.argmax())
    return [f"pictures differ by up to {apart[worst]:.1f} (frame {worst})"] if apart[worst] >= ALIKE else []


class Reader:
    """Reads files in a child process, which lives as long as it behaves."""

    def __init__(self, timeout: float, serve: Callable[[Connection], None]) -> None:
        self._timeout, self._serve = timeout, serve
        self._child: BaseProcess | None = None
        self._pipe: Connection | None = None

    def read(self, path: Path) -> Seen:
        if self._child is None or self._pipe is None:
            context = multiprocessing.get_context("spawn")
            self._pipe, other = context.Pipe()
            self._child = context.Process(target=self._serve, args=(other,), daemon=True)
            self._child.start()
            other.close()
            self._pipe.recv()  # until everything is imported
        self._pipe.send(path)
        try:
            if self._pipe.poll(self._timeout):
                seen: Seen = self._pipe.recv()
                return seen
            why = f"no end within {self._timeout:g} s"
        except EOFError:
            self._child.join()
            why = f"crash, exit code {self._child.exitcode}"
        self.close()
        return Seen(fault=why)

    def close(self) -> None:
        if self._child is not None and self._pipe is not None:
            self._child.kill()
            self._child.join()
            self._pipe.close()
        self._child = self._pipe = None


def serve(pipe: Connection) -> None:
    """The child: files in, what was seen in them out."""
    logging.disable(logging.WARNING)
    faulthandler.enable()
    pipe.send("ready")
    while True:
        try:
            path = pipe.recv()
        except EOFError:
            return
        pipe.send(read(path))


def read(path: Path) -> Seen:
    """What movinet makes of a file: everything that reads one, so that a fault in any is seen."""
    seen = Seen()
    try:
        inspect_video(Clip(path, ("",)))
        with Video(path) as video:
            seen.stream = video.stream.index
        info = probe(path)
        duration(path)
        pictures = []
        for frame in islice(read_frames(path), FRAMES):
            seen.times.append(frame.time)
            seen.size = seen.size or (frame.rgb.shape[0], frame.rgb.shape[1])
            pictures.append(small(frame))
        seen.pictures = np.stack(pictures)
        for frame in read_frames(path, 5.0, end=2.0):
            _ = frame.rgb
        if info.size != seen.size:
            seen.fault = f"probe says {info.size}, frames have {seen.size}"
    except MovinetError as error:
        seen.error = str(error).removeprefix(f"{path}: ")
    except Exception as error:
        place = traceback.extract_tb(error.__traceback__)[-1]
        seen.fault = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
    return seen


def small(frame: Frame) -> Pictures:
    whole = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.rgb), format="rgb24")
    return cast(Pictures, whole.reformat(width=SIDE, height=SIDE, interpolation=Interpolation.AREA).to_ndarray())


def reference(path: Path, stream: int | None, timeout: float) -> Seen:
    """What ffprobe and ffmpeg make of one of a file's streams, or of the video stream with most frames where the
    number says nothing to them."""
    selectors = ["v:0", "v:1"] if stream is None else [str(stream), "v:0", "v:1"]
    try:
        found: tuple[dict[str, Any], list[dict[str, Any]], str] | None = None
        for selector in selectors:
            about, frames = probed(path, selector, timeout)
            if frames and (found is None or len(frames) > len(found[1])):
                found = about, frames, selector
            if found and selector == str(stream):
                break
        if found is None:
            return Seen(error="no frame")
        about, frames, selector = found
        stamps = [float(frame.get("best_effort_timestamp_time", "nan")) for frame in frames]
        times = [stamp - stamps[0] for stamp in stamps] if len(stamps) > 1 else [0.0]
        return Seen(times, shown_size(frames[0], about), decoded(path, selector, frames[0], timeout))
    except subprocess.TimeoutExpired:
        return Seen(error=f"ffmpeg has no end within {timeout:g} s")


def probed(path: Path, selector: str, timeout: float) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """ffprobe's word on a stream, and on each of its frames."""
    entries = (
        "frame=best_effort_timestamp_time,width,height,pix_fmt,color_space:frame_side_data=rotation:"
        "stream=codec_name,sample_aspect_ratio:stream_side_data=rotation"
    )
    command = ["ffprobe", "-v", "error", "-select_streams", selector, "-show_entries", entries, "-show_frames"]
    command += ["-read_intervals", f"%+#{FRAMES + 200}"]  # packets, some of which are held back
    try:
        told = json.loads(output([*command, "-of", "json", f"file:{path}"], timeout) or b"{}")
    except ValueError:  # it crashed halfway
        told = {}
    frames = [frame for frame in told.get("frames", []) if "width" in frame]
    return (told.get("streams") or [{}])[0], frames[:FRAMES]


def shown_size(frame: dict[str, Any], about: dict[str, Any]) -> tuple[int, int]:
    """(height, width) with square pixels, after rotation."""
    width, height = int(frame["width"]), int(frame["height"])
    across, _, down = about.get("sample_aspect_ratio", "1:1").partition(":")
    if down and int(across) and 0.25 <= int(across) / int(down) <= 4:
        width = round(width * int(across) / int(down))
    sides = [*frame.get("side_data_list", []), *about.get("side_data_list", [])]
    rotation = next((float(side["rotation"]) for side in sides if "rotation" in side), 0.0)
    return (width, height) if round(rotation / 90) % 2 else (height, width)


def decoded(path: Path, selector: str, frame: dict[str, Any], timeout: float) -> Pictures:
    """The pictures of a stream as a player shows them, over black, small."""
    pixels = str(frame.get("pix_fmt", ""))
    untagged_hd = frame["height"] >= 720 and frame.get("color_space", "unknown") == "unknown"
    matrix = "scale=in_color_matrix=bt709," if untagged_hd and pixels.startswith("yuv") else ""
    over_black = "format=gbrap,premultiply=inplace=1," if pixels.startswith(_ALPHA) else ""
    filters = f"{matrix}{over_black}format=rgb24,scale={SIDE}:{SIDE}:flags=area"
    raw = output(["ffmpeg", "-v", "error", "-nostdin", "-i", f"file:{path}", "-map", f"0:{selector}", "-vf", filters,
                  "-vsync", "passthrough", "-frames:v", str(FRAMES), "-f", "rawvideo", "-"], timeout)  # fmt: skip
    size = SIDE * SIDE * 3
    return np.frombuffer(raw[: len(raw) // size * size], np.uint8).reshape(-1, SIDE, SIDE, 3)


def output(command: list[str], timeout: float) -> bytes:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, timeout=timeout, check=False)
    return done.stdout


if __name__ == "__main__":
    main()
