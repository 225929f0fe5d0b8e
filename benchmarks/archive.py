"""Scans of archives: nothing lost and nothing twice through kills, throughput beside decoding alone, long files in
pieces, Ray, memory of the parent, an object store on a bad day.

    python benchmarks/archive.py                                     # everything; hours
    python benchmarks/archive.py --only kills --files 10000 --kills 200
    python benchmarks/archive.py --only rates --folder /tmp/videos
    python benchmarks/archive.py --only small,memory,store
    python benchmarks/archive.py --only cut --streams 10 --hours 1
    python benchmarks/archive.py --only ray --kills 20

Prints figures a line, and exits with 1 where a promise is broken: rows = files and none twice; at least 0.85 of the
rate of FFmpeg decoding the same files with one thread a core, on one core and two; two cores against one at least 0.97
of what FFmpeg gains itself; small files take at most decoding + 1.2 × stepping; with Ray at most a tenth longer; events
of long files the same in pieces; the parent's memory flat over 100,000 rows, and a run over them resumed within 5 s.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import av
import numpy as np
from archive_kills import kills
from archive_videos import SIZES, footage, gestures
from file_to_labels import make_weights

from movinet.archive.items import Item, file_item
from movinet.archive.looking import Looker, Outcome, Task, Wishes, failed_row, provenance
from movinet.archive.pieces import Piece, cut
from movinet.archive.results import open_results
from movinet.archive.scan_run import Scan
from movinet.archive.tally import Answers
from movinet.archive.workers import Lost
from movinet.recognizer import Recognizer
from movinet.video.container import Video, open_at
from movinet.video.decode import frames_of
from movinet.video.pacer import FilePacer
from movinet.video.sample import sample_clip

OF_DECODING, OF_SCALING, OF_STEPPING, OF_LOCAL, RESUMED = 0.85, 0.97, 1.2, 1.1, 5.0
ROWS = 100_000

Promise = tuple[str, bool]


def scan(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "movinet", "scan", *map(str, arguments)]


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {len(os.sched_getaffinity(0))} cores"


def rates(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """Hours of video an hour, by size, beside FFmpeg in turns, on one core and two.

    By the clock on a quiet machine. Where others work on it, too, by the processor time of one process that does
    nothing but look at videos, and of one that decodes them; two cores are not compared then.
    """
    make_weights(folder / "a0.safetensors", os.environ)
    kept, cores = [], sorted(os.sched_getaffinity(0))[:2]
    for name, size in SIZES.items():
        path = footage((args.folder or folder) / f"{name}.mp4", size, clips(), 100.0)
        if os.getloadavg()[0] > len(cores) + 0.5:
            ours, theirs = processor_rates(path, folder, args.rounds)
            print(f"{name}, by processor time: {ours:.0f} hours of video an hour a core, FFmpeg {theirs:.0f}; {load()}")
        else:
            rate = clock_rates(path, folder, args.copies, args.rounds, cores)
            for count in (1, 2):
                ours, theirs = rate["scan", count], rate["ffmpeg", count]
                print(f"{name}, {count} core(s): {ours:.0f} hours of video an hour, FFmpeg {theirs:.0f}; {load()}")
            gain = (rate["scan", 2] / rate["scan", 1]) / (rate["ffmpeg", 2] / rate["ffmpeg", 1])
            kept.append((f"{name}: two cores gain {gain:.2f} of what FFmpeg gains", gain >= OF_SCALING))
            if size[1] >= 720:
                kept.append((f"{name} on two: {ours / theirs:.2f} of decoding alone", ours >= OF_DECODING * theirs))
            ours, theirs = rate["scan", 1], rate["ffmpeg", 1]
        print(f"{name}: a million hours take {1e6 / ours:,.0f} core-hours")
        if size[1] >= 720:  # smaller pictures are decoded in less time than a network needs
            kept.append((f"{name} on one: {ours / theirs:.2f} of decoding alone", ours >= OF_DECODING * theirs))
    return kept


def processor_rates(path: Path, folder: Path, rounds: int) -> tuple[float, float]:
    """Hours of video an hour of processor time: looked at, and decoded."""
    recognizer = Recognizer.load(folder / "a0.safetensors", threads=1)
    ports, wishes = recognizer.engine.signature.state, Wishes(Answers(None), piece=0)
    looker = Looker(recognizer.network, recognizer.session(), ports, wishes, folder, "0" * 8)

    def decode() -> None:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            for _ in container.decode(stream):
                pass

    calls = (lambda: looker.look(Task(0, file_item(path)), None, _alive), decode)
    best = [float("inf"), float("inf")]
    for _ in range(rounds):
        for number, call in enumerate(calls):
            begin = time.process_time()
            call()
            best[number] = min(best[number], time.process_time() - begin)
    return 100 / best[0], 100 / best[1]


def clock_rates(
    path: Path, folder: Path, copies: int, rounds: int, cores: Sequence[int]
) -> dict[tuple[str, int], float]:
    """Hours of video an hour by the clock, of whole scans and of FFmpeg, by how many cores they have."""
    videos = folder / path.stem
    videos.mkdir()
    for number in range(copies):
        os.link(path, videos / f"{number}.mp4")
    best: dict[tuple[str, int], float] = {}
    for turn in range(rounds):
        for count in (1, 2):
            out = folder / f"{path.stem}-{turn}-{count}"
            took = {"ffmpeg": in_parallel(videos, cores[:count]), "scan": scanning(videos, out, folder, cores[:count])}
            for what, seconds in took.items():
                best[what, count] = max(best.get((what, count), 0.0), 100 * copies / seconds)
    return best


DECODE = """
import sys, av
with av.open(sys.argv[1]) as container:
    stream = container.streams.video[0]
    stream.codec_context.thread_count = 1
    for frame in container.decode(stream):
        pass
