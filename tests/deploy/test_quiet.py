"""What a process has (streams, warnings, logging) is as it was after any number of threads were quiet, and what other
threads say meanwhile is heard."""

import io
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pytest

from movinet.deploy.litert_quiet import litert_quiet
from movinet.deploy.quiet import quiet

TALK = b"INFO: [environment.cc:36] Creating LiteRT environment with options\n"


def in_thread(work: Callable[[], object]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join(20)
    assert not thread.is_alive()


class Overlap:
    """Contexts that other threads enter and leave when told to, in any order."""

    def __init__(self, context: Callable[[], AbstractContextManager[None]], count: int) -> None:
        self.inside = [threading.Event() for _ in range(count)]
        self.leave = [threading.Event() for _ in range(count)]
        self.threads = [threading.Thread(target=self._run, args=(context, n)) for n in range(count)]

    def _run(self, context: Callable[[], AbstractContextManager[None]], number: int) -> None:
        with context():
            self.inside[number].set()
            assert self.leave[number].wait(20)

    def enter(self, number: int) -> None:
        self.threads[number].start()
        assert self.inside[number].wait(20)

    def end(self, number: int) -> None:
        self.leave[number].set()
        self.threads[number].join(20)


def of_process() -> tuple[Any, ...]:
    return sys.stdout, sys.stderr, list(warnings.filters), logging.root.manager.disable, list(logging.root.handlers)


def test_overlapping_threads_leave_the_process_as_it_was() -> None:
    before, filters = of_process(), [list(handler.filters) for handler in logging.root.handlers]
    overlap = Overlap(quiet, 3)
    for number in (0, 1, 2):
        overlap.enter(number)
    with quiet(), quiet():
        for number in (0, 2, 1):
            overlap.end(number)
    assert of_process() == before
    assert [list(handler.filters) for handler in logging.root.handlers] == filters


def test_only_the_quiet_thread_is_not_heard(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    def speak(who: str) -> None:
        print(f"{who} prints")
        print(f"{who} complains", file=sys.stderr)
        logging.getLogger("somebody").warning("%s logs", who)

    with quiet():
        speak("the quiet one")
        logging.getLogger("somebody").error("an error")
        warnings.warn("quiet", stacklevel=1)
        in_thread(lambda: speak("another"))
        sys.stdout.writelines(["nothing"])
        assert sys.stdout.isatty() is False
    speak("the first again")
    assert capsys.readouterr() == (
        "another prints\nthe first again prints\n",
        "another complains\nthe first again complains\n",
    )
    assert caplog.messages == ["an error", "another logs", "the first again logs"]


def test_others_are_warned() -> None:
    caught: list[Warning | str] = []

    def warn() -> None:
        try:
            warnings.warn("of another thread", UserWarning, stacklevel=1)
        except UserWarning as warning:  # they are errors in these tests
            caught.append(warning)

    with quiet():
        in_thread(warn)
    assert len(caught) == 1
    with pytest.raises(UserWarning, match="after"):
        warnings.warn("after", UserWarning, stacklevel=1)


def test_a_stream_kept_by_somebody_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with quiet():
        handler = logging.StreamHandler()  # as converters make when they are imported
    handler.emit(logging.makeLogRecord({"msg": "heard"}))
    assert capsys.readouterr().err == "heard\n"


def test_a_stream_that_others_put_there_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = io.StringIO()
    with quiet():
        monkeypatch.setattr(sys, "stdout", theirs)
    assert sys.stdout is theirs


def test_errors_pass_through() -> None:
    before = of_process()
    with pytest.raises(ZeroDivisionError), quiet():
        1 / 0  # noqa: B018
    assert of_process() == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("context", [quiet, litert_quiet])
def test_a_forked_process_speaks(
    context: Callable[[], AbstractContextManager[None]], capfd: pytest.CaptureFixture[str]
) -> None:
    overlap = Overlap(context, 1)
    overlap.enter(0)
    child = os.fork()
    if not child:
        print("the child", file=sys.stderr, flush=True)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    overlap.end(0)
    assert capfd.readouterr().err == "the child\n"


def test_what_is_not_litert_s_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    before, overlap = os.fstat(2), Overlap(litert_quiet, 2)
    overlap.enter(0)
    os.write(2, b"one\n" + TALK + "WARNING: [a.cc:3] no\n└ because\ntwo\n".encode())
    overlap.enter(1)
    overlap.end(0)
    os.write(2, b"three\nINFO: Created TensorFlow Lite XNNPACK delegate for CPU.\nINFO: of the host\nno line's end")
    overlap.end(1)
    assert capfd.readouterr().err == "one\ntwo\nthree\nINFO: of the host\nno line's end"
    assert (os.fstat(2).st_dev, os.fstat(2).st_ino) == (before.st_dev, before.st_ino)


def test_an_error_stream_that_others_put_there_stays(capfd: pytest.CaptureFixture[str]) -> None:
    kept, (reading, writing) = os.dup(2), os.pipe()
    try:
        with litert_quiet():
            os.write(2, b"before\n")
            os.dup2(writing, 2)
        os.write(2, b"theirs")
        assert os.read(reading, 100) == b"theirs"
    finally:
        os.dup2(kept, 2)
        for descriptor in (kept, reading, writing):
            os.close(descriptor)
    assert capfd.readouterr().err == "before\n"


def test_without_an_error_stream_nothing_happens() -> None:
    code = """
import os
from movinet.deploy.litert_quiet import litert_quiet, quiet_at_exit
os.close(2)
with litert_quiet(), quiet_at_exit():
    pass
try:
    os.fstat(2)
except OSError:
    print("as it was")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "as it was\n"


THREADS = """
import atexit, ctypes, sys, threading
sys.path.insert(0, "tests")
from tiny import tiny_spec
from movinet.runtime.litert_engine import LiteRTEngine, lowered
from movinet.weights.weights import Weights

libc, words = ctypes.CDLL(None), ctypes.create_string_buffer(b"last words of C")
libc.__cxa_atexit(ctypes.cast(libc.perror, ctypes.c_void_p), words, None)
atexit.register(lambda: print("last words of Python", file=sys.stderr, flush=True))
file, engines = lowered(Weights.untrained(tiny_spec()), keep=False), []
threads = [threading.Thread(target=lambda: engines.append(LiteRTEngine(file, threads=1))) for _ in range(3)]
for thread in threads:
    thread.start()
while any(thread.is_alive() for thread in threads):
    print("meanwhile", file=sys.stderr)
    threads[0].join(0.02)
for thread in threads:
    thread.join()
assert len(engines) == 3
engines.clear()
print("after", file=sys.stderr)
"""


@pytest.mark.slow
def test_three_threads_that_load_litert_lose_nothing() -> None:
    pytest.importorskip("ai_edge_litert")
    if sys.platform == "win32":
        pytest.skip("LiteRT says two lines as a process ends there")
    done = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert lines[-3:-1] == ["after", "last words of Python"]
    assert lines[-1].startswith("last words of C: ")
    # Nothing is lost; what is written just as the stream is put back may pass what the pipe still holds.
    assert len(lines) > 3
    assert "".join(lines[:-3]) == "meanwhile" * len(lines[:-3])
