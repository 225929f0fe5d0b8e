"""`movinet watch` on cameras as people have them: what must hold, and 0.1's figures beside.

    python benchmarks/cameras.py                          # all but the soak, about 25 minutes
    python benchmarks/cameras.py --only figures,rates --seconds 20
    python benchmarks/cameras.py --only soak --minutes 60

Stands up GStreamer's RTSP server where a Python here has its bindings, else the tests' own, which also plays whatever
GStreamer's does not. Server and program are processes of their own on one machine: a busy one shows in `load`.

Sections: figures (one camera at a time), rates (four kinds at once, at every camera rate), crowd (more cameras than the
machine can decode), faults, passwords, soak. Exits with 1 where a promise is broken.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from camera_crowd import crowd, soak
from camera_faults import FAULTS, TIMEOUT, undergo
from camera_passwords import searches
from camera_rates import Rate, measure
from rig import gstreamer_python

from movinet import __version__
from movinet.cores import usable_cores

# What 0.1.0 did on two quiet cores: predictions a second, latency p50 and p99 in ms, percent of a core, MB.
BEFORE = {
    "h264 480p15": (4.90, 73, 75, 5.8, 314),
    "h264 720p25": (4.94, 52, 59, 16.7, 358),
    "h265 720p25": (4.92, 49, 59, 14.9, 314),
    "mjpeg 480p15": (5.00, 4, 9, 3, 320),
    "esp32 480p15": (5.00, 4, 9, 3, 320),
    "hls 480p15": (0.46, None, None, 3, 323),
    "udp 720p25": (None,) * 5,  # could not be chosen
    "jpeg 480p15": (None,) * 5,  # a file's one picture
}
WAS = {
    "killed for 3 s": "back 5 s after; events run on",
    "killed for 20 s": "back 5 s after; events run on",
    "hangs for 10 s": "told after twice the time-out, an old picture taken for new",
    "frozen for 10 s": "told after twice the time-out, an old picture taken for new",
    "no pictures but sound, 10 s": "never told",
    "off at the start": "never watched",
    "wrong password": "never watched",
    "mute at the start": "never watched",
    "another size": "held",
    "stamps +3600 s": "held",
    "stamps -3600 s": "held",
    "stamps -0.8 s": "0.9 s silent",
}
RATES = (15, 24, 25, 30, 60)


def load() -> str:
    return f"load {os.getloadavg()[0]:.1f} on {usable_cores()} cores"


def row(*cells: object) -> None:
    print("| " + " | ".join("–" if cell is None else str(cell) for cell in cells) + " |", flush=True)


def heading(title: str, *columns: str) -> None:
    print(f"\n## {title}\n\n| " + " | ".join(columns) + " |\n" + "|---" * len(columns) + "|", flush=True)


def show(rate: Rate) -> None:
    before = BEFORE.get(rate.name, (None,) * 5)
    latency = rate.latency and f"{rate.latency[0]:.0f}/{rate.latency[1]:.0f}"
    was = "–" if before[1] is None else f"{before[1]}/{before[2]}"
    row(
        rate.name,
        f"{rate.rate:.3f}",
        before[0],
        rate.missed,
        f"{rate.dropped:g}",
        latency,
        was,
        f"{rate.first:.1f}",
        f"{rate.processor:.1f}",
        before[3],
        f"{rate.mb:.0f}",
        before[4],
        load(),
    )


COLUMNS = (
    "camera",
    "predictions/s",
    "0.1",
    "missed",
    "dropped",
    "latency p50/p99 ms",
    "0.1",
    "first after s",
    "% of a core",
    "0.1",
    "MB",
    "0.1",
    "",
)


def figures(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    heading("One camera at a time", *COLUMNS)
    rates = []
    for name in BEFORE:
        kind, size_fps = name.split()
        size, fps = size_fps[:4], int(size_fps[4:])
        rates += measure([(kind, size, fps)], options.seconds, options.gstreamer)
        show(rates[-1])
    return [asdict(rate) for rate in rates], [fault for rate in rates for fault in rate.faults()]


def rates(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    heading("Four kinds at once (processor and MB: of all four)", *COLUMNS)
    found = []
    for fps in RATES:
        kinds = [(kind, "480p" if fps < 60 else "240p", fps) for kind in ("h264", "h265", "mjpeg", "hls")]
        group = measure(kinds, options.seconds, options.gstreamer)
        for rate in group:
            show(rate)
        found += group
    return [asdict(rate) for rate in found], [fault for rate in found for fault in rate.faults()]


def crowded(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    columns = ("", "predictions/s each", "least/mean", "highest lag s", "left out", "MB", "% of a core", "all", "")
    heading(f"{options.cameras} × 720p25, key frames every second", *columns)
    found = crowd(options.cameras, options.seconds, options.gstreamer)
    row("0.1 (16)", "4.45", None, "4.3 (p50), 8.1 (p99), growing without end", "0", "900", "166", None, "quiet")
    lags = " ".join(f"{lag:.1f}" for lag in found.lags)
    told = f"{found.left_out:g}; told: {found.told[0]} lag, {found.told[1]} caught up"
    memory = " ".join(f"{mb:.0f}" for mb in found.mb)
    row(
        "",
        f"{found.rate:.2f}",
        f"{found.least:.2f}",
        lags,
        told,
        memory,
        f"{found.processor:.0f}",
        f"{found.busy:.0f}",
        load(),
    )
    return [asdict(found)], found.faults()


def soaked(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    heading(
        "Soak",
        "cameras",
        "minutes",
        "predictions/s each",
        "MB at 10 s, 2 min, end",
        "growth",
        "drift s",
        "lost, dropped",
        "",
    )
    row("1 (0.1)", 10, "4.69", "561, –, 630", "12 %", None, "0, 8", "a loaded machine")
    results, faults = [], []
    for cameras, minutes in ((1, options.minutes), (8, options.minutes / 2)):
        found = soak(cameras, minutes, options.gstreamer)
        memory = ", ".join(f"{mb:.0f}" for mb in (found.mb[0], found.mb[min(11, len(found.mb) - 1)], found.mb[-1]))
        growth, drift = f"{100 * found.growth:+.1f} %", f"{found.drift:+.3f}"
        lost = f"{found.lost}, {found.dropped:g}"
        row(cameras, f"{minutes:g}", f"{found.rate:.3f}", memory, growth, drift, lost, load())
        results.append(asdict(found))
        faults += found.faults()
    return results, faults


def faulty(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    columns = ("fault", "told after s", "back after s", "longest quiet s", "false", "events outlived")
    heading(f"One of two cameras fails (--timeout {TIMEOUT:g})", *columns, "the other: 1/s, gap s", "0.1", "")
    outcomes = []
    for fault in FAULTS:
        if options.faults and not any(name in fault.name for name in options.faults.split(",")):
            continue
        found = undergo(fault, options.gstreamer)
        told = None if found.told is None else f"{found.told:.1f}"
        back = None if found.back is None else f"{found.back:.1f}"
        outlived = f"{found.outlived}" if found.running else "none ran"
        other = f"{found.other[0]:.2f}, {found.other[1]:.2f}"
        row(fault.name, told, back, f"{found.quiet:.1f}", found.false, outlived, other, WAS.get(fault.name), load())
        outcomes.append(found)
    return [asdict(found) for found in outcomes], [fault for found in outcomes for fault in found.faults()]


def secret(options: argparse.Namespace) -> tuple[list[Any], list[str]]:
    heading("Passwords: six shapes", "run", "cameras seen", "bytes searched", "found", "0.1")
    was = {
        "JSON": "34 of 34 lines",
        "the terminal, all": "the title",
        "passwords by": "cannot",
        "an error": "three shapes",
    }
    results = []
    for found in searches():
        before = next((text for begins, text in was.items() if found.name.startswith(begins)), None)
        seen = found.cameras and f"{found.cameras[0]} of {found.cameras[1]}"
        row(found.name, seen, found.size, len(found.found), before)
        results.append(found)
    return [asdict(found) for found in results], [fault for found in results for fault in found.faults()]


Section = Callable[[argparse.Namespace], tuple[list[Any], list[str]]]
SECTIONS: dict[str, Section] = {
    "figures": figures,
    "rates": rates,
    "crowd": crowded,
    "faults": faulty,
    "passwords": secret,
    "soak": soaked,
}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="figures,rates,crowd,faults,passwords", help="sections, comma-separated")
    parser.add_argument("--seconds", type=float, default=60.0, help="that a rate is taken over")
    parser.add_argument("--cameras", type=int, default=16, help="of the crowd: as many as the machine cannot decode")
    parser.add_argument("--minutes", type=float, default=20.0, help="of the soak: one camera, and eight for half of it")
    parser.add_argument("--faults", default="", help="words of the faults wanted, comma-separated; by default all")
    parser.add_argument("--ours", action="store_true", help="the tests' RTSP server even where GStreamer's is")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    options = parser.parse_args(arguments)
    options.gstreamer = not options.ours and gstreamer_python() is not None
    unknown = set(options.only.split(",")) - set(SECTIONS)
    if unknown:
        parser.error(f"--only: {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    print(f"movinet {__version__}; RTSP by {'GStreamer' if options.gstreamer else 'the tests'}; {load()}", flush=True)
    results: dict[str, Any] = {}
    broken: list[str] = []
    for name in options.only.split(","):
        results[name], faults = SECTIONS[name](options)
        broken += faults
        if options.json is not None:
            options.json.write_text(json.dumps(results, indent=1))
    print("\n" + ("\n".join(f"broken: {fault}" for fault in broken) or "every promise held"))
    if broken:
        sys.exit(1)


if __name__ == "__main__":
    main()
