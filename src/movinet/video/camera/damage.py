"""Whether a stream's pictures are fit to be recognized. Plain numbers."""

from collections import deque

_LOOKED_AT = 5.0  # seconds
_FEWEST = 8  # pictures to judge by
_UNFIT, _FIT = 0.5, 0.2  # shares of damaged pictures


class Damage:
    """Keeps the share of damaged pictures over the last seconds."""

    def __init__(self) -> None:
        self.unfit = False
        """Whether most are damaged, until few are."""
        self._seen: deque[tuple[float, bool]] = deque()
        self._damaged = 0

    @property
    def share(self) -> float:
        """Of 0 to 1."""
        return self._damaged / max(1, len(self._seen))

    def look(self, damaged: bool, now: float) -> bool:
        """After every picture; whether `unfit` has changed."""
        self._seen.append((now, damaged))
        self._damaged += damaged
        while self._seen[0][0] < now - _LOOKED_AT:
            self._damaged -= self._seen.popleft()[1]
        before = self.unfit
        if len(self._seen) >= _FEWEST:
            self.unfit = self.share > (_FIT if self.unfit else _UNFIT)
        return self.unfit != before
