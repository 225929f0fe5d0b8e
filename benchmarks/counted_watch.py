"""`movinet watch`, and beside it a line for every picture the network saw: the counter burnt into it, and when.

    COUNTS=counts.txt python benchmarks/counted_watch.py watch rtsp://…

Part of benchmarks/cameras.py. A line: the counter (-1: none), `time.monotonic()` as the picture came to the session and
as its answer was there, its time in the stream, and the processor seconds that reading the counter took.
COUNT_EVERY: of how many pictures one is read.
"""

import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import wraps
from importlib import import_module
from typing import Any, TextIO

from rig import counter

from movinet.cli import main

_WATCHED = (
    ("movinet.runtime.session", "Session", ("see", "push", "submit")),
    ("movinet.recognizer", "Recognizer", ("push",)),
    ("movinet.runtime.pool", "PoolStream", ("push",)),
)
_inside = threading.local()


def counted(method: Callable[..., Any], log: TextIO, every: int) -> Callable[..., Any]:
    """A session's method that also reads the counter, after the answer so that it does not wait for that."""
    calls: dict[int, int] = {}

    @wraps(method)
    def call(self: Any, image: Any, *arguments: Any, **more: Any) -> Any:
        if getattr(_inside, "yes", False):
            return method(self, image, *arguments, **more)
        came, _inside.yes = time.monotonic(), True
        try:
            answer = method(self, image, *arguments, **more)
        finally:
            _inside.yes = False
        calls[id(self)] = calls.get(id(self), 0) + 1
        if answer is None or calls[id(self)] % every:
            return answer
        begun = time.thread_time()
        number = counter(getattr(image, "rgb", image))
        at = getattr(image, "time", arguments[0] if arguments else more.get("time", 0.0))
        spent = time.thread_time() - begun

        def tell(done: object) -> None:
            print(-1 if number is None else number, came, time.monotonic(), at, spent, file=log, flush=True)

        if isinstance(answer, Future):
            answer.add_done_callback(tell)
        else:
            tell(answer)
        return answer

    return call


def hook() -> None:
    log = open(os.environ["COUNTS"], "w", encoding="utf-8")  # noqa: SIM115
    every = int(os.environ.get("COUNT_EVERY", "1"))
    for module, name, methods in _WATCHED:
        try:
            owner = getattr(import_module(module), name)
        except (ImportError, AttributeError):
            continue
        for method in methods:
            if method in vars(owner):
                setattr(owner, method, counted(getattr(owner, method), log, every))


if __name__ == "__main__":
    hook()
    sys.argv[0] = "movinet"
    main()
