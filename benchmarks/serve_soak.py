"""Half an hour of a server whose clients stall, vanish and talk nonsense: others do not notice, and nothing grows.

    python benchmarks/serve_soak.py
    python benchmarks/serve_soak.py --minutes 3 --clients 40 --model movinet_a0_stream.k600

`movinet serve` is a process of its own. Nine clients in ten send pictures at the network's rate and want one answer to
each; every tenth is stalled (it never reads), killed (it breaks off within a frame) or sends garbage, over and over. A
film is added and removed as a source meanwhile. Every place is taken once before it begins. Exits with 1 where a good
client lost an answer or its connection, the server died, or memory grew by over 2 % after the second minute.
"""

import argparse
import asyncio
import json
import os
import random
import socket
import struct
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from contextlib import AsyncExitStack, suppress
from pathlib import Path

import numpy as np
from serve_load import megabytes, processor_seconds, serving
from websockets.asyncio.client import connect

from movinet.serve.tile import encode_jpeg
from movinet.video.sample import sample_clip

TOLERANCE = 0.02
SIDE, RATE, SOON = 128, 5.0, 60.0
PICTURES = [
    encode_jpeg(np.random.default_rng(n).integers(0, 256, (8, 8, 3)).repeat(16, 0).repeat(16, 1).astype(np.uint8), SIDE)
    for n in range(8)
]
OPENING = json.dumps({"type": "open", "size": [SIDE, SIDE], "format": "jpeg", "memory": 3})


class Soak:
    """Everybody who talks to the server at `port`, until `over`."""

    def __init__(self, port: int, over: float) -> None:
        self.port, self.over = port, over
        self.counts: Counter[str] = Counter()
        self.waits: list[float] = []
        self.faults: list[str] = []

    def going(self) -> bool:
        return time.monotonic() < self.over

    async def good(self, seed: int) -> None:
        """Wants an answer to every picture, and comes again now and then."""
        chance = random.Random(seed)
        while self.going():
            try:
                await self._converse(chance)
            except Exception as error:
                self.faults.append(f"a good client: {type(error).__name__}: {error}")
                await asyncio.sleep(1)

    async def _converse(self, chance: random.Random) -> None:
        async with connect(f"ws://127.0.0.1:{self.port}/api/stream", compression=None, open_timeout=SOON) as one:
            await one.send(OPENING)
            until = time.monotonic() + chance.uniform(5, 60)
            for n in range(10_000):
                if not self.going() or time.monotonic() > until:
                    break
                began = time.monotonic()
                await one.send(struct.pack("<d", n / RATE) + PICTURES[n % len(PICTURES)])
                async with asyncio.timeout(SOON):
                    while (message := json.loads(await one.recv()))["type"] in ("opened", "begun", "ended"):
                        pass
                if message["type"] != "prediction" or message["time"] != round(n / RATE, 3):
                    raise AssertionError(f"picture {n}: {message}")
                self.counts["answers"] += 1
                self.waits.append(time.monotonic() - began)
                await asyncio.sleep(max(0.0, began + 1 / RATE - time.monotonic()))
            await one.send('{"type": "close"}')
            async with asyncio.timeout(SOON):
                while json.loads(await one.recv())["type"] != "over":
                    pass

    async def bad(self, seed: int) -> None:
        """Stalls, vanishes, or talks nonsense."""
        chance = random.Random(seed)
        while self.going():
            kind = chance.choice(["stalled", "killed", "garbage", "garbage in frames", "wrong requests"])
            self.counts[kind] += 1
            with suppress(OSError, asyncio.TimeoutError, EOFError):
                await self._misbehave(kind, chance)
            await asyncio.sleep(chance.uniform(0, 0.5))

    async def _misbehave(self, kind: str, chance: random.Random) -> None:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", self.port))
        reader, writer = await asyncio.open_connection(sock=raw)
        try:
            if kind == "garbage":
                writer.write(chance.randbytes(chance.randrange(1, 5000)))
                await asyncio.sleep(chance.random())
                return
            if kind == "wrong requests":
                method = chance.choice(["GET", "POST", "PUT", "DELETE", "BREW"])
                path = chance.choice(["/api/sources", "/api/sources/%00", "/../x", "/api/events?types=x", "/api/login"])
                body = chance.randbytes(chance.randrange(300))
                head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
                writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                async with asyncio.timeout(5):
                    await reader.read(1000)
                return
            writer.write(
                b"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            async with asyncio.timeout(SOON):
                await reader.readuntil(b"\r\n\r\n")
            writer.write(framed(OPENING.encode(), 0x81))
            if kind == "garbage in frames":
                for _ in range(chance.randrange(1, 6)):
                    writer.write(
                        framed(chance.randbytes(chance.randrange(200)), chance.choice([0x81, 0x82, 0x80, 0x89, 0x8F]))
                    )
                await asyncio.sleep(chance.random())
                return
            picture = framed(struct.pack("<d", 0.0) + PICTURES[0], 0x82)
            if kind == "killed":
                writer.write(picture[: chance.randrange(1, len(picture))])
                await writer.drain()
                await asyncio.sleep(chance.random())
                writer.transport.abort()
                return
            until = time.monotonic() + chance.uniform(5, 40)  # longer than the server waits for who does not read
            for n in range(1 << 20):
                if time.monotonic() > until or not self.going() or writer.is_closing():
                    break
                writer.write(framed(struct.pack("<d", n / RATE) + PICTURES[0], 0x82))
                async with asyncio.timeout(20):
                    await writer.drain()
                await asyncio.sleep(0.01)
        finally:
            writer.close()

    async def sources(self) -> None:
        """A film comes and goes."""
        while self.going():
            status = await asyncio.to_thread(self.ask, "POST", {"name": "film", "address": "film.mp4", "loop": True})
            if status != 201:
                self.faults.append(f"a source was not added: {status}")
            await asyncio.sleep(5)
            status = await asyncio.to_thread(self.ask, "DELETE", None)
            if status != 204:
                self.faults.append(f"a source was not removed: {status}")
            self.counts["sources"] += 1

    def ask(self, method: str, entry: dict[str, object] | None) -> int:
        path = "/api/sources" if method == "POST" else "/api/sources/film"
        data = None if entry is None else json.dumps(entry).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=SOON) as answer:
            return int(answer.status)


