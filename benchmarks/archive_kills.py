"""Scans that are killed at any point: every file has one row in the end. A part of `archive.py`."""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

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


def run_and_kill(command: Sequence[str], times: int, longest: float, seed: int) -> tuple[int, int]:
    """Run a command again and again, killing all of it at random moments; how often, and how it ended at last."""
    chance = random.Random(seed)
    killed = 0
    while True:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)
        assert process.stderr is not None
        said: list[bytes] = []
        reader = threading.Thread(target=lambda p=process, s=said: s.append(p.stderr.read()))
        reader.start()
        try:
            code = process.wait(chance.uniform(0.3, longest) if killed < times else None)
        except subprocess.TimeoutExpired:
            # The parent alone, whose workers are to see it, or its whole group at once.
            (os.kill if chance.random() < 0.5 else os.killpg)(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
            reader.join()
            continue
        reader.join()
        if code in (0, 1) or killed >= times:
            if code not in (0, 1):
                print(said[0].decode(errors="replace")[-2000:], file=sys.stderr)
            return killed, code


def kills(args: argparse.Namespace, folder: Path) -> list[tuple[str, bool]]:
    """10,000 files through 200 kills -9, some files vanishing and some appearing on the way; 20 more with Ray."""
    kept = []
    for how, times, options in (("", args.kills, ()), (" with Ray", args.ray_kills, ("--ray", "local"))):
        if not times:
            continue
        videos, out = folder / f"videos{how}", folder / f"results{how}"
        videos.mkdir()
        files = make_archive(videos, args.files if not how else max(200, args.files // 10))
        line = [sys.executable, "-m", "movinet", "scan", str(videos), "--out", str(out), "--processes", "2", *options]
        begin = time.monotonic()
        vanish = threading.Timer(20.0, lambda some=files[-30:]: [path.unlink(missing_ok=True) for path in some])
        vanish.start()
        per_kill = max(6.0, args.files / 60 / max(times, 1)) if not how else 40.0
        killed, code = run_and_kill(line, times, per_kill, 1)
        vanish.cancel()
        vanish.join()
        there = {str(path) for path in files}
        names = [json.loads(line)["path"] for part in sorted((out / "jsonl").iterdir()) for line in part.open("rb")]
        twice = sum(count > 1 for count in Counter(names).values())
        listed = set(names)
        missing = sum(os.path.lexists(path) and path not in listed for path in there)
        took = time.monotonic() - begin
        print(
            f"{len(files):,} files{how}, {killed} kills -9: {len(names):,} rows, {twice} twice, {missing} missing, "
            f"{len(listed - there)} of no file; exit code {code}, {took:.0f} s"
        )
        whole = code in (0, 1) and not twice and not missing and not listed - there
        kept.append(
            (
                f"nothing lost and nothing twice{how} through {killed} kills of {times}",
                whole and killed >= min(times, 1),
            )
        )
        shutil.rmtree(videos)
    return kept
