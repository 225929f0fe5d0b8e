"""How fast examples come from a folder of videos and from shards: frames a second, decoded, augmented and batched.

    python benchmarks/loading.py
    python benchmarks/loading.py --data FOLDER --workers 4 8 16 --size 224 --frames 50

The set is FOLDER, or synthetic gestures of 288×384 made for the occasion. Shards are made of it twice: with its videos
as they are, and shrunk to a short side a quarter above the network's size. All are read in turns, from a warm disk
cache: what shards gain on a network disk cannot be seen here. Synthetic gestures rendered for training, without any
file, are the last row. Processor time a frame, in one process, is what can be trusted on a busy machine.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from movinet.cores import usable_cores
from movinet.data.augment import Augmentation, ColorJitter, RandomCrop
from movinet.data.batches import EpochOrder, load_batches
from movinet.data.dataset import ClipDataset, Example, LabeledClips, SampleKey
from movinet.data.synthetic.gesture_clips import write_dataset
from movinet.data.synthetic.gesture_dataset import GestureDataset
from movinet.data.write_shards import write_shards
from movinet.labeled.readers import read_set
from movinet.labeled.sampling import random_clip
from movinet.video.transform import Transform

BATCH = 4


def sets(folder: Path, data: Path | None, transform: Transform, frames: int) -> dict[str, tuple[LabeledClips, float]]:
    """The contenders, and how many MB lie on the disk."""
    if data is None:
        data, cores = folder / "clips", usable_cores()
        write_dataset(data, 2, size=(288, 384), workers=cores)
    listing = read_set(data)
    short_side = round(1.25 * min(transform.size))
    write_shards(listing.splits, folder / "whole", workers=usable_cores())
    write_shards(listing.splits, folder / "small", short_side=short_side, workers=usable_cores())
    sampling = partial(random_clip, fps=transform.fps, frames=frames)
    augmentation = Augmentation(RandomCrop(), flip=0.5, color=ColorJitter(0.3, 0.3, 0.3))
    found: dict[str, tuple[LabeledClips, float]] = {}
    for name, path in (
        ("folder", data),
        ("shards", folder / "whole"),
        (f"shards, {short_side} pixels", folder / "small"),
    ):
        size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1e6
        found[name] = ClipDataset(read_set(path).select(), transform, sampling, augmentation), size
    rendered = GestureDataset(transform.size, transform.fps, frames, len(listing.select().videos))
    return found | {"rendered gestures": (rendered, 0.0)}


def endless(dataset: LabeledClips, workers: int) -> Iterator[Example]:
    order = EpochOrder(len(dataset), batch_size=BATCH)
    batches = load_batches(dataset, order, workers=workers)
    for epoch in range(10**9):
        order.set_epoch(epoch)
        yield from batches


def frames_a_second(dataset: LabeledClips, workers: int, seconds: float) -> float:
    batches = endless(dataset, workers)
    for _ in range(2 * workers + 2):  # those that were prepared while the workers started
        next(batches)
    begin, frames = time.perf_counter(), 0
    while time.perf_counter() < begin + seconds:
        clips = next(batches).clip
        frames += clips.shape[0] * clips.shape[2]
    return frames / (time.perf_counter() - begin)


def processor_time(dataset: LabeledClips, clips: int) -> float:
    """Milliseconds a frame, without workers."""
    begin, frames = time.process_time(), 0
    for index in range(clips):
        frames += dataset[SampleKey(0, index % len(dataset))].clip.shape[1]
    return 1e3 * (time.process_time() - begin) / frames


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="a data set; any that `movinet data check` reads")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=172)
    parser.add_argument("--fps", type=float, default=5.0)
    parser.add_argument("--frames", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transform = Transform((args.size, args.size), args.size, args.fps)
    with tempfile.TemporaryDirectory() as folder:
        found = sets(Path(folder), args.data, transform, args.frames)
        best: dict[str, dict[int, float]] = {name: dict.fromkeys(args.workers, 0.0) for name in found}
        cost = dict.fromkeys(found, math.inf)
        for _ in range(args.rounds):
            for name, (dataset, _) in found.items():
                cost[name] = min(cost[name], processor_time(dataset, clips=40))
                for workers in args.workers:
                    speed = frames_a_second(dataset, workers, args.seconds)
                    best[name][workers] = max(best[name][workers], speed)
    if args.json:
        print(json.dumps({name: {"ms": cost[name], "frames_a_second": best[name]} for name in found}))
        return
    names = (f"{count} worker{'s' if count != 1 else ''}" for count in args.workers)
    table = Table(f"frames a second at {args.size}²", "MB", "processor ms a frame", *names, box=None)
    for name, speeds in best.items():
        table.add_row(
            name, f"{found[name][1]:.1f}", f"{cost[name]:.2f}", *(f"{speeds[count]:.0f}" for count in args.workers)
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
