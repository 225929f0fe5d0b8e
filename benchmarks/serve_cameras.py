"""Many RTSP cameras through `movinet serve`: when they are back after their server was killed, or hung.

    python benchmarks/serve_cameras.py
    python benchmarks/serve_cameras.py --cameras 4 --times 1 --no-gstreamer

Three of four cameras stand behind one RTSP server (GStreamer's, where a Python here has its bindings), the rest behind
another. The first is killed, and stands up again after some seconds; then it is stopped, so that connections stay and
nothing comes, and goes on. From its return on, each camera's time to the next frame that the network saw is told, and
the longest time that one of the others had none. Exits with 1 where a camera took more than 5 s, was not told as lost,
or another missed a second.

Cameras have a key frame every `--key-every` seconds. GStreamer's server waits for one before it describes a stream, and
whoever plays it then waits for the next: FFmpeg's own time to a first picture is printed beside where there is an
`ffmpeg`, and with a key frame every two seconds is over four by itself.
"""

import argparse
import json
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from rig import CameraProcess, footage, gstreamer_python
from serve_load import processor_seconds, serving

MOST_BACK, MOST_MISSED = 5.0, 1.0  # seconds
SOON, AWAY = 60.0, 8.0


class Sources:
    """A server's sources, asked for over and over."""

    def __init__(self, port: int) -> None:
        self._address = f"http://127.0.0.1:{port}/api/sources"
        self.seen: dict[str, list[tuple[float, int]]] = {}  # (when, frames so far), where these have grown
        self.states: dict[str, str] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join(SOON)

    def add(self, name: str, address: str) -> None:
        entry = json.dumps({"name": name, "address": address, "timeout": 5}).encode()
        request = urllib.request.Request(self._address, entry, {"Content-Type": "application/json"}, method="POST")
        urllib.request.urlopen(request, timeout=SOON).close()

    def wait(self, until: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + SOON
        while not until():
            if time.monotonic() > end:
                sys.exit(f"{what} within {SOON:g} s: {self.states}")
            time.sleep(0.02)

    def back(self, name: str, since: float) -> float | None:
        """Seconds from then to the first frame after it; None where none has come."""
        return next((at - since for at, _ in self.seen[name] if at > since), None)

    def missed(self, name: str, since: float) -> float:
        """The longest time without a frame since then."""
        times = [since, *(at for at, _ in self.seen[name] if at > since), time.monotonic()]
        return max(after - before for before, after in pairwise(times))

    def _watch(self) -> None:
        while not self._over.wait(0.05):
            with urllib.request.urlopen(self._address, timeout=SOON) as answer:
                sources: list[dict[str, Any]] = json.load(answer)["sources"]
            now = time.monotonic()
            for source in sources:
                rows = self.seen.setdefault(source["name"], [])
                self.states[source["name"]] = source["state"]
                frames = source["figures"]["frames"] if source["figures"] else 0
                if source["state"] == "running" and frames > (rows[-1][1] if rows else 0):
                    rows.append((now, frames))


def ffmpegs_time(url: str) -> float | None:
    """Seconds until FFmpeg's program, told not to probe, has a picture; None without one."""
    if (program := shutil.which("ffmpeg")) is None:
        return None
    quick = ["-rtsp_transport", "tcp", "-fflags", "nobuffer", "-probesize", "32", "-analyzeduration", "0"]
    began = time.monotonic()
    command = [program, "-v", "error", *quick, "-i", url, "-frames:v", "1", "-f", "null", "-"]
    subprocess.run(command, check=True, timeout=SOON)
    return time.monotonic() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cameras", type=int, default=16)
    parser.add_argument("--times", type=int, default=2, help="of each fault")
    parser.add_argument("--gstreamer", action=argparse.BooleanOptionalAction, default=gstreamer_python() is not None)
    parser.add_argument("--key-every", type=float, default=1.0, help="seconds")
    options = parser.parse_args()
    about = {"kind": "rtsp", "footage": footage("h264", "240p", 10, key_every=options.key_every)}
    first = max(1, 3 * options.cameras // 4)
    broken: list[str] = []
    described = {"max_streams": options.cameras, "source_hosts": ["127.0.0.1"]}
    with (
        CameraProcess([about] * first, gstreamer=options.gstreamer) as hit,
        CameraProcess([about] * max(1, options.cameras - first), gstreamer=options.gstreamer) as spared,
        serving(described) as (port, pid),
    ):
        sources = Sources(port)
        struck, others = [f"hit {n}" for n in range(len(hit.urls))], [f"other {n}" for n in range(len(spared.urls))]
        for name, url in zip([*struck, *others], [*hit.urls, *spared.urls], strict=True):
            sources.add(name, url)
        sources.wait(lambda: all(sources.seen.get(name) for name in (*struck, *others)), "not all cameras are seen")
        time.sleep(5)
        if (bare := ffmpegs_time(hit.urls[0])) is not None:
            print(f"FFmpeg by itself: {bare:.1f} s to a picture of a camera that runs", flush=True)
        for fault in ["killed", "hung"] * options.times:
            began = time.monotonic()
            (hit.kill if fault == "killed" else hit.stop)()
            sources.wait(lambda: all(sources.states[name] == "lost" for name in struck), f"{fault}: not told as lost")
            told = time.monotonic() - began
            time.sleep(max(0.0, AWAY - told))
            (hit.start if fault == "killed" else hit.go_on)()
            since = time.monotonic()
            sources.wait(lambda: all(sources.back(name, since) for name in struck), f"{fault}: not all are back")  # noqa: B023
            back = sorted(sources.back(name, since) or 0.0 for name in struck)
            missed = max(sources.missed(name, began) for name in others)
            print(
                f"{len(struck)} cameras {fault}: told as lost within {told:.1f} s; back within {back[-1]:.1f} s, half "
                f"within {back[len(back) // 2]:.1f}; the {len(others)} others missed {missed:.1f} s at most",
                flush=True,
            )
            if back[-1] > MOST_BACK:
                broken.append(f"{fault}: back after {back[-1]:.1f} s")
            if missed > MOST_MISSED:
                broken.append(f"{fault}: others missed {missed:.1f} s")
            time.sleep(3)
        sources.close()
        print(f"the server took {processor_seconds(pid):.1f} s of the processor")
    if broken:
        sys.exit("; ".join(broken))


if __name__ == "__main__":
    main()
