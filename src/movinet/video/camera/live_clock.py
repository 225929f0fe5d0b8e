"""Times of a running stream's pictures, and how late they come. Plain numbers; knows no decoder."""

from dataclasses import dataclass
from math import inf, isfinite

_REMEMBERED = 128  # packets whose pictures may still be in the decoder
_STEP_BACK = 0.5  # seconds; less are pictures out of order: packets' own stamps, where FFmpeg makes them up, are, too
_AHEAD = 1.0  # seconds by which a picture may come early at most: what claims more has another clock
_AHEAD_PLAYED = 10.0  # the same where the stream is read ahead of time, and a hole in it is waited for
_DRIFT = 1e-3  # seconds a second by which a camera's clock may be slow
_LATE_PIECE = 0.02  # seconds by which a piece may come late and nobody mind
_SPARE, _SPARE_MOST = 0.5, 2.5  # seconds for which what follows waits longer then: a piece, so that none is late again
_HOLE = 0.3  # seconds between pictures, twice the usual at least, where a piece may be missing
_QUICKER = 0.005  # by how much what waits longer than the first did is played too fast, until it does not
_SLOW = 0.01  # the same, as far as is believed
_STUCK = 10  # equal stamps in a row after which stamps are not believed


@dataclass
class Timeline:
    """The time of a source, which goes on from one connection to the next.

    Args:
        began: When its first frame came, by `time.monotonic`; None before.
        last: Time of the newest frame, in seconds; None before.
    """

    began: float | None = None
    last: float | None = None


