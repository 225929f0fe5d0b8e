"""Which stream sits in which row of which batch, and which have a frame.

With thousands of streams nobody can be asked one by one: every change keeps lists of those that the next question is
about, so that each costs as much as a batch has rows, however many streams there are.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic

from movinet.runtime.engine import BatchState, StreamState
from movinet.runtime.queued_frame import QueuedFrame


@dataclass(eq=False)
class Slot(Generic[BatchState]):
    """A stream: its queue, and where its state is."""

    decays: Mapping[str, float]  # entries of the state that differ from the network's own
    evicted_state: StreamState | None = None  # the state of a stream without a row; None: it is at its beginning
    seen: int = 0  # frames since its beginning
    group: "Group[BatchState] | None" = None
    row: int = 0
    queue: deque[QueuedFrame] = field(default_factory=deque)
    since: float = 0.0  # when it got into the line it waits in


@dataclass(eq=False)
class Group(Generic[BatchState]):
    """The streams of a batch; `Seating` keeps the counts."""

    state: BatchState | None  # None: lost with an error
    rows: list[Slot[BatchState] | None]
    size: int = 0  # streams that live here
    absent: int = 0  # of them, those without a frame

    @property
    def places(self) -> int:
        """Rows whose stream, if any, has no frame."""
        return len(self.rows) - self.size + self.absent


class Seating(Generic[BatchState]):
    """Groups, the streams in them, and the line of those with frames."""

    def __init__(self, groups: Sequence[Group[BatchState]]) -> None:
        """
        Args:
            groups: empty, of the same number of rows.
        """
        self._rows = len(groups[0].rows)
        self._line: dict[Slot[BatchState], None] = {}  # who has waited longest is first
        self._standing: dict[Slot[BatchState], None] = {}  # of the line, those without a row
        self._seated: list[dict[Slot[BatchState], None]] = [{} for _ in range(self._rows + 1)]  # by their group's size
        self._complete: dict[Group[BatchState], None] = {}  # everybody in them has a frame
        # Groups with places, by how few are to be driven out, and then by how much room there is.
        self._hosts: list[list[dict[Group[BatchState], None]]] = [
            [{} for _ in range(self._rows + 1)] for _ in range(self._rows + 1)
        ]
        for group in groups:
            self._hosts[0][0][group] = None

    @property
    def first(self) -> Slot[BatchState] | None:
        """Of those with frames, who has waited longest."""
        return next(iter(self._line), None)

    @property
    def complete(self) -> Group[BatchState] | None:
        """The first group whose streams all have a frame."""
        return next(iter(self._complete), None)

    @property
    def standing(self) -> int:
        """Streams with a frame and no row."""
        return len(self._standing)

    def enter(self, slot: Slot[BatchState], now: float) -> None:
        """A stream has a frame; one that waits already keeps its place in the line."""
        if slot in self._line:
            return
        slot.since = now
        self._line[slot] = None
        if slot.group is None:
            self._standing[slot] = None
        else:
            self._seated[slot.group.size][slot] = None
            self._count(slot.group, slot.group.size, slot.group.absent - 1)

    def leave_line(self, slot: Slot[BatchState]) -> None:
        """A stream has no frame any more."""
        if slot not in self._line:
            return
        del self._line[slot]
        if slot.group is None:
            del self._standing[slot]
        else:
            del self._seated[slot.group.size][slot]
            self._count(slot.group, slot.group.size, slot.group.absent + 1)

    def seat(self, slot: Slot[BatchState], group: Group[BatchState], row: int) -> None:
        """A stream without a row gets one that is free."""
        waits = slot in self._line
        if waits:
            del self._standing[slot]
            self._seated[group.size][slot] = None
        group.rows[row], slot.group, slot.row = slot, group, row
        self._count(group, group.size + 1, group.absent + (not waits))

    def unseat(self, slot: Slot[BatchState]) -> None:
        """A stream loses its row, if it has one."""
        group = slot.group
        if group is None:
            return
        waits = slot in self._line
        if waits:
            del self._seated[group.size][slot]
            self._standing[slot] = None
        group.rows[slot.row], slot.group = None, None
        self._count(group, group.size - 1, group.absent - (not waits))

    def host(self) -> Group[BatchState]:
        """The best group for streams without a row: few to drive out, much room."""
        return next(iter(next(groups for by_room in self._hosts for groups in by_room if groups)))

    def joiners(self, group: Group[BatchState], count: int) -> list[Slot[BatchState]]:
        """Some who have a frame and may fill a group up: those without a row first, then those of groups no larger."""
        found = list(islice(self._standing, count))
        for size in range(1, group.size + 1):
            if len(found) == count:
                break
            others = (slot for slot in self._seated[size] if slot.group is not group)
            found += islice(others, count - len(found))
        return found

    def _count(self, group: Group[BatchState], size: int, absent: int) -> None:
        """A group's streams have become so many, and move to where groups of that size are looked for."""
        self._hosts[group.absent][self._rows - group.places].pop(group, None)
        if size != group.size:
            for slot in group.rows:
                if slot is not None and slot in self._line:
                    self._seated[group.size].pop(slot, None)
                    self._seated[size][slot] = None
        group.size, group.absent = size, absent
        if group.places:
            self._hosts[absent][self._rows - group.places][group] = None
        if size and not absent:
            self._complete[group] = None
        else:
            self._complete.pop(group, None)
