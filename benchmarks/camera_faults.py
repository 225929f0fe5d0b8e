"""Faults of cameras, one after the other, each beside a camera that is well. Part of benchmarks/cameras.py."""

import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rig import CameraProcess, footage
from watched import Line, Watch

TIMEOUT = 3.0  # seconds; what `--timeout` is set to
SLACK = 0.5  # seconds beyond it within which a loss must be told
BACK_WITHIN = 5.0
REFUSED_WITHIN = 35.0  # where a login was refused: it is not tried at once, since cameras lock out who does
WAY = 0.7  # seconds that a picture sent before a fault may still be on its way
QUIET = 1.0  # seconds without a prediction that a fault may cost that is no loss
EVENTS = ("--on", "0.2", "--off", "0.05")  # so that an event runs nearly always

Act = Callable[[Any], None]


@dataclass(frozen=True)
class Fault:
    """What happens to a camera.

    Args:
        name: Of it.
        begin: Makes it of the camera's process.
        end: Makes it good.
        seconds: Between the two.
        at_start: Whether it is there when watching begins.
        loss: Whether pictures stop.
        own: Needs the tests' server.
        camera: More about the camera.
        back_within: Seconds from its return to its first prediction, at most.
    """

    name: str
    begin: Act
    end: Act
    seconds: float
    at_start: bool = False
    loss: bool = True
    own: bool = True
    camera: tuple[tuple[str, Any], ...] = ()
    back_within: float = BACK_WITHIN


def setting(**faults: Any) -> Act:
    return lambda process: process.order(faults=faults)


def nothing(process: Any) -> None:
    """It stays as it is."""


def kill(process: Any) -> None:
    process.kill()


def start(process: Any) -> None:
    process.start()


def stop(process: Any) -> None:
    process.stop()


def go_on(process: Any) -> None:
    process.go_on()


def let_in(process: Any) -> None:
    process.order(password="right")


def smaller(process: Any) -> None:
    process.order(show=footage("h264", "240p", 15, key_every=1.0))


FAULTS = (
    Fault("killed for 3 s", kill, start, 3, own=False),
    Fault("killed for 20 s", kill, start, 20, own=False),
    Fault("hangs for 10 s", stop, go_on, 10, own=False),
    Fault("frozen for 10 s", setting(frozen=True), setting(frozen=False), 10),
    Fault("no pictures but sound, 10 s", setting(blind=True), setting(blind=False), 10, camera=(("sound", True),)),
    Fault("off at the start", kill, start, 8, at_start=True, own=False),
    Fault(
        "wrong password",
        nothing,
        let_in,
        8,
        at_start=True,
        camera=(("user", "me"), ("password", "left")),
        back_within=REFUSED_WITHIN,
    ),
    Fault("mute at the start", setting(hanging=True), setting(hanging=False), 8, at_start=True),
    Fault("another size", smaller, nothing, 3, loss=False, own=False),
    Fault("stamps +3600 s", setting(jump=3600.0), nothing, 3, loss=False),
    Fault("stamps -3600 s", setting(jump=-3600.0), nothing, 3, loss=False),
    Fault("stamps -0.8 s", setting(jump=-0.8), nothing, 3, loss=False),
)


@dataclass(frozen=True)
class StepOutput:
    """What watching made of a fault.

    Args:
        name: The fault.
        told: Seconds from the fault to the line that says the camera is lost; None where none came. A fault at the
            start counts from the other camera's first prediction.
        back: Seconds from the camera's return to its first prediction; None where none came.
        quiet: The longest time without a prediction of it, seconds.
        false: Predictions of it while it showed nothing.
        outlived: Events that went on after its last picture.
        running: Whether an event was running.
        other: Predictions a second of the other camera meanwhile, and its longest time without, seconds.
        loss: Whether it should be lost.
        back_within: What `back` may be at most.
        code: The program's exit code; 130 after Ctrl-C, anything else where it ended by itself.
    """

    name: str
    told: float | None
    back: float | None
    quiet: float
    false: int
    outlived: int
    running: bool
    other: tuple[float, float]
    loss: bool
    code: int
    back_within: float

    def faults(self) -> list[str]:
        found = []
        if self.loss:
            if self.told is None or self.told > TIMEOUT + SLACK:
                found.append("not told" if self.told is None else f"told after {self.told:.1f} s")
            if self.back is None or self.back > self.back_within:
                found.append("never back" if self.back is None else f"back after {self.back:.1f} s")
        elif self.quiet > QUIET:
            found.append(f"{self.quiet:.1f} s without a prediction")
        if self.false:
            found.append(f"{self.false} predictions of nothing")
        if self.outlived:
            found.append(f"{self.outlived} events outlive the last picture")
        if abs(self.other[0] - 5) > 0.1:
            found.append(f"the other camera at {self.other[0]:.2f} a second")
        return [f"{self.name}: {fault}" for fault in found]