"""


def decoding(path: Path) -> list[str]:
    """FFmpeg decoding a file with one thread and doing nothing with it: its libraries, as PyAV brings them."""
    return [sys.executable, "-c", DECODE, str(path)]


def clips() -> list[Path]:
    """Real ones, where there are."""
    shared = Path(os.environ.get("MOVINET_SHARED", Path(__file__).parents[2] / "shared"))
    return sorted((shared / "clips").glob("*.*"))


def in_parallel(folder: Path, cores: Sequence[int]) -> float:
    """Seconds that FFmpeg takes for all files of a folder, a process a core."""
    waiting = [decoding(path) for path in sorted(folder.iterdir())]
    begin = time.perf_counter()

    def work(core: int) -> None:
        while True:
            try:
                command = waiting.pop()
            except IndexError:
                return
            subprocess.run(["taskset", "-c", str(core), *command], check=True)

    threads = [threading.Thread(target=work, args=(core,)) for core in cores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - begin


def scanning(videos: Path, out: Path, folder: Path, cores: Sequence[int], *options: str) -> float:
    """Seconds that a scan takes from the moment its first worker is there, as it says itself."""
    command = scan(videos, "--out", out, "--model", folder / "a0.safetensors", "--json", "--piece", "0", *options)
    pinned = ["taskset", "-c", ",".join(map(str, cores)), *command, "--processes", str(len(cores))]
    said = subprocess.run(pinned, check=True, capture_output=True, text=True).stdout.splitlines()
    summary = json.loads(said[-1])
    assert summary["complete"], summary
    assert not summary["failed"], summary
    return float(summary["seconds"])


def small(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """Processor time of small files: decoding alone, stepping alone, and both with everything about them."""
    make_weights(folder / "a0.safetensors", os.environ)
    recognizer = Recognizer.load(folder / "a0.safetensors", threads=1)
    network, engine = recognizer.network, recognizer.engine
    transform = network.info.transform
    looker = Looker(network, recognizer.session(), engine.signature.state, Wishes(Answers(None)), folder, "0" * 8)
    item, count = file_item(sample_clip()), 40
    frames = looker.look(Task(0, item), None, lambda: None).row["frames"]

    def decode() -> None:
        pacer = FilePacer(transform.fps)
        with open_at(item.path, 0.0, None, 1, pacer=pacer) as video:
            for frame in frames_of(video, pacer):
                frame.kept(transform)

    state, image = engine.init_state(), np.zeros((1, *transform.size, 3), np.float32)
    contenders: dict[str, Callable[[], object]] = {
        "decoding": decode,
        "stepping": lambda: [engine.step(image, state) for _ in range(frames)],
        "all": lambda: looker.look(Task(0, item), None, lambda: None),
    }
    spent_on: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        for name, call in contenders.items():
            begin = time.process_time()
            for _ in range(count):
                call()
            spent_on.setdefault(name, []).append((time.process_time() - begin) / count)
    ms = {name: 1000 * statistics.median(values) for name, values in spent_on.items()}
    print(
        f"a file of {frames} frames, ms of processor time: {', '.join(f'{n} {v:.1f}' for n, v in ms.items())}; {load()}"
    )
    over = (ms["all"] - ms["decoding"]) / ms["stepping"]
    return [(f"small files take decoding + {over:.2f} × stepping", over <= OF_STEPPING)]


class Instantly:
    """Workers that have looked at everything already."""

    def __init__(self, classes: int) -> None:
        self._came: list[Outcome | Lost] = []
        self._maxima = [round(value, 4) for value in np.linspace(0, 1, classes).tolist()]

    def room(self, ahead: bool) -> int:
        return 2 + ahead - len(self._came)

    @property
    def busy(self) -> int:
        return len(self._came)

    ready = True

    def give(self, task: Task) -> None:
        row = {**failed_row(task.item), **provenance("fake", "0", None, [], 0.01), "maxima": self._maxima}
        self._came.append(Outcome(task.number, "row", row))

    def take(self, seconds: float) -> list[Outcome | Lost]:
        came, self._came = self._came, []
        return came

    def close(self) -> None:
        pass


def memory(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """The parent's over 100,000 rows, and how long a run over them takes to begin."""
    settings = {"movinet scan": 1, "model": "fake", "hash": "0"}
    items = [Item(f"/data/videos/{number:06}.mp4", 1000 + number, "mtime:1") for number in range(ROWS)]
    resident: list[tuple[int, float]] = []

    def tell(progress: Any, row: Any) -> None:
        if row is not None and progress.done % 10_000 == 0:
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            resident.append((progress.done, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))

    begin = time.perf_counter()
    with open_results(folder / "fake", settings) as results:
        Scan(results, items, results.read(), False, "fake", "0").run(Instantly(args.classes), tell, threading.Event())
    took = time.perf_counter() - begin
    print(f"{ROWS:,} rows in {took:.0f} s; MiB resident: {', '.join(f'{n:,}: {mib:.0f}' for n, mib in resident)}")
    begin, before = time.perf_counter(), time.process_time()
    with open_results(folder / "fake", settings) as results:
        run = Scan(results, items, results.read(), False, "fake", "0")
    resumed, spent = time.perf_counter() - begin, time.process_time() - before
    print(
        f"a run over {ROWS:,} rows that are done begins within {resumed:.2f} s, {spent:.2f} of the processor; {load()}"
    )
    if os.getloadavg()[0] > 2:  # others' work is no fault of ours
        resumed = spent
    early, late = resident[1][1], resident[-1][1]
    return [
        (f"memory from row 20,000 to {ROWS:,}: {late - early:+.0f} MiB", late <= early * 1.05 + 5),
        (f"resumed within {resumed:.2f} s", resumed < RESUMED and run.left == 0),
    ]


