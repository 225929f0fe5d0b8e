"""What a session needs of whoever runs its network: a pool, or an engine of its own."""

from collections.abc import Mapping
from typing import Any, Protocol

from movinet.runtime.engine import Engine, StreamState
from movinet.runtime.queued_frame import QueuedFrame
from movinet.runtime.stream_state import SavedStream
from movinet.weights.info import WeightsInfo


class Network(Protocol):
    """What an engine runs: weights, an exported network, or what is known of either."""

    @property
    def info(self) -> WeightsInfo: ...

    @property
    def hash(self) -> str: ...


class Seat(Protocol):
    """Where a stream's state lives, and what steps it: an engine of its own, or a place in a pool."""

    @property
    def engine(self) -> Engine[Any]: ...

    @property
    def initial_state(self) -> StreamState:
        """The state of a stream that has seen nothing, as the engine makes it."""

    @property
    def seen(self) -> int:
        """Frames the network has seen since the stream began."""

    @property
    def waiting(self) -> int:
        """Frames in the queue."""

    def check(self) -> None:
        """Raises MovinetError where it takes no more frames."""

    def show(self, frame: QueuedFrame) -> QueuedFrame | None:
        """Hand over a frame, whose owner is told the answer; the one that it pushed out of the queue, if any."""

    def snapshot(self) -> SavedStream:
        """A copy of the state after the last frame the network saw."""

    def restore(self, saved: SavedStream, decays: Mapping[str, float]) -> None:
        """Go on from there, and by these γ also after a reset. Frames in the queue are given up."""

    def leave(self) -> None:
        """Give the seat back; a second time does nothing."""