def undergo(fault: Fault, gstreamer: bool) -> StepOutput:
    """Watch two cameras, one of which undergoes a fault."""
    about = {"kind": "rtsp", "footage": footage("h264", "480p", 15, key_every=1.0)}
    real = gstreamer and not fault.own
    with CameraProcess([{**about, **dict(fault.camera)}], gstreamer=real) as sick, CameraProcess([about]) as well:
        url = sick.urls[0]
        port = url.split(":")[2].partition("/")[0]
        if any(name == "user" for name, _ in fault.camera):
            url = url.replace("//", "//me:right@")
        if fault.at_start:
            fault.begin(sick)
        with Watch(url, well.urls[0], "--timeout", f"{TIMEOUT:g}", *EVENTS) as watch:
            begun, since, returned, ended = _live_through(fault, watch, sick, port)
            code, _ = watch.end()
    return _judge(fault, watch, port, (begun, since, returned, ended), code)


def _is_of(line: Line, port: str) -> bool:
    return f":{port}/" in line.source or f":{port}/" in line.what.get("text", "")


def _live_through(fault: Fault, watch: Watch, sick: Any, port: str) -> tuple[float, float, float, float]:
    """When watching began, and the fault; when the camera was well again, and the end."""
    other = watch.wait(lambda line: line.kind == "prediction" and not _is_of(line, port), 40)
    begun = time.monotonic() if other is None else other.at
    if fault.at_start:
        since = begun
    else:
        watch.wait(lambda line: line.kind == "prediction" and _is_of(line, port), 40)
        time.sleep(5)
        since = time.monotonic()
        fault.begin(sick)
    time.sleep(max(0.0, since + fault.seconds - time.monotonic()))
    fault.end(sick)
    returned = time.monotonic()
    watch.wait(lambda line: line.kind == "prediction" and _is_of(line, port), fault.back_within + 10, returned)
    time.sleep(3)
    return begun, since, returned, time.monotonic()


def _judge(fault: Fault, watch: Watch, port: str, moments: tuple[float, float, float, float], code: int) -> StepOutput:
    _, since, returned, ended = moments
    lines = [line for line in watch.lines if line.at < ended]
    seen = [line for line in lines if line.kind == "prediction" and _is_of(line, port)]
    others = [line.at for line in lines if line.kind == "prediction" and not _is_of(line, port) and line.at >= since]
    told = [
        line.at - since
        for line in lines
        if _is_of(line, port) and _says_lost(line) and (fault.at_start or since - 0.1 <= line.at)
    ]
    after = [line.at - returned for line in seen if line.at > returned]
    moments_seen = [line.at for line in seen if line.at >= since - 0.5]
    outlived, running = _outlived(lines, seen, port, since)
    return StepOutput(
        name=fault.name,
        told=told[0] if told else None,
        back=after[0] if after else None,
        quiet=max((b - a for a, b in itertools.pairwise([*moments_seen, ended])), default=ended - since),
        false=sum(since + WAY < line.at < returned for line in seen) if fault.loss else 0,
        outlived=outlived if fault.loss else 0,
        running=running,
        other=(
            (len(others) - 1) / (others[-1] - others[0]) if len(others) > 1 else 0.0,
            max((b - a for a, b in itertools.pairwise(others)), default=float("inf")),
        ),
        loss=fault.loss,
        code=code,
        back_within=fault.back_within,
    )


def _says_lost(line: Line) -> bool:
    return line.kind == "lost" or (line.kind == "stderr" and "found again" not in line.what["text"])


def _outlived(lines: Sequence[Line], seen: Sequence[Line], port: str, since: float) -> tuple[int, bool]:
    """Events that end after the last picture before a fault though they began before it, or whose end is told late;
    whether one was running."""
    before = [line.what["time"] for line in seen if line.at < since + WAY]
    if not before:
        return 0, False
    last = before[-1]
    ends = [line for line in lines if line.what.get("end") is not None and _is_of(line, port)]
    spanning = [line for line in ends if line.what["start"] <= last and line.what["end"] >= last - 0.25]
    late = [line for line in spanning if line.what["end"] > last + 0.25 or line.at > since + TIMEOUT + SLACK]
    return len(late), bool(spanning)
