"""Predictions a second, latency and what they cost, of cameras of every kind. Part of benchmarks/cameras.py."""

import itertools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rig import CameraProcess, footage
from watched import Count, Line, Watch, quantile

WANTED = 5.0  # predictions a second of the bundled network
SETTLE = 3.0  # seconds after the first prediction that do not count
RTSP = ("h264", "h265", "udp")
TOLD_APART = 1024  # numbers of a camera's own


@dataclass(frozen=True)
class Rate:
    """How a camera was watched.

    Args:
        name: Which.
        rate: Predictions a second, by the clock on the wall.
        missed: Ticks of the network's grid between two predictions without one.
        dropped: What the program says it dropped.
        latency: Milliseconds from camera to prediction, median and 99th percentile; None of HLS, which is late by kind.
        allowed: The same, at most.
        first: Seconds from the program's start to the first prediction.
        processor: Percent of a core; of the whole program.
        mb: Resident; of the whole program.
    """

    name: str
    rate: float
    missed: int
    dropped: float
    latency: tuple[float, float] | None
    allowed: float
    first: float
    processor: float
    mb: float

    def faults(self) -> list[str]:
        found = []
        if abs(self.rate - WANTED) > 0.02:
            found.append(f"{self.name}: {self.rate:.3f} predictions a second")
        if self.missed:
            found.append(f"{self.name}: {self.missed} predictions missing")
        if self.latency is not None and not self.latency[1] <= self.allowed:
            found.append(f"{self.name}: latency p99 {self.latency[1]:.0f} ms, over {self.allowed:.0f}")
        return found


def of_kind(kind: str, size: str, fps: int, first: int = 0) -> dict[str, Any]:
    """A camera for `camera_rig.rig_command`."""
    codec = {"h265": "hevc", "mjpeg": "mjpeg", "esp32": "mjpeg", "jpeg": "mjpeg"}.get(kind, "h264")
    about = {"kind": "rtsp" if kind in RTSP else kind, "footage": footage(codec, size, fps, first=first)}
    return {**about, "transports": ["udp"]} if kind == "udp" else about


def measure(cameras: Sequence[tuple[str, str, int]], seconds: float, gstreamer: bool) -> list[Rate]:
    """Watch cameras at once, each told by its kind, size and pictures a second, for so many seconds."""
    rtsp = [n for n, (kind, _, _) in enumerate(cameras) if kind in RTSP]
    others = [n for n in range(len(cameras)) if n not in rtsp]
    abouts = [of_kind(*camera, first=n * TOLD_APART) for n, camera in enumerate(cameras)]
    with tempfile.TemporaryDirectory() as folder:
        processes: dict[int, tuple[Any, int]] = {}
        urls: dict[int, str] = {}
        started = []
        try:
            for group, real in ((rtsp, gstreamer), (others, False)):
                if group:
                    process = CameraProcess([abouts[n] for n in group], gstreamer=real)
                    process.start()
                    started.append(process)
                    for place, n in enumerate(group):
                        processes[n], urls[n] = (process, place), process.urls[place]
            ordered = [urls[n] for n in range(len(cameras))]
            udp = ["--transport", "udp"] if any(kind == "udp" for kind, _, _ in cameras) else []
            with Watch(*ordered, *udp, counts=Path(folder) / "counts") as watch:
                return _measure(watch, cameras, ordered, processes, seconds)
        finally:
            for process in started:
                process.kill()


def _measure(
    watch: Watch,
    cameras: Sequence[tuple[str, str, int]],
    urls: Sequence[str],
    processes: dict[int, tuple[Any, int]],
    seconds: float,
) -> list[Rate]:
    alone = len(urls) == 1

    def predicts(url: str, line: Line) -> bool:
        return line.kind == "prediction" and (alone or line.source == url)

    firsts = [watch.wait(lambda line, url=url: predicts(url, line), 40) for url in urls]  # type: ignore[misc]
    time.sleep(SETTLE)
    before, since = watch.usage(), time.monotonic()
    if watch.wait(lambda line: False, seconds) is None and watch.process.poll() is not None:
        raise SystemExit(f"movinet ended: {[x.what for x in watch.lines[-3:]]}")
    after, until = watch.usage(), time.monotonic()
    counts = [count for count in watch.counts() if since <= count.came < until]
    processor = after.processor - before.processor - sum(count.spent for count in counts)
    rates = []
    for n, ((kind, size, fps), url) in enumerate(zip(cameras, urls, strict=True)):
        lines = watch.of("prediction", None if alone else url, since, until)
        process, place = processes[n]
        sent = [tuple(one) for one in process.order(place, sent=100_000)]
        seen = [count for count in counts if count.number // TOLD_APART == n]
        waits = delays(seen, sent)
        first = firsts[n]
        rates.append(
            Rate(
                name=f"{kind} {size}{fps}",
                rate=_rate(lines),
                missed=_missed(lines),
                dropped=last_figure(lines, "dropped"),
                latency=None if kind == "hls" else (quantile(waits, 0.5), quantile(waits, 0.99)),
                allowed=1000 / fps + 20,
                first=float("nan") if first is None else first.at - watch.began,
                processor=100 * processor / (after.at - before.at),
                mb=after.mb,
            )
        )
    return rates


def _rate(lines: Sequence[Line]) -> float:
    return (len(lines) - 1) / (lines[-1].at - lines[0].at) if len(lines) > 1 else 0.0


def _missed(lines: Sequence[Line]) -> int:
    times = [line.what["time"] for line in lines]
    return sum(max(0, round((b - a) * WANTED) - 1) for a, b in itertools.pairwise(times))


def last_figure(lines: Sequence[Line], figure: str) -> float:
    """What the newest line that tells a figure says; NaN where none does."""
    for line in reversed(lines):
        if figure in line.what:
            return float(line.what[figure])
        for value in line.what.values():
            if isinstance(value, dict) and figure in value:
                return float(value[figure])
    return float("nan")


def delays(seen: Sequence[Count], sent: Sequence[tuple[Any, ...]]) -> list[float]:
    """Milliseconds from the last time a picture was sent to its answer."""
    when: dict[int, list[float]] = {}
    for number, at, _ in sent:
        when.setdefault(number, []).append(at)
    found = []
    for count in seen:
        before = [at for at in when.get(count.number, []) if at <= count.came]
        if before:
            found.append(1000 * (count.answered - before[-1]))
    return found
