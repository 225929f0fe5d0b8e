"""Whether a password shows in anything a run writes, or in the list of processes. Part of benchmarks/cameras.py.

Passwords are made of two words that stand nowhere else, so that half of one is found, too.
"""

import fcntl
import os
import pty
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from camera_faults import EVENTS
from rig import CameraProcess, footage

WORDS = (b"Zebra7", b"Quokka9")
SHAPES = {  # as they stand in an address
    "plain": "Zebra7Quokka9",
    "with @": "Zebra7@Quokka9",
    "with /": "Zebra7/Quokka9",
    "with : and #": "Zebra7:#Quokka9",
    "percent-encoded": "Zebra7%40Quokka9",
    "in the query": "Zebra7Quokka9",
}
_RUNNING, _DYING = 6.0, 4.0  # seconds that cameras are watched, and that they are watched after they have died


@dataclass
class Searched:
    """What a run wrote.

    Args:
        name: The run.
        cameras: How many gave predictions, of how many; None where that is not looked at.
        size: Bytes that were searched.
        found: Where a word stood, with what is around it.
    """

    name: str
    cameras: tuple[int, int] | None = None
    size: int = 0
    found: list[str] = field(default_factory=list)

    def search(self, where: str, data: bytes) -> None:
        self.size += len(data)
        for word in WORDS:
            place = data.find(word)
            if place >= 0:
                around = data[max(0, place - 40) : place + 30]
                self.found.append(f"{where}: {around!r}")

    def faults(self) -> list[str]:
        found = [f"passwords, {self.name}: {one}" for one in self.found]
        if self.cameras is not None and self.cameras[0] < self.cameras[1]:
            found.append(f"passwords, {self.name}: {self.cameras[0]} of {self.cameras[1]} cameras let it look")
        return found


def address(url: str, shape: str) -> str:
    """A camera's address with a user and a password of that shape."""
    if shape == "in the query":
        return f"{url}?channel=1&user=me&password={SHAPES[shape]}"
    return url.replace("//", f"//me:{SHAPES[shape]}@")


def cameras() -> list[dict[str, Any]]:
    """One for every shape, which asks for its password."""
    file = footage("h264", "240p", 15, key_every=1.0)
    found = []
    for shape, written in SHAPES.items():
        login = {} if shape == "in the query" else {"user": "me", "password": unquote(written)}
        found.append({"kind": "rtsp", "footage": file, **login})
    return found


def searches() -> Iterator[Searched]:
    """Every run, searched."""
    with CameraProcess(cameras()) as process:
        urls = list(process.urls)
        by_shape = dict(zip(SHAPES, urls, strict=True))
        yield _by_file(by_shape)
        yield _by_cameras_file(by_shape)
        yield _by_environment(by_shape["with @"], unquote(SHAPES["with @"]))
        for shape, url in by_shape.items():
            yield _on_terminal(f"the terminal, {shape}", [address(url, shape)])
        yield _on_terminal("the terminal, all", [address(url, shape) for shape, url in by_shape.items()])
        yield _as_json(process, [address(url, shape) for shape, url in by_shape.items()])
    for shape, url in by_shape.items():  # nobody listens any more
        yield _fails(f"an error, {shape}", [address(url, shape)])


def _as_json(process: Any, addresses: Sequence[str]) -> Searched:
    found = Searched("JSON, logs and actions, all at once, which then die")
    with _folder() as folder:
        command = "sh -c 'cat >> event.txt; env >> event.txt'"
        run = _start(folder, [*addresses, "--json", "--timeout", "2", *EVENTS, *_on_event(command)])
        _wait_for_predictions(run, len(addresses))
        time.sleep(_RUNNING)
        process.kill()
        time.sleep(_DYING)
        _finish(run, folder, found)
    return found


def _by_file(urls: dict[str, str]) -> Searched:
    found = Searched("passwords by --credentials")
    with _folder() as folder:
        logins = [
            f'"{url.split("/")[2]}": {{user: me, password: "{unquote(SHAPES[shape])}"}}' for shape, url in urls.items()
        ]
        file = folder.parent / "credentials.yaml"
        _write_secret(file, "\n".join(logins))
        run = _start(folder, [*urls.values(), "--credentials", str(file), "--json"])
        _watch_processes(run, found)
        _finish(run, folder, found)
    return found


def _by_environment(url: str, password: str) -> Searched:
    """What is run for an event must not have it either."""
    found = Searched("a password in the environment")
    with _folder() as folder:
        more = {"MOVINET_USER": "me", "MOVINET_PASSWORD": password}
        run = _start(folder, [url, "--json", *EVENTS, *_on_event("sh -c 'env >> event.txt'")], more)
        _watch_processes(run, found)
        _finish(run, folder, found, cameras=1)
    return found


