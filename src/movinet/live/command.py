"""A command that is run with every event."""

import atexit
import os
import re
import selectors
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from movinet.errors import MovinetError, printable
from movinet.files import dump_json
from movinet.live.actions import Failed
from movinet.live.report import Begun, Ended, Report
from movinet.video.net.credentials import without_secrets

_SAID = 300  # characters of a complaint that are told
_AT_THE_END = 1.0  # seconds commands have, from being asked to stop until they are stopped
# What a shell alone would obey: redirections, pipes and lists as words of their own, and our variables.
_FOR_A_SHELL = re.compile(r"^(?:\d?(?:>>?|<)(?:&\d)?|\|\|?|&&?|;)$|^\d?>>?[\w./]|\$\{?MOVINET_")
_IN_ENVIRONMENT = ("type", "source", "wall", "time", "id", "label", "start", "end", "began", "confidence")


@dataclass(frozen=True)
class Command:
    """A command that is run when an event begins and when it ends, without a shell.

    It gets the event as JSON on its standard input, and its particulars in the environment: MOVINET_TYPE (`begun` or
    `ended`), MOVINET_SOURCE, MOVINET_LABEL, MOVINET_START, MOVINET_END, MOVINET_CONFIDENCE, MOVINET_WALL and
    MOVINET_TIME. Variables that hold passwords are not handed on. What it prints is thrown away, but for the beginning
    of a complaint. What still runs when the interpreter ends is ended with it: nobody would count its seconds.

    Args:
        words: The program and its arguments.
        timeout: Seconds after which it is ended.
        at_once: How many may run at the same time.
        secrets: Variables of the environment that it does not get, beside those movinet reads passwords from.
    """

    words: tuple[str, ...]
    timeout: float = 30.0
    at_once: int = 4
    secrets: frozenset[str] = field(default=frozenset())

    @staticmethod
    def of(text: str, secrets: frozenset[str] = frozenset()) -> "Command":
        """A command as it is typed: split into words as a shell would, and run without one.

        Raises:
            MovinetError: It is none, there is no such program, or it is written for a shell.
        """
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise MovinetError(f"--on-event: {error}: {text!r}") from None
        if not words:
            raise MovinetError("--on-event: want a command")
        if shutil.which(words[0]) is None:
            raise MovinetError(f"--on-event: there is no program {words[0]!r} that can be run")
        if "-c" not in words and (for_a_shell := next(filter(_FOR_A_SHELL.search, words), None)):
            raise MovinetError(
                f"--on-event: is run without a shell, so {for_a_shell!r} would be a mere word to {words[0]!r}; for a "
                "shell: --on-event \"sh -c '…'\""
            )
        return Command(words, secrets=secrets)

    @property
    def name(self) -> str:
        """As it is shown: arguments may hold what is nobody's business."""
        return f"--on-event {self.words[0]}"

    def wants(self, report: Report) -> bool:
        """Events alone."""
        return isinstance(report.what, Begun | Ended)

    def do(self, about: dict[str, Any], closing: threading.Event) -> None:
        """Run it and wait for its end."""
        try:
            process = subprocess.Popen(
                self.words,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=self.environment(about),
                start_new_session=True,  # Ctrl-C is for us: what is told last is told whole
            )
        except OSError as error:
            raise Failed(error.strerror or str(error)) from None
        _running[process] = None
        assert process.stdin is not None
        assert process.stderr is not None
        with suppress(OSError), process.stdin:  # it may not care
            process.stdin.write(dump_json(about).encode() + b"\n")  # less than a pipe holds: nothing waits here
        said, ended = bytearray(), threading.Event()
        listening = threading.Thread(target=_listen, args=(process.stderr, said, ended), daemon=True)
        listening.start()
        try:
            code = process.wait(self.timeout)
            if code:
                listening.join(0.5)
        except subprocess.TimeoutExpired:
            _end(process)
            raise Failed(f"still running after {self.timeout:g} s, ended") from None
        finally:
            _running.pop(process, None)
            ended.set()  # also where something it left behind holds on to its output
        if code:
            complaint = printable(said.decode(errors="replace").strip())
            raise Failed(f"exit code {code}{f': {complaint}' if complaint else ''}")

    def environment(self, about: dict[str, Any], own: Mapping[str, str] | None = None) -> dict[str, str]:
        """What it finds in its environment."""
        kept = without_secrets(os.environ if own is None else own)
        told = {
            f"MOVINET_{key.upper()}": str(about[key]).replace("\0", "")
            for key in _IN_ENVIRONMENT
            if about.get(key) is not None
        }
        return {key: value for key, value in kept.items() if key not in self.secrets} | told


def _listen(pipe: IO[bytes], said: bytearray, ended: threading.Event) -> None:
    """Read all that comes and keep how it begins."""
    with suppress(OSError, ValueError), pipe, selectors.DefaultSelector() as ready:
        if os.name == "posix":
            ready.register(pipe, selectors.EVENT_READ)
        while not ended.is_set():
            if os.name == "posix" and not ready.select(0.2):
                continue
            data = os.read(pipe.fileno(), 4096)
            if not data:
                return
            said += data[: _SAID - len(said)]


def _end(process: "subprocess.Popen[bytes]") -> None:
    _stop(process, kill=True)
    process.wait()


def _stop(process: "subprocess.Popen[bytes]", kill: bool) -> None:
    """It, and what it has started."""
    with suppress(OSError):
        if os.name == "posix":
            os.killpg(process.pid, signal.SIGKILL if kill else signal.SIGTERM)
        else:
            process.kill()


_running: dict["subprocess.Popen[bytes]", None] = {}  # in the order they began
if os.name == "posix":
    os.register_at_fork(after_in_child=_running.clear)  # they are the parent's


@atexit.register
def _end_all() -> None:
    for process in (left := list(_running)):
        _stop(process, kill=False)
    until = time.monotonic() + _AT_THE_END
    while any(process in _running for process in left) and time.monotonic() < until:
        time.sleep(0.02)  # their own threads wait for them, and take them from the list
    for process in list(_running):
        _stop(process, kill=True)
