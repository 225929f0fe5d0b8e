"""Scans that are killed at any point: every file has one row in the end. A part of `archive.py`."""

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from archive_commands import scan, scanned_paths
from archive_videos import small_clip

from movinet.video.sample import sample_clip


def make_archive(folder: Path, count: int) -> list[Path]:
    """Small files in folders, whose names are there again in others: good ones, and one in twenty of some odd kind."""
    clip, found = sample_clip().read_bytes(), []
    small = small_clip(folder / "short.mp4").read_bytes()
    (folder / "short.mp4").unlink()
    for number in range(count):
        place = folder / f"{number % 40:02}"
        place.mkdir(exist_ok=True)
        path = place / f"{number // 40}.mp4"
        match number % 200:
            case 0:
                path.write_bytes(b"")
            case 20:
                path.write_bytes(b"not a video at all")
            case 40:
                path.write_bytes(small[: len(small) // 2])
            case 60:  # a header that promises more than any machine has
                path.write_bytes(small[:4].replace(small[:4], b"\x7f\xff\xff\xff") + small[4:])
            case 80:
                path.mkdir()
            case 100:
                os.mkfifo(path)
            case 120:
                path.symlink_to(folder / "nowhere.mp4")
            case 140:
                path.write_bytes(clip)
            case 160:
                path = place / os.fsdecode(b"odd\xff\n%d.mp4" % number)
                path.write_bytes(small)
            case 180:
                path.write_bytes(small)
                path.chmod(0)
            case _:
                path.write_bytes(small)
        if not path.is_dir():
            found.append(path)
    return found


def run_and_kill(command: Sequence[str], journal: Path, files: int, times: int, seed: int) -> tuple[int, int]:
    """Run a command again and again, killing it at random moments: after some of the rows that are left, so that no run
    comes to its end before, or, one time in four, while it begins. How often, and how it ended at last."""
    chance = random.Random(seed)
    killed = 0
    while True:
        with tempfile.TemporaryFile() as said:
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said)
            if killed < times:
                before = lines_of(journal)
                left = max(files - before, 0)
                many = chance.uniform(0, min(0.9 * left, 1.8 * left / (times - killed)))
                until = time.monotonic() + (chance.uniform(0.0, 4.0) if chance.random() < 0.25 else float("inf"))
                while process.poll() is None and time.monotonic() < until and lines_of(journal) - before <= many:
                    time.sleep(chance.uniform(0.0, 0.1))
                if process.poll() is None:
                    # The parent alone, whose workers are to see it, or all of it at once.
                    victims = [process.pid, *(descendants(process.pid) if chance.random() < 0.5 else ())]
                    for pid in victims:
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    process.wait()
                    killed += 1
                    if killed % 20 == 0:
                        print(f"{killed} kills -9, {lines_of(journal):,} lines in the journal", file=sys.stderr)
                    continue
            code = process.wait()
            if code not in (0, 1):
                said.seek(0)
                print(said.read().decode(errors="replace")[-2000:], file=sys.stderr)
            if code in (0, 1) or killed >= times:
                return killed, code


def lines_of(journal: Path) -> int:
    """How many it has."""
    try:
        with journal.open("rb") as file:
            return sum(chunk.count(b"\n") for chunk in iter(lambda: file.read(1 << 20), b""))
    except FileNotFoundError:
        return 0


def descendants(pid: int) -> list[int]:
    """The processes that a process has begun, and those that these have."""
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, tasks.read_text().split()):
                found += [child, *descendants(child)]
    return found


def kills(args: argparse.Namespace, folder: Path) -> list[tuple[str, bool]]:
    """10,000 files through 200 kills -9, some files vanishing on the way; 1,000 through 20 more with Ray."""
    kept = []
    for how, times, count, options in (
        ("", args.kills, args.files, ()),
        (" with Ray", args.ray_kills, max(200, args.files // 10), ("--ray", "local")),
    ):
        if not times:
            continue
        videos, out = folder / f"videos{how}", folder / f"results{how}"
        videos.mkdir()
        files = make_archive(videos, count)
        line = scan(videos, "--out", out, "--processes", "2", *options)
        begin = time.monotonic()
        vanish = threading.Timer(20.0, lambda some=files[-30:]: [path.unlink(missing_ok=True) for path in some])
        vanish.start()
        killed, code = run_and_kill(line, out / "journal", len(files), times, 1)
        vanish.cancel()
        vanish.join()
        there = {str(path) for path in files}
        names = scanned_paths(out)
        twice = sum(count > 1 for count in Counter(names).values())
        listed = set(names)
        missing = sum(os.path.lexists(path) and path not in listed for path in there)
        took = time.monotonic() - begin
        print(
            f"{len(files):,} files{how}, {killed} kills -9: {len(names):,} rows, {twice} twice, {missing} missing, "
            f"{len(listed - there)} of no file; exit code {code}, {took:.0f} s"
        )
        whole = code in (0, 1) and killed == times and not twice and not missing and not listed - there
        kept.append((f"nothing lost and nothing twice{how} through {killed} kills of {times}", whole))
        shutil.rmtree(videos)
    return kept
