"""More cameras than the machine can decode, and memory and lag over many minutes. Part of benchmarks/cameras.py.

Lag is told from outside: how much later than its own stream says a prediction came, against the least so far; and where
pictures are counted, from the moment the camera sent one to its answer.
"""

import itertools
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from camera_rates import TOLD_APART, delays, last_figure
from rig import CameraProcess, footage
from watched import Count, Line, Usage, Watch, quantile

MOST_LAG = 1.5  # seconds
LEAST_SHARE = 0.8
GROWTH = 0.02
LEAST_RATE = 4.9  # predictions a second and camera over minutes


@dataclass(frozen=True)
class Crowd:
    """How cameras that are too many were watched.

    Args:
        cameras: How many.
        rate: Predictions a second and camera, in the mean.
        least: The least-served camera's share of the mean.
        lags: Seconds from camera to answer: the highest of each tenth of the time.
        left_out: Pictures of all cameras that were left out, as the program tells.
        told: Lines that say a camera lags, and that one has caught up.
        processor: Percent of a core.
        busy: The same, of everything that ran on the machine, cameras too.
        mb: Resident, at the beginning, middle and end.
    """

    cameras: int
    rate: float
    least: float
    lags: list[float]
    left_out: float
    told: tuple[int, int]
    processor: float
    busy: float
    mb: list[float]

    def faults(self) -> list[str]:
        found = []
        if not max(self.lags) <= MOST_LAG:
            found.append(f"crowd: lags {max(self.lags):.1f} s")
        if self.least < LEAST_SHARE:
            found.append(f"crowd: the least-served camera has {self.least:.2f} of the mean")
        if max(self.lags) > 1.0 and not self.left_out > 0:
            found.append("crowd: nothing is said to be left out")
        if self.mb[-1] > (1 + GROWTH) * self.mb[1]:
            found.append(f"crowd: memory grows, {self.mb[1]:.0f} to {self.mb[-1]:.0f} MB")
        return found


def crowd(cameras: int, seconds: float, gstreamer: bool, settle: float = 10.0) -> Crowd:
    """Watch 720p25 cameras with key frames every second."""
    abouts: list[dict[str, Any]] = []
    for n in range(cameras):  # footage of four: encoding takes its time
        file = footage("h264", "720p", 25, key_every=1.0, first=n % 4 * TOLD_APART)
        abouts.append({"kind": "rtsp", "footage": file})
    with (
        CameraProcess(abouts, gstreamer=gstreamer) as process,
        tempfile.TemporaryDirectory() as folder,
        Watch(*process.urls, counts=Path(folder) / "counts", count_every=5) as watch,
    ):
        for url in process.urls:
            watch.wait(lambda line, url=url: line.kind == "prediction" and line.source == url, 60)  # type: ignore[misc]
        time.sleep(settle)
        usages, since = [watch.usage()], time.monotonic()
        for _ in range(10):
            watch.wait(lambda line: False, seconds / 10)
            usages.append(watch.usage())
        until = time.monotonic()
        sent = [[tuple(one) for one in process.order(n, sent=100_000)] for n in range(cameras)]
        counts = [count for count in watch.counts() if since <= count.came < until]
        of = {url: watch.of("prediction", url, since, until) for url in process.urls}
        told = (len(watch.of("lagging")), len(watch.of("caught_up")))
    return _summed(of, sent, counts, usages, told)


def _summed(
    of: dict[str, list[Line]],
    sent: Sequence[Sequence[tuple[Any, ...]]],
    counts: Sequence[Count],
    usages: Sequence[Usage],
    told: tuple[int, int],
) -> Crowd:
    seconds = usages[-1].at - usages[0].at
    rates = [len(lines) / seconds for lines in of.values()]
    mean = sum(rates) / len(rates)
    lags = []
    for begin, end in itertools.pairwise(usages):
        # Cameras that show the same are alike to within a picture: each was sent when the first of them was.
        now = [count for count in counts if begin.at <= count.answered < end.at]
        late = [
            delay / 1000
            for n in range(min(4, len(sent)))
            for delay in delays([c for c in now if c.number // TOLD_APART == n], sent[n])
        ]
        lags.append(max(late, default=float("nan")))
    left_out = [last_figure(lines, "late") for lines in of.values()]
    used = usages[-1].processor - usages[0].processor
    middle = usages[len(usages) // 2]
    return Crowd(
        cameras=len(of),
        rate=mean,
        least=min(rates) / mean if mean else 0.0,
        lags=lags,
        left_out=sum(one for one in left_out if one == one),  # noqa: PLR0124 -- NaN: it says none
        told=told,
        processor=100 * used / seconds,
        busy=100 * (usages[-1].machine - usages[0].machine) / seconds,
        mb=[usages[0].mb, middle.mb, usages[-1].mb],
    )


@dataclass
class Soak:
    """Minutes of watching.

    Args:
        cameras: How many.
        minutes: How long.
        mb: Resident, every 10 s.
        lag: Seconds by which predictions came later than their stream says, against the first half minute: the median
            of every 10 s.
        rate: Predictions a second and camera.
        lost: How often a camera was.
        dropped: Frames that came too late for the network, of all cameras.
    """

    cameras: int
    minutes: float
    mb: list[float] = field(default_factory=list)
    lag: list[float] = field(default_factory=list)
    rate: float = 0.0
    lost: int = 0
    dropped: float = 0.0

    @property
    def growth(self) -> float:
        """Of memory, after the second minute."""
        settled = self.mb[12:] or self.mb[-1:]
        return max(settled) / settled[0] - 1

    @property
    def drift(self) -> float:
        """Seconds by which the last minute is later than the first."""
        return quantile(self.lag[-6:], 0.5) - quantile(self.lag[:6], 0.5)

    def faults(self) -> list[str]:
        found = []
        if self.growth > GROWTH:
            found.append(f"soak of {self.cameras}: memory grew by {100 * self.growth:.1f} % after minute two")
        if not self.rate > LEAST_RATE:
            found.append(f"soak of {self.cameras}: {self.rate:.2f} predictions a second")
        if not abs(self.drift) <= 0.1:
            found.append(f"soak of {self.cameras}: predictions drift by {self.drift:+.2f} s")
        return found


def soak(cameras: int, minutes: float, gstreamer: bool) -> Soak:
    """Watch cameras that the machine can decode: 720p25 where there is one, else 480p15."""
    file = footage("h264", "720p" if cameras == 1 else "480p", 25 if cameras == 1 else 15)
    found = Soak(cameras, minutes)
    with (
        CameraProcess([{"kind": "rtsp", "footage": file}] * cameras, gstreamer=gstreamer) as process,
        Watch(*process.urls) as watch,
    ):
        watch.wait(lambda line: line.kind == "prediction", 60)
        began, count = time.monotonic(), 0
        for step in range(1, 1 + round(6 * minutes)):
            watch.wait(lambda line: False, began + 10 * step - time.monotonic())
            if watch.process.poll() is not None:
                raise SystemExit(f"movinet ended: {[line.what for line in watch.lines[-3:]]}")
            lines = watch.of("prediction")
            found.lost += len(watch.of("lost"))
            watch.lines.clear()
            found.mb.append(watch.usage().mb)
            newest = {line.source: last_figure([line], "dropped") for line in lines}
            found.dropped = sum(newest.values())
            found.lag.append(quantile([line.at - began - line.what["time"] for line in lines], 0.5))
            count += len(lines)
        found.rate = count / cameras / (time.monotonic() - began)
    return found
