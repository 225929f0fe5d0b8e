"""How many WebSocket cameras one core serves: A0 in the fastest mode, JPEG pictures at 5 a second, 99 % within 300 ms.

    python benchmarks/serve_load.py
    python benchmarks/serve_load.py --streams 50 --seconds 20          # so many, instead of the most
    chrt --rr 1 python benchmarks/serve_load.py                        # as root on Linux, where others use the machine

`movinet serve` has a core to itself: sockets, decoding, scaling, the network, answers. Clients are another process on
another core; each sends 192×192 JPEGs at a phase of its own, and a picture's time runs from when it was due until its
answer was read. A trial counts where nothing is dropped or refused and the limit is kept; the most streams are found by
halving. The floor is the same pool in one process without sockets, with pictures that need no decoding
(`live_streams.py`, 8-bit). Processor time a picture is told for both: on a busy machine it says more than the streams.

Promises: 50 cameras, 0.6 of the pool's own, and that of three times too many what cannot be looked at is shed and told,
while half as many answers are given as before. Exits with 1 where one is broken. Weights are random: it makes no
difference.
"""

import argparse
import asyncio
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from live_streams import most as most_without_sockets
from live_streams import trial as without_sockets
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from movinet.arch.zoo import network_spec
from movinet.serve.tile import encode_jpeg
from movinet.weights.safetensors_file import save_weights
from movinet.weights.weights import Weights

LIMIT_MS, RATE, SIDE = 300.0, 5.0, 192
LEAST, SHARE = 50, 0.6
STILL = 0.5  # of the answers, among three times too many


@dataclass(frozen=True)
class Load:
    """What became of some cameras."""

    streams: int
    p50: float  # ms
    p99: float
    answered: int
    dropped: int
    refused: int
    unanswered: int
    cost: float  # ms of the server's processor time a picture
    busy: float  # share of a core
    megabytes: float  # the server's memory at the end

    @property
    def is_kept(self) -> bool:
        return self.dropped == 0 and self.refused == 0 and self.unanswered == 0 and self.p99 < LIMIT_MS