def _by_cameras_file(urls: dict[str, str]) -> Searched:
    found = Searched("passwords in a file of cameras")
    with _folder() as folder:
        lines = ["cameras:"]
        for shape, url in urls.items():
            lines.append(f'  - {{name: "{shape}", address: "{url}", user: me, password: "{unquote(SHAPES[shape])}"}}')
        file = folder.parent / "cameras.yaml"
        _write_secret(file, "\n".join(lines))
        run = _start(folder, [str(file), "--json"])
        _watch_processes(run, found)
        _finish(run, folder, found)
    return found


def _on_terminal(name: str, addresses: Sequence[str]) -> Searched:
    """What a terminal gets, escape sequences and titles too."""
    found = Searched(name)
    with _folder() as folder:
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
        command = [sys.executable, "-m", "movinet", "watch", *addresses, "--timeout", "2"]
        run = subprocess.Popen(
            command,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=folder,
            env=_environment(folder),
            start_new_session=True,
        )
        os.close(slave)
        got = bytearray()

        def read() -> None:
            try:
                while data := os.read(master, 65536):
                    got.extend(data)
            except OSError:
                pass  # the program has ended

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        time.sleep(_RUNNING)
        run.send_signal(signal.SIGINT)
        try:
            run.wait(20)
        except subprocess.TimeoutExpired:
            run.kill()
        reader.join(2)
        os.close(master)
        found.search("the terminal", bytes(got))
        found.cameras = (int(b"frames/s" in got or b"%" in got), 1)  # at least one is seen
        _search_folder(folder, found)
    return found


def _fails(name: str, addresses: Sequence[str]) -> Searched:
    found = Searched(name)
    with _folder() as folder:
        run = _start(folder, [*addresses, "--timeout", "1", "--retries", "1"])
        _finish(run, folder, found, wait=10)
    return found


@dataclass
class _Run:
    process: subprocess.Popen[bytes]
    out: Path
    err: Path


def _start(folder: Path, arguments: Sequence[str], environment: dict[str, str] | None = None) -> _Run:
    out, err = folder.parent / "stdout", folder.parent / "stderr"
    command = [sys.executable, "-m", "movinet", "watch", *arguments]
    with out.open("wb") as to_out, err.open("wb") as to_err:
        process = subprocess.Popen(
            command, stdout=to_out, stderr=to_err, cwd=folder, env={**_environment(folder), **(environment or {})}
        )
    return _Run(process, out, err)


def _finish(run: _Run, folder: Path, found: Searched, wait: float = 0.0, cameras: int = len(SHAPES)) -> None:
    """End a run and search what it left; one that ends by itself is given some seconds to."""
    try:
        run.process.wait(wait or 0.01)
    except subprocess.TimeoutExpired:
        run.process.send_signal(signal.SIGINT)
        try:
            run.process.wait(20)
        except subprocess.TimeoutExpired:
            run.process.kill()
    out = run.out.read_bytes()
    found.search("stdout", out)
    found.search("stderr", run.err.read_bytes())
    if not wait:
        found.cameras = (len(_sources(out)), cameras)
    _search_folder(folder, found)


def _search_folder(folder: Path, found: Searched) -> None:
    for path in folder.rglob("*"):
        found.search("a file's name", str(path.relative_to(folder)).encode())
        if path.is_file():
            found.search(str(path.relative_to(folder)), path.read_bytes())


def _sources(out: bytes) -> set[bytes]:
    return {
        line.split(b'"source": "')[1].split(b'"')[0]
        for line in out.splitlines()
        if b'"prediction"' in line and b'"source"' in line
    }


def _wait_for_predictions(run: _Run, cameras: int, seconds: float = 25.0) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until and run.process.poll() is None and len(_sources(run.out.read_bytes())) < cameras:
        time.sleep(0.3)


def _watch_processes(run: _Run, found: Searched) -> None:
    """Search the list of processes while one runs (Linux): of every process that it started."""
    until = time.monotonic() + _RUNNING + 4
    while time.monotonic() < until and run.process.poll() is None:
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                command = (folder / "cmdline").read_bytes()
                if b"movinet" in command and b"camera_rig" not in command:
                    found.search("the process list", command)
            except OSError:
                pass  # it has ended
        time.sleep(0.2)


@contextmanager
def _folder() -> Iterator[Path]:
    """Where a run is at home: all it writes is below."""
    with tempfile.TemporaryDirectory() as outer:
        folder = Path(outer) / "home"
        folder.mkdir()
        yield folder


def _environment(folder: Path) -> dict[str, str]:
    homes = {name: str(folder) for name in ("HOME", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME", "TMPDIR")}
    return {**os.environ, **homes, "TERM": "xterm-256color"}


def _write_secret(file: Path, text: str) -> None:
    file.write_text(text)
    file.chmod(0o600)


def _on_event(command: str) -> list[str]:
    """The option, where this movinet has it."""
    said = subprocess.run(
        [sys.executable, "-m", "movinet", "watch", "--help"], capture_output=True, text=True, check=False
    )
    return ["--on-event", command] if "--on-event" in said.stdout else []
