"""Where frames wait for whoever looks at them: the newest few, never a queue that grows."""

from collections import deque
from threading import Condition

from movinet.video.frame import Frame

ROOM = 3
"""Frames that may wait. A network that hiccups sends some at once; whoever is a little late misses none of them."""


class Latest:
    """A place for the newest frames; what is not taken in time is counted.

    Where more come than there is room for, whoever takes them is too slow: all but the newest are thrown away, and no
    second one waits until there was time to wait for one.

    Args:
        changed: Notified of everything that happens here; its lock guards it.
        room: Frames that may wait.
    """

    def __init__(self, changed: Condition | None = None, room: int = ROOM) -> None:
        self.changed = changed or Condition()
        self.room = room
        self.dropped = 0
        self._slow = False
        self._frames: deque[Frame] = deque()

    def put(self, frame: Frame, patience: float = 0.0) -> None:
        """Add a frame, having waited at most `patience` seconds for room."""
        with self.changed:
            if patience and len(self._frames) >= self.room:
                self.changed.wait_for(lambda: len(self._frames) < self.room, patience)
            if len(self._frames) >= (1 if self._slow else self.room):
                self._slow = True
                self.dropped += len(self._frames)
                self._frames.clear()
            self._frames.append(frame)
            self.changed.notify_all()

    @property
    def waits(self) -> bool:
        """Whether there is a frame."""
        return bool(self._frames)

    def take(self) -> Frame | None:
        """The next frame, None where there is none."""
        with self.changed:
            if not self._frames:
                self._slow = False
                return None
            self.changed.notify_all()
            return self._frames.popleft()

    def clear(self) -> None:
        """Throw away what waits."""
        with self.changed:
            self._frames.clear()
