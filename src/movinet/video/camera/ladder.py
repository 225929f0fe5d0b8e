"""What is left out of a stream that lags until it has caught up. Plain numbers; knows no decoder."""

from typing import Literal

Least = Literal["DEFAULT", "NONREF", "NONKEY"]
"""What a decoder leaves out: nothing, pictures that no other refers to, all but key frames."""
Step = Literal["lagging", "caught_up", "anew"]

_CAUGHT_UP = 0.2  # of the lag allowed, at which a stream counts as caught up
_PATIENCE = 0.25  # seconds that a step is given to show
_WORSE = 1.2  # times the lag allowed, at which patience ends
_HOPELESS = 2.0  # seconds of key frames alone without the lag shrinking, after which nothing helps; of less lag, more
_KEYS = 3  # intervals between key frames that are remembered


class Ladder:
    """Watches the lag of one connection: first what nothing refers to is left out, then all but key frames.

    Args:
        max_lag: Seconds that the stream may lag.
    """

    def __init__(self, max_lag: float) -> None:
        self.max_lag = max_lag
        self.least: Least = "DEFAULT"
        self.lagging = False
        self.since = 0.0
        """When it began to lag."""
        self._worst = 0.0  # lag at the step before, or the least since
        self._changed = 0.0  # when that was
        self._last_key: float | None = None
        self._intervals: list[float] = []

    @property
    def key_interval(self) -> float:
        """Seconds between key frames, the longest of the last few; 0 where not known."""
        return max(self._intervals, default=0.0)

    def key(self, time: float) -> None:
        """A key frame's packet of this time came."""
        if self._last_key is not None and time > self._last_key:
            self._intervals = [*self._intervals[1 - _KEYS :], time - self._last_key]
        self._last_key = time

    def look(self, lag: float, now: float) -> Step | None:
        """After every packet.

        Args:
            lag: Seconds.
            now: By `time.monotonic`.

        Returns:
            What is to be told; "anew" where the connection should be opened anew.
        """
        if not self.lagging:
            if lag <= self.max_lag:
                return None
            self.lagging, self.since, self.least = True, now, "NONREF"
            self._worst, self._changed = lag, now
            return "lagging"
        if lag <= _CAUGHT_UP * self.max_lag:
            self.least, self.lagging = "DEFAULT", False
            return "caught_up"
        waited = now - self._changed
        if lag < self._worst - 0.1 * self.max_lag:  # it shrinks
            self._worst, self._changed = lag, now
        elif self.least == "NONKEY":
            return "anew" if waited > (_HOPELESS if lag > 2 * self.max_lag else 3 * _HOPELESS) else None
        elif waited > _PATIENCE or lag > _WORSE * self.max_lag:
            self.least = "NONKEY"
            self._worst, self._changed = lag, now
        return None