def framed(data: bytes, first: int) -> bytes:
    """A client's frame, masked with zeros."""
    return struct.pack(">BBH", first, 0x80 | 126, len(data)) + b"\0" * 4 + data


async def fill(port: int, places: int) -> None:
    """Take every place once: the pool has memory for all, which the system counts when it is touched."""
    async with AsyncExitStack() as kept:
        for _ in range(places):
            one = await kept.enter_async_context(connect(f"ws://127.0.0.1:{port}/api/stream", compression=None))
            await one.send(OPENING)
            await one.send(struct.pack("<d", 0.0) + PICTURES[0])
            while json.loads(await one.recv())["type"] != "prediction":
                pass


async def soak(port: int, pid: int, options: argparse.Namespace) -> tuple[Soak, list[tuple[float, int, int]]]:
    await fill(port, options.clients + 20)
    one = Soak(port, time.monotonic() + 60 * options.minutes)
    bad = max(3, options.clients // 10)
    running = [asyncio.create_task(one.good(n)) for n in range(options.clients - bad)]
    running += [asyncio.create_task(one.bad(1000 + n)) for n in range(bad)]
    running.append(asyncio.create_task(one.sources()))
    sizes: list[tuple[float, int, int]] = []
    begin, spent = time.monotonic(), processor_seconds(pid) + time.process_time()
    step = min(1.0, options.minutes / 6) * 60
    while one.going():
        await asyncio.sleep(min(step, max(0.1, one.over - time.monotonic())))
        sizes.append((megabytes(pid), len(os.listdir(f"/proc/{pid}/task")), len(os.listdir(f"/proc/{pid}/fd"))))
        p99 = 1e3 * float(np.percentile(one.waits or [0], 99))
        what = ", ".join(f"{count} {name}" for name, count in sorted(one.counts.items()))
        size, threads, files = sizes[-1]
        at = time.monotonic() - begin
        busy = (processor_seconds(pid) + time.process_time() - spent) / at
        told = f"{at / 60:.1f} min: {size:.1f} MB, {threads} threads, {files} files; p99 {p99:.0f} ms"
        print(f"{told}; server and clients took {busy:.2f} of a core; {what}", flush=True)
        one.waits.clear()
    await asyncio.wait(running, timeout=SOON)
    return one, sizes


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--clients", type=int, default=40, help="one in ten of them misbehaves")
    parser.add_argument("--model", default="movinet_t0_stream.gestures")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "film.mp4").write_bytes(sample_clip().read_bytes())
        described = {"models": [options.model], "max_streams": options.clients + 20, "files": folder}
        with serving(described) as (port, pid):
            one, sizes = asyncio.run(soak(port, pid, options))
            alive = urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=30).status == 200
    settled = sizes[len(sizes) // 3 :] if options.minutes < 6 else sizes[2:]
    growth = max(size for size, _, _ in settled) / settled[0][0] - 1
    print(f"memory: at most {100 * growth:+.2f} % after {'a third' if options.minutes < 6 else 'minute two'}")
    print(f"{one.counts['answers']} answers to good clients; faults: {len(one.faults)}", *one.faults[:5], sep="\n")
    broken = list(one.faults[:1])
    if growth > TOLERANCE:
        broken.append(f"memory grew by over {100 * TOLERANCE:.0f} %")
    if settled[-1][1] > settled[0][1] + 8:
        broken.append("threads grew")
    if not alive:
        broken.append("the server is not well")
    if broken:
        sys.exit("; ".join(broken))


if __name__ == "__main__":
    main()
