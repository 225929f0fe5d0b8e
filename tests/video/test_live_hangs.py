"""What hangs is left behind: a source goes on, then with a process of its own, and nothing waits for it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from camera_rig.filming import counter
from camera_rig.footage import Footage
from camera_rig.rtsp_server import RtspCamera
from live_viewer import viewing

from movinet.errors import BadSource
from movinet.video.camera.live_source import LiveSource
from movinet.video.net import hosts

HANGING = 0.4  # seconds of time-out


@pytest.fixture
def hanging_names(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """Looking names up takes for ever, in this process, until the event is set."""
    release = threading.Event()
    look_up = hosts.socket.getaddrinfo

    def hang(*arguments: object, **options: object) -> object:
        release.wait(60)
        return look_up(*arguments, **options)

    monkeypatch.setattr(hosts.socket, "getaddrinfo", hang)
    yield release
    release.set()


def readers() -> int:
    return sum(thread.name == "movinet-live" for thread in threading.enumerate())


def test_a_source_that_hangs_twice_gets_a_process_of_its_own(footage: Footage, hanging_names: threading.Event) -> None:
    before = readers()
    with RtspCamera(footage, user="me", password="S3cr@t/") as camera:
        with viewing(camera.url(), timeout=HANGING) as viewer:
            viewer.told("lost")
            viewer.sees(10, within=20.0)  # the other process looks its own names up
            assert readers() - before == 3  # two that hang, and one that listens to the process
            process = viewer.source._reader._process
            if (command := Path(f"/proc/{process.pid}/cmdline")).exists():
                assert b"S3cr" not in command.read_bytes()
            assert viewer.kinds() == ["lost", "found"]
            assert viewer.seen[0][1] == 0.0
            camera.faults.frozen = True
            viewer.told("lost", 2)
            camera.faults.frozen = False
            viewer.sees(10)
            assert viewer.source.reconnects == 1
            assert viewer.source._reader._process is not process
        viewer.wait(lambda: viewer.source._reader._process.poll() is not None, 2.0)
        numbers = [number for _, _, number in viewer.seen]
        assert None not in numbers
        times = [moment for _, moment, _ in viewer.seen]
        assert times == sorted(set(times))
        hanging_names.set()
        viewer.wait(lambda: readers() == before, 5.0)  # what was left behind ends as soon as it can
        assert camera.asked


def test_leaving_waits_a_second_at_most(hanging_names: threading.Event) -> None:
    source = LiveSource("rtsp://camera.invalid/", 5, timeout=30)
    threading.Timer(0.2, source.close).start()
    began = time.monotonic()
    with source:
        pass
    assert time.monotonic() - began < 1.5
    assert list(source) == []


def test_a_program_ends_though_a_source_hangs(footage: Footage) -> None:
    with RtspCamera(footage) as camera, ThreadPoolExecutor() as pool:
        for done in [pool.submit(ends, how, camera) for how in ("mute", "looking up", "in FFmpeg")]:
            done.result()


def ends(how: str, camera: RtspCamera) -> None:
    code = f"""
import socket, sys, threading, time
from movinet.video.camera.live_source import LiveSource
if {how!r} == "looking up":
    socket.getaddrinfo = lambda *arguments, **options: time.sleep(60)
mute = socket.create_server(("127.0.0.1", 0))
address = {camera.url()!r} if {how!r} == "in FFmpeg" else f"http://127.0.0.1:{{mute.getsockname()[1]}}/"
source = LiveSource(address, 5, timeout=30)
threading.Thread(target=source.__enter__, daemon=True).start()
time.sleep({1.5 if how == "in FFmpeg" else 0.5})
print("over", time.time(), flush=True)
"""
    if how == "in FFmpeg":
        threading.Timer(0.9, lambda: setattr(camera.faults, "frozen", True)).start()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20, check=False)
    ended = time.time()
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    assert ended - float(done.stdout.split()[1]) < 2.0


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="needs /proc")
def test_nothing_is_left_open_by_losses(footage: Footage) -> None:
    def opened() -> int:
        return len(os.listdir("/proc/self/fd"))

    with RtspCamera(footage) as camera, viewing(camera.url(), timeout=1.0) as viewer:
        viewer.sees(2)
        counts = []
        for round in range(6):
            camera.kill()
            viewer.told("lost", round + 1)
            camera.start()
            viewer.told("found", round + 1)
            viewer.sees(2)
            counts.append(opened())
        assert max(counts[2:]) <= max(counts[:2]) + 1
        assert readers() == 1


def test_what_is_no_source_is_not_tried_again_by_the_process() -> None:
    source = LiveSource("http://no such host/", 5)
    source._apart = True
    with pytest.raises(BadSource, match="is no address"), source:
        pass


def test_the_other_process_counts_and_tells(footage: Footage) -> None:
    with RtspCamera(footage) as camera:
        source = LiveSource(camera.url(), 10, timeout=2.0)
        source._apart = True
        with source:
            numbers = [counter(next(source).rgb) for _ in range(5)]
            assert source.figures().frames == 5
        assert {(after - before) % 100 for before, after in pairwise(numbers)} <= {2, 3}