@contextmanager
def serving(described: dict[str, Any]) -> Iterator[tuple[int, int]]:
    """A server with those settings in a process of its own: its port, and its process."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Path(folder) / "serve.yaml"
        settings.write_text(json.dumps({"port": 0, "state": folder, **described}))
        command = [sys.executable, "-m", "movinet", "serve", "--config", str(settings)]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                for line in process.stderr:
                    if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                        break
                else:
                    sys.exit("the server did not start")
                threading.Thread(target=process.stderr.read, daemon=True).start()  # a full pipe would hold it up
                yield int(found[1]), process.pid
            finally:
                process.terminate()
                process.wait(30)


def processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def megabytes(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmRSS:\s*(\d+)", status)[1]) / 1024  # type: ignore[index]


class Camera:
    """One client: sends at its rate whatever comes of it, and notes how long answers take."""

    def __init__(self, pictures: Sequence[bytes], begins: float, ends: float) -> None:
        self._pictures, self._begins, self._ends = pictures, begins, ends
        self.due: dict[float, float] = {}
        self.waits: list[float] = []
        self.counts = {"dropped": 0, "refused": 0, "skipped": 0}

    async def run(self, address: str, settled: float) -> None:
        async with connect(address, compression=None, max_queue=64) as socket:
            opening = {"type": "open", "size": [SIDE, SIDE], "format": "jpeg"}
            await socket.send(json.dumps(opening))
            assert json.loads(await socket.recv())["type"] == "opened"
            reading = asyncio.create_task(self._read(socket))
            n, due = 0, self._begins
            while due < self._ends:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                if due >= settled:
                    self.due[n / RATE] = due
                await socket.send(struct.pack("<d", n / RATE) + self._pictures[n % len(self._pictures)])
                n, due = n + 1, due + 1 / RATE
            await asyncio.sleep(1.0)
            reading.cancel()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for text in socket:
                message = json.loads(text)
                due = self.due.pop(message["time"], None) if message["type"] in ("prediction", *self.counts) else None
                if due is None:
                    continue
                if message["type"] == "prediction":
                    self.waits.append(time.perf_counter() - due)
                else:
                    self.counts[message["type"]] += 1
        except ConnectionClosed:
            pass


async def crowd(port: int, pid: int, streams: int, seconds: float, pictures: Sequence[bytes]) -> Load:
    """So many cameras at once; the second half counts."""
    begin = time.perf_counter() + 1 + streams / 100
    ends, settled = begin + seconds, begin + seconds / 2
    phases = begin + (seconds / 4) * np.arange(streams) / streams
    phases += np.random.default_rng(streams).random(streams) / RATE
    cameras = [Camera(pictures, float(phase), ends) for phase in phases]
    running = asyncio.gather(*(one.run(f"ws://127.0.0.1:{port}/api/stream", settled) for one in cameras))
    await asyncio.sleep(max(0.0, settled - time.perf_counter()))
    spent, since = processor_seconds(pid), time.perf_counter()
    await asyncio.sleep(max(0.0, ends - time.perf_counter()))
    spent, took = processor_seconds(pid) - spent, time.perf_counter() - since
    size = megabytes(pid)
    await running
    waits = [wait for one in cameras for wait in one.waits] or [float("inf")]
    p50, p99 = (float(p) for p in 1e3 * np.percentile(waits, [50, 99], method="higher"))
    dropped, refused = (sum(one.counts[what] for one in cameras) for what in ("dropped", "refused"))
    left = sum(len(one.due) + one.counts["skipped"] for one in cameras)
    cost = 1e3 * spent / max(1, len(waits) + dropped)
    return Load(streams, p50, p99, len(waits), dropped, refused, left, cost, spent / took, size)


def trial(weights: Path, streams: int, options: argparse.Namespace, pictures: Sequence[bytes]) -> Load:
    bounds = {"connections": 4 * streams + 50}
    described = {
        "models": [str(weights)],
        "fast": True,
        "max_streams": streams,
        "batch": options.batch,
        "bounds": bounds,
    }
    os.sched_setaffinity(0, {options.cores[0]})  # which children inherit
    with serving(described) as (port, pid):
        os.sched_setaffinity(0, {options.cores[1]})
        found = asyncio.run(crowd(port, pid, streams, options.seconds, pictures))
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read().decode()
        told = sum(map(float, re.findall(r'answers_total\{answer="dropped"\} (\S+)', metrics)))
        if told < found.dropped:
            sys.exit(f"{found.dropped} pictures were dropped, and {told:.0f} are counted")
    print(f"    {found}", file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="*", default=[], help="so many instead of the most")
    parser.add_argument("--most", type=int, default=160, help="streams, where the search begins")
    parser.add_argument("--batch", type=int, help="streams that share a step; by default as the server does")
    parser.add_argument("--seconds", type=float, default=12.0, help="of every trial; the second half counts")
    parser.add_argument("--cores", type=int, nargs=2, default=sorted(os.sched_getaffinity(0))[:2])
    parser.add_argument("--json", action="store_true", help="print JSON instead of words")
    options = parser.parse_args()
    if len(options.cores) < 2:
        sys.exit("two cores are needed: one for the server, one for the clients")
    options.modes, broken = "fast", []
    generator = np.random.default_rng(0)
    y, x = np.mgrid[:SIDE, :SIDE]
    soft = [np.stack([x + 9 * n, y, (x + y) // 2], -1) for n in range(8)]
    pictures = [encode_jpeg((one + generator.integers(0, 30, one.shape)).astype(np.uint8), SIDE) for one in soft]
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as folder:
        untrained, weights = Weights.untrained(network_spec("movinet_a0_stream")), Path(folder) / "a0.safetensors"
        save_weights(weights, untrained.arrays, untrained.info)
        batch = options.batch or 4
        if options.streams:
            found = [trial(weights, streams, options, pictures) for streams in options.streams]
            floors = [
                without_sockets(weights, "fast", "uint8", batch, streams, options.seconds, options.cores)
                for streams in options.streams
            ]
            for one, floor in zip(found, floors, strict=True):
                said = "kept" if one.is_kept else "not kept"
                print(
                    f"{one.streams} cameras, {said}: {one}\n  without sockets: {floor}, {floor.cost:.2f} ms a picture"
                )
            return
        few, many, best = 0, options.most, None
        while many - few > max(1, many // 20):
            one = trial(weights, (few + many) // 2, options, pictures)
            if one.is_kept:
                few, best = one.streams, one
            else:
                many = one.streams
        alone = most_without_sockets(weights, "fast", "uint8", batch, options)
        over = trial(weights, 3 * many, options, pictures)
    size = sum(map(len, pictures)) / len(pictures) / 1024
    if best is None or alone is None:
        sys.exit("not one camera is served in time: the machine is too busy")
    share = best.streams / alone.streams
    if options.json:
        print(
            json.dumps({"served": asdict(best), "alone": asdict(alone), "over": asdict(over), "load": load}, indent=2)
        )
    else:
        print(f"JPEGs of {SIDE}×{SIDE}, {size:.1f} KB; load before: {load:.1f}")
        print(
            f"served: {best.streams} cameras, {best.cost:.2f} ms a picture, p50 {best.p50:.0f}, p99 {best.p99:.0f} ms"
        )
        print(f"pool alone: {alone.streams} streams, {alone.cost:.2f} ms a picture; served / alone: {share:.2f}")
        print(
            f"{over.streams} cameras: {over.answered} answered, {over.dropped} dropped and told, p99 {over.p99:.0f} ms"
        )
    if best.streams < LEAST:
        broken.append(f"{best.streams} cameras, and {LEAST} were promised")
    if share < SHARE:
        broken.append(f"{share:.2f} of the pool's own, and {SHARE} were promised")
    if over.dropped == 0:
        broken.append("too many cameras are not shed")
    if over.answered < STILL * best.answered:
        broken.append(f"{over.answered} answers among too many cameras, of {best.answered} before")
    if broken:
        sys.exit("; ".join(broken))


if __name__ == "__main__":
    main()
