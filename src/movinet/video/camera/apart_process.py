"""The process that reads a live source for another one: `python -m movinet.video.camera.apart_process`.

It is told on its standard input what is wanted, and says on its standard output what it would tell a line. Pictures
cross as pixels with their size before them. The pacer stays with the other one, and is asked.
"""

import json
import os
import sys
import threading
import time
from collections.abc import Iterable
from typing import IO, TYPE_CHECKING

from movinet.errors import BadSource, LoginRefused, VideoError
from movinet.video.camera.following import Known, follow
from movinet.video.camera.line import News
from movinet.video.camera.running import Past
from movinet.video.camera.wire import ONE, SEEN, SHAPE, known_as_plain, known_from, messages, wanted_from, write
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer

if TYPE_CHECKING:
    from av import Packet
    from av.video.stream import VideoStream

_LOOK = 2.0  # seconds between looks at whether there is still anybody to read for


class Wire:
    """The line of this process.

    Args:
        answers: What the other one writes.
        out: What it reads.
        known: Of the source.
    """

    is_cut = keeps = False

    def __init__(self, answers: IO[bytes], out: IO[bytes], known: Known) -> None:
        self._answers, self._out, self._known = answers, out, known

    def send(self, kind: bytes, data: bytes) -> None:
        write(self._out, kind, data)

    def ask(self, kind: bytes, number: float) -> bool:
        self.send(kind, ONE.pack(number))
        answer = self._answers.read(1)
        if not answer:
            raise BrokenPipeError
        return answer == b"\1"

    def hear(self, rest: float = 0.0) -> None:
        self.send(b"h", ONE.pack(rest))

    def put(self, frame: Frame, patience: float = 0.0) -> None:
        rgb = frame.rgb
        self.send(b"k", json.dumps(known_as_plain(self._known, everything=False)).encode())
        self.send(b"f", SHAPE.pack(rgb.shape[0], rgb.shape[1], frame.time, patience) + rgb.tobytes())

    def count(self, late: int, damaged: int, lag: float) -> None:
        self.send(b"c", json.dumps([late, damaged, lag]).encode())

    def sent(self, stream: "VideoStream", packet: "Packet[VideoStream]", moment: float) -> None:
        """What a process of its own reads is not kept: it would go through the wire a second time."""

    def tell(self, news: News) -> None:
        self.send(b"n", json.dumps(list(news)).encode())

    def stretch(self, gap: float) -> None:
        self.send(b"g", ONE.pack(gap))

    def wait(self, seconds: float) -> bool:
        time.sleep(seconds)
        return False


class RemotePacer(LivePacer):
    """The pacer of the other process."""

    def __init__(self, fps: float, max_gap: float, wire: Wire) -> None:
        self._wire = wire
        super().__init__(fps, max_gap)

    def wants(self, time: float, coming: Iterable[float] = ()) -> bool:
        return self._wire.ask(b"w", time)

    def is_due(self, time: float) -> bool:
        return self._wire.ask(b"d", time)

    def passed(self, time: float) -> None:
        self._wire.send(b"p", ONE.pack(time))


class _Past(Past):
    """Tells the other process what was seen."""

    wire: Wire | None = None

    def remember(self, stamp: float, looks: int) -> None:
        super().remember(stamp, looks)
        if self.wire is not None:
            self.wire.send(b"s", SEEN.pack(stamp, looks))


def main() -> None:
    """Read for whoever started this process, until the source is lost or nobody listens."""
    incoming, out = sys.stdin.buffer, sys.stdout.buffer
    threading.Thread(target=_leave_with, args=(os.getppid(),), daemon=True).start()
    _, data = next(messages(incoming))
    about = json.loads(data)
    past = _Past()
    known = Known(past=past)
    known_from(about["known"], known)
    wire = Wire(incoming, out, known)
    past.wire = wire
    wire.hear()
    try:
        follow(wanted_from(about["wanted"]), wire, RemotePacer(about["fps"], about["max_gap"], wire), known)
        what = ["end", ""]
    except BrokenPipeError:
        os._exit(0)
    except VideoError as error:
        kind = "bad" if isinstance(error, BadSource) else "login" if isinstance(error, LoginRefused) else "lost"
        what = [kind, str(error)]
    wire.send(b"e", json.dumps(what).encode())


def _leave_with(parent: int) -> None:
    """Whoever is read for may be killed while FFmpeg hangs."""
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os._exit(0)


if __name__ == "__main__":
    main()
