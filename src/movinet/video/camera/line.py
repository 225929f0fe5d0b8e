"""What whoever reads a source and whoever supervises that tell each other about one connection."""

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

from movinet.errors import VideoError
from movinet.video.camera.kept_packets import KeptPackets
from movinet.video.camera.latest import Latest
from movinet.video.frame import Frame
from movinet.video.pacer import LivePacer

if TYPE_CHECKING:
    from av import Packet
    from av.video.stream import VideoStream

State = Literal["lagging", "caught_up", "unfit", "fit"]
_NEWS = 100  # that may wait to be told


class News(NamedTuple):
    """A change of the pictures that come.

    Args:
        state: `unfit`: too damaged to be recognized; `fit`: so no longer.
        why: In words.
        seconds: As in `movinet.video.camera.changes.Change`.
    """

    state: State
    why: str
    seconds: float


class Line(Protocol):
    """The reader's end."""

    @property
    def is_cut(self) -> bool:
        """Whether nobody listens any more."""

    def hear(self, rest: float = 0.0) -> None:
        """A picture's packet came; none is due within `rest` seconds."""

    def put(self, frame: Frame, patience: float = 0.0) -> None:
        """A frame that is due, see `movinet.video.camera.latest.Latest.put`."""

    def count(self, late: int, damaged: int, lag: float) -> None:
        """So many pictures more were left out or damaged, and the lag is so many seconds."""

    @property
    def keeps(self) -> bool:
        """Whether anything is done with what was `sent`."""

    def sent(self, stream: "VideoStream", packet: "Packet[VideoStream]", moment: float) -> None:
        """A packet came, of this second of the stream; it is not decoded yet."""

    def tell(self, news: News) -> None:
        """The pictures have changed."""

    def stretch(self, gap: float) -> None:
        """Pictures as many seconds apart still belong together."""

    def wait(self, seconds: float) -> bool:
        """Wait; True as soon as the line is cut."""


class LocalLine:
    """A line within this process.

    Args:
        latest: Where frames go.
        pacer: Whose gaps are stretched.
        packets: What was sent is kept here.
    """

    def __init__(self, latest: Latest, pacer: LivePacer, packets: KeptPackets | None = None) -> None:
        self.latest, self.pacer, self.packets = latest, pacer, packets
        self.changed = latest.changed
        self.began = time.monotonic()
        self.heard = self.began
        """Until when pictures have come, by `time.monotonic`."""
        self.frames = 0
        self.late = self.damaged = 0
        self.lag = 0.0
        self.news: deque[News] = deque(maxlen=_NEWS)
        self.over = False
        self.error: VideoError | None = None
        """Why it is over; None where the source has ended."""
        self._cut = threading.Event()

    @property
    def is_cut(self) -> bool:
        return self._cut.is_set()

    def hear(self, rest: float = 0.0) -> None:
        self.heard = time.monotonic() + rest

    def put(self, frame: Frame, patience: float = 0.0) -> None:
        with self.changed:
            if not self.is_cut:
                self.frames += 1
                self.latest.put(frame, patience)

    def count(self, late: int, damaged: int, lag: float) -> None:
        self.late, self.damaged, self.lag = self.late + late, self.damaged + damaged, lag

    @property
    def keeps(self) -> bool:
        return self.packets is not None

    def sent(self, stream: "VideoStream", packet: "Packet[VideoStream]", moment: float) -> None:
        if self.packets is not None and not self.is_cut:
            self.packets.add(stream, packet, moment)

    def tell(self, news: News) -> None:
        with self.changed:
            self.news.append(news)
            self.changed.notify_all()

    def stretch(self, gap: float) -> None:
        with self.changed:
            if not self.is_cut:
                self.pacer.max_gap = gap

    def wait(self, seconds: float) -> bool:
        return self._cut.wait(seconds)

    def end(self, error: VideoError | None) -> None:
        """Nothing more comes."""
        # Kept without its traceback, which holds the decoder and its last pictures, and by way of them this line.
        kept = None if error is None else type(error)(str(error))
        with self.changed:
            self.over, self.error = True, kept
            self.changed.notify_all()

    def cut(self) -> None:
        """What still comes is thrown away."""
        with self.changed:
            self._cut.set()
            self.changed.notify_all()