def cuts(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """Long files, uncut and in pieces: their events, and the largest difference of a probability."""
    recognizer = Recognizer.load("movinet_t0_stream.gestures", memory=4.0, threads=1)
    wishes = Wishes(Answers(4.0), frames=True)
    ports = recognizer.engine.signature.state
    looker = Looker(recognizer.network, recognizer.session(), ports, wishes, folder, "0" * 8)
    same, worst = 0, 0.0
    for stream in range(args.streams):
        path = gestures(folder / f"stream{stream}.mp4", round(args.hours * 3600), stream)
        begin = time.process_time()
        whole = looker.look(Task(1, file_item(path), Piece(0, 0, 0, None)), None, lambda: None)
        uncut = time.process_time() - begin
        with Video(path) as video:
            pieces = cut(video, recognizer.info.spec, 4.0)
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
        worst = max(worst, apart)
        print(
            f"stream {stream}: {len(equal[0])} events uncut, {len(equal[1])} in {len(pieces)} pieces, "
            f"{'the same' if equal[0] == equal[1] else 'DIFFERENT'}; largest difference of a probability {apart:.1e}; "
            f"{pieced / uncut:.2f} of the uncut run's processor time",
            flush=True,
        )
        path.unlink()
    return [
        (f"{same} of {args.streams} long streams have the same events in pieces, ±{worst:.1e}", same == args.streams)
    ]


def _alive() -> None:
    pass


def event_places(outcome: Outcome) -> list[tuple[str, float, float]]:
    return [(event["label"], event["start"], event["end"]) for event in outcome.row["events"]]


def difference(folder: Path, whole: Outcome, parts: Sequence[Outcome]) -> float:
    from movinet.archive.spool import Spooled, read_spooled

    def values(outcomes: Sequence[Outcome]) -> Any:
        files = [Spooled.of_dict(one) for outcome in outcomes for one in outcome.files["answers"]]
        return np.concatenate([rows["values"] for one in files for rows in read_spooled(folder, one)])

    return float(np.abs(values([whole]) - values(parts)).max())


def with_ray(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """Two actors against two processes, after their start."""
    make_weights(folder / "a0.safetensors", os.environ)
    path = footage((args.folder or folder) / "340x256.mp4", SIZES["340x256"], clips(), 100.0)
    copies = folder / "for ray"
    copies.mkdir()
    for number in range(4 * args.copies):
        os.link(path, copies / f"{number}.mp4")
    took: dict[str, list[float]] = {"local": [], "ray": []}
    whole: list[float] = []
    cores = sorted(os.sched_getaffinity(0))[:2]
    for turn in range(args.rounds):
        took["local"].append(scanning(copies, folder / f"local{turn}", folder, cores))
        begin = time.perf_counter()
        took["ray"].append(scanning(copies, folder / f"ray{turn}", folder, cores, "--ray", "local"))
        whole.append(time.perf_counter() - begin - took["ray"][-1])
    ours, rays = min(took["local"]), min(took["ray"])
    print(f"local processes {ours:.1f} s, Ray {rays:.1f} s after a start (and an end) of {min(whole):.1f} s; {load()}")
    return [(f"Ray takes {rays / ours:.2f} of the time of local processes", rays <= OF_LOCAL * ours)]


def store(args: argparse.Namespace, folder: Path) -> list[Promise]:
    """An S3 store on loopback: many pages, every fifth request refused, every third read broken off."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    import boto3

    flaky_store = import_module("archive.flaky_store").flaky_store  # the tests'
    clip = sample_clip().read_bytes()
    with flaky_store() as (day, environment):
        os.environ.update(environment)
        client = boto3.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL"])
        client.create_bucket(Bucket="films")
        for number in range(args.objects):
            name = f"{number % 7}/{number:05}.{'mp4' if number % 50 == 0 else 'txt'}"
            client.put_object(Bucket="films", Key=name, Body=clip if number % 50 == 0 else b"x")
        day.busy, day.cut, day.requests = 5, 3, 0
        out = folder / "store"
        code = subprocess.run(
            scan("s3://films/", "--out", out, "--json"), stdout=subprocess.DEVNULL, check=False
        ).returncode
        told = rows(out)
    videos = len(range(0, args.objects, 50))
    print(
        f"{args.objects} objects on {day.pages} pages, {videos} videos: {len(told)} rows; {day.requests} requests, "
        f"{day.refused} refused, {day.cuts} broken off"
    )
    whole = code == 0 and len(told) == len(set(told)) == videos and day.pages > 1 and day.cuts > 0
    return [(f"a store on a bad day: {len(told)} rows of {videos} videos", whole)]


def rows(out: Path) -> list[str]:
    return [json.loads(line)["path"] for part in sorted((out / "jsonl").iterdir()) for line in part.open("rb")]


PARTS: dict[str, Callable[[argparse.Namespace, Path], list[Promise]]] = {
    "kills": kills, "rates": rates, "small": small, "memory": memory, "cut": cuts, "ray": with_ray, "store": store,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(PARTS), help="parts, with commas between them")
    parser.add_argument("--folder", type=Path, help="where videos are made and kept")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--copies", type=int, default=4, help="files of a hundred seconds for a rate")
    parser.add_argument("--files", type=int, default=10_000, help="small files to kill scans over")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--ray-kills", type=int, default=20)
    parser.add_argument("--streams", type=int, default=10)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--classes", type=int, default=600, help="of the rows of `memory`")
    parser.add_argument("--objects", type=int, default=2500)
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
