"""A frame between its stream and the step that shows it to the network."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from movinet.prediction import Prediction
from movinet.runtime.engine import Logits
from movinet.runtime.images import Image


class Owner(Protocol):
    """Who is told what came of a frame."""

    def answered(self, frame: "QueuedFrame", seen: int, logits: Logits | None, error: Exception | None) -> None: ...


@dataclass(eq=False)
class QueuedFrame:
    """A frame on its way to the network."""

    image: Image  # prepared
    arrived: float  # seconds, by the caller's clock
    time: float | None = None  # seconds, by the stream's
    fresh: bool = False  # the stream begins anew with it
    answer: Future[Prediction] | None = None  # None: the network sees it, and nobody asks what it thinks
    ends: bool = False  # what went on before it has ended
    decays: Mapping[str, float] | None = None  # by which the stream forgets from this frame on
    owner: Owner | None = None

    def follows(self, dropped: "QueuedFrame") -> None:
        """Take over what a frame before it would have done, which the network will not see."""
        self.fresh |= dropped.fresh
        self.ends |= dropped.ends
        self.decays = dropped.decays if self.decays is None else self.decays
