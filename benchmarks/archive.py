"""Scans of archives: nothing lost and nothing twice through kills, throughput beside decoding alone, long files in
pieces, Ray, memory of the parent, an object store on a bad day.

    python benchmarks/archive.py                                     # everything; hours
    python benchmarks/archive.py --only kills --files 10000 --kills 200
    python benchmarks/archive.py --only rates --folder /tmp/videos
    python benchmarks/archive.py --only shares,memory,store
    python benchmarks/archive.py --only cut --streams 10 --hours 1
    python benchmarks/archive.py --only ray --kills 20

Prints figures a line, and exits with 1 where a promise is broken: rows = files and none twice; at least 0.85 of the
rate of FFmpeg decoding the same files with one thread a core, on one core and two; two cores against one at least 0.97
of what FFmpeg gains itself; a file takes processor time of decoding it + 1.2 × stepping at most; with Ray at most a
tenth longer; events of long files the same in pieces; the parent's memory flat over 100,000 rows, and the same command
over them ends within 5 s.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from archive_commands import A0, clips, load, scan, scanned_paths, scanning
from archive_kills import kills
from archive_rates import rates, shares
from archive_rows import memory
from archive_videos import SIZES, footage, gestures
from file_to_labels import make_weights

from movinet.archive.items import file_item
from movinet.archive.looking import Looker
from movinet.archive.pieces import Piece, cut
from movinet.archive.spool import Spooled, read_spooled
from movinet.archive.tally import Answers
from movinet.archive.tasks import Outcome, Task, Wishes
from movinet.recognizer import Recognizer
from movinet.video.container import Video
from movinet.video.sample import sample_clip

OF_LOCAL = 1.1

Promise = tuple[str, bool]


def cuts(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """Long files, uncut and in pieces: their events, and the largest difference of a probability."""
    recognizer = Recognizer.load("movinet_t0_stream.gestures", threads=1)
    point = recognizer.info.operating_point
    assert point is not None
    wishes = Wishes(Answers(point.memory), frames=True)
    recognizer.memory = point.memory
    ports = recognizer.engine.signature.state
    looker = Looker(recognizer.network, recognizer.session(), ports, wishes, folder, "0" * 8)
    same, worst, events = 0, 0.0, 0
    for stream in range(args.streams):
        path = gestures(folder / f"stream{stream}.mp4", round(args.hours * 3600), stream)
        begin = time.process_time()
        whole = looker.look(Task(1, file_item(path), Piece(0, 0, 0, None)), None, lambda: None)
        uncut = time.process_time() - begin
        with Video(path) as video:
            pieces = cut(video, recognizer.info.spec, point.memory)
        begin = time.process_time()
        parts = [looker.look(Task(2 + n, file_item(path), piece), None, lambda: None) for n, piece in enumerate(pieces)]
        pieced = time.process_time() - begin
        joined = [
            looker.look(
                Task(99, file_item(path), done=tuple({"row": p.row, "files": p.files} for p in some)), None, _alive
            )
            for some in ([whole], parts)
        ]
        apart = difference(folder, whole, parts)
        equal = [event_places(one) for one in joined]
        same += equal[0] == equal[1]
        events += len(equal[0])
        worst = max(worst, apart)
        print(
            f"stream {stream}: {len(equal[0])} events uncut, {len(equal[1])} in {len(pieces)} pieces, "
            f"{'the same' if equal[0] == equal[1] else 'DIFFERENT'}; largest difference of a probability {apart:.1e}; "
            f"{pieced / uncut:.2f} of the uncut run's processor time",
            flush=True,
        )
        path.unlink()
    words = f"{same} of {args.streams} long streams have the same events in pieces, {events} in all, ±{worst:.1e}"
    return [(words, same == args.streams and events > 0)]


def _alive() -> None:
    pass


def event_places(outcome: Outcome) -> list[tuple[str, float, float]]:
    return [(event["label"], event["start"], event["end"]) for event in outcome.row["events"]]


def difference(folder: Path, whole: Outcome, parts: Sequence[Outcome]) -> float:
    def values(outcomes: Sequence[Outcome]) -> Any:
        files = [Spooled.of_dict(one) for outcome in outcomes for one in outcome.files["answers"]]
        return np.concatenate([rows["values"] for one in files for rows in read_spooled(folder, one)])

    return float(np.abs(values([whole]) - values(parts)).max())


def with_ray(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """Two actors against two processes, after their start."""
    make_weights(folder / A0, os.environ)
    path = footage((args.folder or folder) / "340x256.mp4", SIZES["340x256"], clips(), 100.0)
    copies = folder / "for ray"
    copies.mkdir()
    for number in range(4 * args.copies):
        os.link(path, copies / f"{number}.mp4")
    took: dict[str, list[float]] = {"local": [], "ray": []}
    whole: list[float] = []
    cores = sorted(os.sched_getaffinity(0))[:2]
    for turn in range(args.rounds):
        took["local"].append(scanning(copies, folder / f"local{turn}", folder / A0, cores))
        begin = time.perf_counter()
        took["ray"].append(scanning(copies, folder / f"ray{turn}", folder / A0, cores, "--ray", "local"))
        whole.append(time.perf_counter() - begin - took["ray"][-1])
    ours, rays = min(took["local"]), min(took["ray"])
    print(f"local processes {ours:.1f} s, Ray {rays:.1f} s after a start (and an end) of {min(whole):.1f} s; {load()}")
    return [(f"Ray takes {rays / ours:.2f} of the time of local processes", rays <= OF_LOCAL * ours)]


def store(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """An S3 store on loopback: many pages, every fifth request refused, every seventh connection reset, every third
    read broken off."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "archive"))
    import boto3

    flaky_store = import_module("flaky_store").flaky_store  # the tests'
    clip = sample_clip().read_bytes()
    with flaky_store() as (day, environment):
        os.environ.update(environment)
        client = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="films")
        for number in range(args.objects):
            name = f"{number % 7}/{number:05}.{'mp4' if number % 50 == 0 else 'txt'}"
            client.put_object(Bucket="films", Key=name, Body=clip if number % 50 == 0 else b"x")
        day.busy, day.cut, day.reset, day.requests = 5, 3, 7, 0
        out = folder / "store"
        code = subprocess.run(
            scan("s3://films/", "--out", out, "--json"), stdout=subprocess.DEVNULL, check=False
        ).returncode
        told = scanned_paths(out)
    videos = len(range(0, args.objects, 50))
    print(
        f"{args.objects} objects on {day.pages} pages, {videos} videos: {len(told)} rows; {day.requests} requests, "
        f"{day.refused} refused, {day.resets} reset, {day.cuts} broken off"
    )
    whole = code == 0 and len(told) == len(set(told)) == videos and day.pages > 2 and day.cuts > 0 and day.resets > 0
    return [(f"a store on a bad day: {len(told)} rows of {videos} videos", whole)]


PARTS: dict[str, Callable[[argparse.Namespace, Path], list[Promise]]] = {
    "kills": kills, "rates": rates, "shares": shares, "memory": memory, "cut": cuts, "ray": with_ray, "store": store,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--folder", type=Path, help="where videos are made and kept")
    parser.add_argument("--sizes", default=",".join(SIZES), help="of the videos of `rates` and `shares`")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=4, help="files of a hundred seconds for a rate")
    parser.add_argument("--files", type=int, default=10_000, help="small files to kill scans over")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--ray-kills", type=int, default=20)
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=600, help="of the rows of `memory`")
    parser.add_argument("--objects", type=int, default=3500)
    args = parser.parse_args()
    if args.folder is not None:
        args.folder.mkdir(parents=True, exist_ok=True)
    broken = 0
    for part in args.only.split(","):
        with tempfile.TemporaryDirectory(prefix="archive-", dir=args.folder) as folder:
            for words, holds in PARTS[part](args, Path(folder)):
                print(f"{'ok    ' if holds else 'BROKEN'} {words}", flush=True)
                broken += not holds
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