class LiveClock:
    """Seconds since a source's first frame, for the pictures of one connection.

    By the stamps, where they are worth something, else by when pictures arrive. Stamps that jump are taken up where
    the stream was: time goes on as it does for whoever waits. After a loss it goes on by the time that has passed.

    Args:
        timeline: The source's.
        stamped: Whether stamps are believed.
        played: Whether pictures come in bulk, to be shown by their stamps (HLS), rather than when they are taken.
    """

    def __init__(self, timeline: Timeline, stamped: bool = True, played: bool = False) -> None:
        self.timeline, self.stamped, self.played = timeline, stamped, played
        self.lag = 0.0
        """Seconds by which the newest packet came later than the quickest did; 0 where stamps tell nothing."""
        self.shifted = 0.0
        """Seconds by which times that were told were wrong, altogether: when time begins, or goes on, is only known
        when a picture is shown."""
        self._offset: float | None = None  # seconds to add to a stamp
        self._ahead: float | None = None  # seconds from a packet's own stamp to its picture's, as the first had it
        self._base = 0.0  # by how much the quickest packet was late
        self._last: tuple[float, float] | None = None  # stamp and arrival of the newest packet
        self._piece = 0.0  # stamp with which the piece began that is read
        self._most = inf  # seconds that pieces may wait: longer, and the server has them no more
        self._anchored = 0.0  # since when lag counts
        self._pending: dict[float, float] = {}  # times of pictures, by their stamps, as they arrived
        self._newest = 0.0  # time of the newest packet
        self._repeated = 0
        self._shown: float | None = None  # time of the newest picture of this connection
        self._usual = 0.04  # seconds between packets

    def arrived(self, shown: float | None, decoded: float | None, now: float, waited: float = 0.0) -> float:
        """A packet has come.

        Args:
            shown: Its picture's stamp, in seconds.
            decoded: Its own, by which packets are in order, where they have one.
            now: By `time.monotonic`.
            waited: Seconds that it had to be waited for.

        Returns:
            The time of its picture, in seconds of the stream.
        """
        if self.timeline.began is None:
            self.timeline.began = now
        stamp = decoded if shown is None else shown
        if not self.stamped or stamp is None or not isfinite(stamp):
            time = self._by_arrival(now)
        else:
            time = self._by_stamp(stamp, decoded, now, waited)
        if shown is not None:
            self._pending[shown] = time
            while len(self._pending) > _REMEMBERED:
                del self._pending[next(iter(self._pending))]
        self._newest = time
        return time

    def shown(self, stamp: float | None) -> tuple[float | None, list[float]]:
        """A picture has come out of the decoder.

        Args:
            stamp: In seconds, or None where it has none.

        Returns:
            (its time in seconds, the times of pictures before it that were not decoded). The time is None where it is
            a picture that was there before.
        """
        time = self._newest if stamp is None else self._pending.pop(stamp, self._newest)
        passed = sorted(other for other in self._pending.values() if other < time)
        self._pending = {stamp: other for stamp, other in self._pending.items() if other >= time}
        if self.timeline.last is None:  # time begins here
            assert self.timeline.began is not None
            self.timeline.began += time
            self._shift(-time)
            time, passed = 0.0, []
        elif self._shown is not None and time == self._shown:
            return None, passed
        elif time <= self.timeline.last:  # pictures are in order by now: its clock was set back a little
            shift = self.timeline.last + self._usual - time
            self._shift(shift)
            self._base -= shift
            time += shift
        self._shown = self.timeline.last = time
        return time, passed

    def early(self, now: float) -> float:
        """Seconds until the newest packet's picture is to be shown; 0 where that is at once."""
        if not self.played or self.timeline.began is None:
            return 0.0
        return max(0.0, self._newest + self._base - (now - self.timeline.began))

    @property
    def coming(self) -> list[float]:
        """Times of pictures that are in the decoder."""
        return list(self._pending.values())

    def anchor(self, now: float) -> None:
        """The newest packet is the first that counts: what was before it only seemed to come."""
        self._shift(self._by_arrival(now) - self._newest)
        self._base = 0.0

    @property
    def waits(self) -> float:
        """Seconds for which pictures that are played wait longer than the first did."""
        return self._base if self.played else 0.0

    @property
    def is_slow(self) -> bool:
        """Whether the lag has grown so slowly that it is the camera's clock that lags."""
        return self._last is not None and self.lag < _SLOW * (self._last[1] - self._anchored)

    def forgive(self) -> None:
        """What lag there is, is how it is: it counts from here."""
        self._base += self.lag
        self.lag = 0.0
        if self._last is not None:
            self._anchored = self._last[1]

    def _by_arrival(self, now: float) -> float:
        assert self.timeline.began is not None
        return max(now - self.timeline.began, self.timeline.last or 0.0)

    def _by_stamp(self, shown: float, decoded: float | None, now: float, awaited: float) -> float:
        assert self.timeline.began is not None
        arrival = now - self.timeline.began
        if self._offset is None or self._last is None:
            self._offset = self._by_arrival(now) - shown
            self._ahead = None if decoded is None else shown - decoded
            self._base = arrival - (shown + self._offset)
            self._last, self._anchored, self._piece = (shown, now), now, shown
            return shown + self._offset
        stamp = shown
        if decoded is not None:
            if self._ahead is None:  # FFmpeg has looked at some packets first; this one is no later than they were
                self._ahead = arrival - self._base - self._offset - decoded
            stamp = decoded + self._ahead
        if abs(shown - stamp) > _AHEAD:  # a clock that was set is seen in its picture before it is in the packet's own
            shown = stamp
        before, then = self._last
        step, waited = stamp - before, now - then
        late = arrival - (stamp + self._offset)
        back = step < -_STEP_BACK
        ahead = _AHEAD_PLAYED if self.played else _AHEAD
        if back or (step > ahead and late < self._base - ahead):
            # What was late before is as late still.
            passed = min(self._usual, _AHEAD) if self.played else waited
            self._offset += before + passed - stamp
            late = arrival - (stamp + self._offset)
        elif 0 < step < _AHEAD:
            self._usual += (step - self._usual) / 8
        if self.played:
            self._wait_less(0.0 if back else step, late, waited)
        self._repeated = self._repeated + 1 if step == 0 else 0
        if self._repeated >= _STUCK:
            self.stamped, self.lag = False, 0.0
            return self._by_arrival(now)
        if self.played:  # whatever is early waits; what was not there in time has all that follows wait longer
            if (missing := min(late - self._base, awaited)) > _LATE_PIECE:
                spare = min(max(_SPARE, stamp - self._piece), _SPARE_MOST)
                self._base = max(self._base + missing, min(self._base + missing + spare, self._most))
            if awaited > _LATE_PIECE:
                self._piece = stamp
        else:
            self._base = min(late, self._base + _DRIFT * waited)
        self.lag = max(0.0, late - self._base)
        self._last = stamp, now
        return shown + self._offset

    def _wait_less(self, step: float, late: float, passed: float) -> None:
        """Pieces that were missed, since the server has only the newest, are not waited for; and what was late once
        need not be so for ever."""
        early = self._base - late
        if self._base > 0 and early > 0 and step > max(_HOLE, 2 * self._usual):
            self._base = self._most = max(0.0, self._base - min(early, step - self._usual))
        elif self._base > 0:
            self._base = max(0.0, self._base - _QUICKER * passed)

    def _shift(self, seconds: float) -> None:
        self.shifted += seconds
        if self._offset is not None:
            self._offset += seconds
        self._pending = {stamp: time + seconds for stamp, time in self._pending.items()}
        self._newest += seconds
