"""Cameras in a process of their own that can be killed, stopped, continued and given orders."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

_TESTS = str(Path(__file__).parents[1])
_HAS_GSTREAMER = """
import gi
gi.require_version("Gst", "1.0"), gi.require_version("GstRtspServer", "1.0")
from gi.repository import Gst, GstRtspServer
Gst.init(None)
assert all(Gst.ElementFactory.find(name) for name in ("rtph264pay", "rtph265pay", "h264parse", "h265parse", "appsrc"))
"""


@cache
def gstreamer_python() -> str | None:
    """A Python with the bindings of GStreamer's RTSP server; None where there is none."""
    for python in dict.fromkeys(["/usr/bin/python3", shutil.which("python3"), sys.executable]):
        if python is not None and Path(python).exists():
            done = subprocess.run([python, "-c", _HAS_GSTREAMER], capture_output=True, check=False)
            if done.returncode == 0:
                return python
    return None


class CameraProcess:
    """Cameras behind one server; a context manager.

    Args:
        cameras: What `camera_rig.rig_command` makes of each: its `kind`, the file of its `footage`, and more.
        gstreamer: GStreamer's server instead of the rig's.
    """

    def __init__(self, cameras: Sequence[dict[str, Any]], *, gstreamer: bool = False) -> None:
        self.cameras, self.gstreamer = [dict(camera) for camera in cameras], gstreamer
        self.urls: list[str] = []
        """Without logins."""
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.kill()

    def start(self) -> None:
        """Stand up; after `kill` at the same ports."""
        for camera, url in zip(self.cameras, self.urls, strict=False):
            camera["port"] = int(url.split(":")[2].partition("/")[0])
        python = gstreamer_python() if self.gstreamer else sys.executable
        if python is None:
            raise RuntimeError("no Python here has GStreamer's RTSP server")
        module = "camera_rig.gst_server" if self.gstreamer else "camera_rig.rig_command"
        self._process = subprocess.Popen(
            [python, "-m", module, json.dumps(self.cameras)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL if self.gstreamer else None,
            text=True,
            env={**os.environ, "PYTHONPATH": _TESTS},
        )
        self.urls = self._answer()

    def order(self, camera: int = 0, **order: Any) -> Any:
        """Have a camera do something, as `camera_rig.rig_command` describes; its answer."""
        assert self._process is not None
        assert self._process.stdin is not None
        print(json.dumps({"camera": camera, **order}), file=self._process.stdin, flush=True)
        return self._answer()

    def kill(self) -> None:
        """As when the power fails."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.kill()
            self._process.communicate()
            self._process = None

    def stop(self) -> None:
        """It hangs: connections stay, nothing is answered or sent, until `go_on`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def processor_seconds(self) -> float:
        """What it has used of the processor (Linux)."""
        assert self._process is not None
        fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _answer(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the cameras' process ended with {self._process.wait()}")
        return json.loads(line)
