"""Hours of video that a scan looks at in an hour, beside FFmpeg decoding the same files. A part of `archive.py`."""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import av
import numpy as np
from archive_commands import A0, clips, load, scanning
from archive_videos import SIZES, footage
from file_to_labels import make_weights

from movinet.archive.items import file_item
from movinet.archive.looking import Looker
from movinet.archive.tally import Answers
from movinet.archive.tasks import Task, Wishes
from movinet.recognizer import Recognizer
from movinet.video.container import open_at
from movinet.video.decode import frames_of
from movinet.video.pacer import FilePacer
from movinet.video.sample import sample_clip

OF_DECODING, OF_SCALING, OF_STEPPING = 0.85, 0.97, 1.2
SECONDS = 100

# FFmpeg decoding files with one thread and doing nothing with them: its libraries, as PyAV brings them.
DECODE = """
import sys, time, av
begin, before = time.perf_counter(), time.process_time()
for path in sys.argv[1:]:
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = 1
        for frame in container.decode(stream):
            pass
print(time.perf_counter() - begin, time.process_time() - before)
"""


def rates(args: argparse.Namespace, folder: Path) -> list[tuple[str, bool]]:
    """By the clock, by size, of whole scans and of FFmpeg with a process a core, in turns, on one core and two.

    Where others work on the machine the figures are of no use: the share of its cores that FFmpeg had is printed.
    """
    make_weights(folder / A0, os.environ)
    kept = []
    for name in args.sizes.split(","):
        size = SIZES[name]
        path = footage((args.folder or folder) / f"{name}.mp4", size, clips(), float(SECONDS))
        rate, had = clock_rates(path, folder, args.copies, args.rounds)
        for count in (1, 2):
            ours, theirs = rate["scan", count], rate["ffmpeg", count]
            print(
                f"{name}, {count} core(s): {ours:.0f} hours of video an hour, FFmpeg {theirs:.0f} with {had:.0%} of "
                f"its cores: {ours / theirs:.2f} of decoding alone"
            )
            if size[1] >= 720:  # smaller pictures are decoded in less time than a network needs
                kept.append(
                    (
                        f"{name}, {count} core(s): {ours / theirs:.2f} of decoding alone",
                        ours >= OF_DECODING * theirs,
                    )
                )
        gains = {what: rate[what, 2] / rate[what, 1] for what in ("scan", "ffmpeg")}
        print(f"{name}: two cores do {gains['scan']:.2f} times as much as one, FFmpeg {gains['ffmpeg']:.2f}")
        gain = gains["scan"] / gains["ffmpeg"]
        kept.append((f"{name}: two cores gain {gain:.2f} of what FFmpeg gains", gain >= OF_SCALING))
        print(
            f"{name}: a million hours take {1e6 / rate['scan', 1]:,.0f} core-hours by the rate of one core that has "
            f"the machine for itself, {2e6 / rate['scan', 2]:,.0f} by that of two"
        )
    return kept


def clock_rates(path: Path, folder: Path, copies: int, rounds: int) -> tuple[dict[tuple[str, int], float], float]:
    """Hours of video an hour of scans and of FFmpeg, by how many cores they have, the best of some rounds; the largest
    share of its cores that FFmpeg had."""
    videos, cores = folder / path.stem, sorted(os.sched_getaffinity(0))[:2]
    videos.mkdir()
    for number in range(copies):
        os.link(path, videos / f"{number}.mp4")
    best: dict[tuple[str, int], float] = {}
    had = 0.0
    for turn in range(rounds):
        for count in (1, 2):
            took, share = decoding(videos, cores[:count])
            had = max(had, share)
            out = folder / f"{path.stem}-{turn}-{count}"
            for what, seconds in (("ffmpeg", took), ("scan", scanning(videos, out, folder / A0, cores[:count]))):
                best[what, count] = max(best.get((what, count), 0.0), SECONDS * copies / seconds)
    return best, had


def decoding(folder: Path, cores: Sequence[int]) -> tuple[float, float]:
    """Seconds that FFmpeg takes for all files of a folder, a process a core, once they run; its share of the cores."""
    paths = [str(path) for path in sorted(folder.iterdir())]
    command = [sys.executable, "-c", DECODE]
    running = [
        subprocess.Popen(
            ["taskset", "-c", str(core), *command, *paths[place :: len(cores)]], stdout=subprocess.PIPE, text=True
        )
        for place, core in enumerate(cores)
    ]
    told = [[float(word) for word in process.communicate()[0].split()] for process in running]
    return max(clock for clock, _ in told), sum(spent for _, spent in told) / sum(clock for clock, _ in told)


def shares(args: argparse.Namespace, folder: Path) -> list[tuple[str, bool]]:
    """Where the processor's time goes: decoding all, decoding and scaling what is wanted, stepping, and the whole of
    looking at a file; the bundled small clip, and each size."""
    make_weights(folder / A0, os.environ)
    recognizer = Recognizer.load(folder / A0, threads=1)
    kept = []
    videos = {"bundled clip": (sample_clip(), 40)}
    for name in args.sizes.split(","):
        path = footage((args.folder or folder) / f"{name}.mp4", SIZES[name], clips(), float(SECONDS))
        videos[name] = path, 1
    for name, (path, count) in videos.items():
        ms, frames = parts_of(recognizer, path, folder, count, args.rounds)
        print(
            f"{name}, {frames} frames, ms of processor time: {', '.join(f'{what} {v:.1f}' for what, v in ms.items())}; "
            f"{load()}"
        )
        over = (ms["all"] - ms["decoding"]) / ms["stepping"]
        kept.append((f"{name}: decoding + {over:.2f} × stepping", over <= OF_STEPPING))
    return kept


def parts_of(recognizer: Recognizer, path: Path, folder: Path, count: int, rounds: int) -> tuple[dict[str, float], int]:
    """Milliseconds of processor time, medians; how many frames the network sees."""
    network, engine = recognizer.network, recognizer.engine
    transform = network.info.transform
    wishes = Wishes(Answers(None), piece=0)
    looker = Looker(network, recognizer.session(), engine.signature.state, wishes, folder, "0" * 8)
    item = file_item(path)
    frames = looker.look(Task(0, item), None, _alive).row["frames"]

    def decode() -> None:
        with av.open(item.path) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for _ in container.decode(stream):
                pass

    def wanted() -> None:
        pacer = FilePacer(transform.fps)
        with open_at(item.path, 0.0, None, 1, pacer=pacer) as video:
            for frame in frames_of(video, pacer):
                frame.kept(transform)

    state, image = engine.init_state(), np.zeros((1, *transform.size, 3), np.float32)
    contenders: dict[str, Callable[[], object]] = {
        "decoding": decode,
        "wanted": wanted,
        "stepping": lambda: [engine.step(image, state) for _ in range(frames)],
        "all": lambda: looker.look(Task(0, item), None, _alive),
    }
    spent_on: dict[str, list[float]] = {}
    for _ in range(rounds):
        for name, call in contenders.items():
            begin = time.process_time()
            for _ in range(count):
                call()
            spent_on.setdefault(name, []).append((time.process_time() - begin) / count)
    return {name: 1000 * statistics.median(values) for name, values in spent_on.items()}, frames


def _alive() -> None:
    pass
