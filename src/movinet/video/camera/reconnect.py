"""When a source that was lost is tried again, and when it is given up. Plain numbers."""

import random
from collections.abc import Iterator

LASTING = 10.0
"""Seconds of pictures after which a source counts as being back for good: what gives one old piece of video and ends
is asked ever more rarely."""

LOGIN_PAUSE = 30.0
"""Seconds between attempts that a server refuses for their user or password; many lock out who tries more often."""


class Attempts:
    """The attempts to reach one source.

    Args:
        retries: Failed attempts in a row after which it is given up; None never gives up.
        pause: First and longest pause before another, seconds.
    """

    def __init__(self, retries: int | None, pause: tuple[float, float]) -> None:
        self.retries, self.pause = retries, pause
        self.failed = 0
        """In a row, the loss itself among them."""
        self._pauses = back_off(*pause)
        self._found: float | None = None  # when it came back

    def found(self, now: float) -> None:
        """It gave a picture."""
        self.failed = 0
        if self._found is None:
            self._found = now
        elif now - self._found >= LASTING:
            self._pauses = back_off(*self.pause)

    def lost(self, refused: bool = False) -> float | None:
        """It was lost, or an attempt failed: seconds to wait before the next, None to give up.

        Args:
            refused: For its user or password.
        """
        self._found = None
        if self.failed == self.retries:
            return None
        self.failed += 1
        pause = next(self._pauses)
        return max(pause, LOGIN_PAUSE) if refused else pause


def back_off(first: float = 0.5, most: float = 2.0) -> Iterator[float]:
    """Seconds to wait before each attempt: growing by half up to `most`, each shortened at random by up to half so that
    many clients do not return at once."""
    delay = first
    while True:
        yield delay * random.uniform(0.5, 1.0)
        delay = min(most, 1.5 * delay)
