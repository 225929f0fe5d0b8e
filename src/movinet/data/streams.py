"""Endless streams to train on: lanes of frames with what is true at every one of them.

A training on streams takes one chunk of every lane in each update and carries each lane's state from chunk to chunk, so
what a lane shows is seen in order, as at use.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from movinet.video.transform import Transform

IGNORE = -100
"""The target of a frame of which nothing is to be learned."""


def either(label: int) -> int:
    """The target of a frame at which both class `label` and the background are right, and all others wrong: of a
    gesture that has begun and cannot be known yet, or has just ended. `either(either(label))` is the label."""
    return IGNORE - 1 - label


@dataclass(frozen=True)
class StreamChunk:
    """Consecutive frames of an endless stream, and what is true at each of them.

    Attributes:
        frames: (3, T, H, W) uint8 RGB, at the network's size and rate.
        targets: (T,) int64, the class a frame (background included), `either(class)` where that and the background are
            right, `IGNORE` where nothing is to be learned.
        begins: A stream begins with the chunk: the state before it is forgotten.
    """

    frames: Tensor
    targets: Tensor
    begins: bool


@runtime_checkable
class StreamLanes(Protocol):
    """Endless streams side by side. Chunk n of a lane is a function of the lanes' own seed, the lane and n alone: any
    process can make it, and a run that goes on asks for the same again.

    Attributes:
        classes: A network's output i stands for classes[i].
        transform: Of the network; scales the frames.
        background: The class of the frames in which nothing happens.
    """

    @property
    def classes(self) -> tuple[str, ...]: ...
    @property
    def transform(self) -> Transform: ...
    @property
    def background(self) -> str: ...
    def chunk(self, lane: int, number: int, /) -> StreamChunk:
        """Chunk `number`, from 0, of lane `lane`, from 0; chunks of all lanes have equally many frames."""


@runtime_checkable
class EventLanes(StreamLanes, Protocol):
    """Lanes that also know what happens in them as events, so that events are scored in validation."""

    def segments(self, lane: int, chunks: int, /) -> list[tuple[int, float, float]]:
        """What happens in the first chunks of a lane: (class, start, end) in seconds from its beginning."""


@dataclass(frozen=True)
class TargetRule:
    """When the label of a segment is true of a stream that knows the past alone.

    Args:
        known: The label is wanted from the frame by which this share of the segment has been seen, from 0 to 1.
        wait: Seconds later than that: whether a hand that rests has finished can only be seen by waiting.
        held: And for this many seconds after its end: an answer needs a moment to be given.
        unknown: What is wanted of the frames of a segment before that. `either`: the label or the background, so that
            an early answer is allowed and a wrong one is not; `ignore`: anything; `background`: nothing yet.
        possible: Before this share of the segment has been seen the background is wanted, whatever `unknown` says, so
            that the answer to one falls before the next of its kind.
        fading: Seconds after `held` in which the label and the background are right, unless another segment begins.

    Raises:
        ValueError: A number out of its range.
    """

    known: float = 0.5
    held: float = 0.4
    unknown: Literal["either", "ignore", "background"] = "either"
    fading: float = 0.4
    possible: float = 0.0
    wait: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.known <= 1:
            raise ValueError(f"known is {self.known}; it must lie in [0, 1]")
        if not 0 <= self.possible <= 1:
            raise ValueError(f"possible is {self.possible}; it must lie in [0, 1]")
        if not all(0 <= seconds < inf for seconds in (self.held, self.fading, self.wait)):
            raise ValueError(f"held, fading and wait are {self.held}, {self.fading}, {self.wait}; want seconds from 0")


# Labels are wanted when what they name is over: no beginning is taken for what begins alike.
ENDED = TargetRule(known=1.0, possible=0.5, wait=0.6, held=1.8, fading=1.0)


def frame_targets(
    times: NDArray[np.float64],
    segments: Sequence[tuple[int, float, float]],
    background: int,
    rule: TargetRule,
) -> Tensor:
    """What is wanted of a network at every frame.

    Args:
        times: (T,) seconds, rising.
        segments: (class, start, end) in seconds, in the order of their starts. What is held of one ends where the next
            begins.
        background: The class of all other frames. A segment of it is as good as none.
        rule: From when and until when a label is wanted.

    Returns:
        (T,) int64: classes, or `either` of one, or `IGNORE`.
    """
    targets = np.full(len(times), background, np.int64)
    for label, start, end in segments:
        if label == background:
            continue
        known = start + rule.known * (end - start) + rule.wait
        unsure = {"either": either(label), "ignore": IGNORE, "background": background}[rule.unknown]
        targets[times >= start] = background
        targets[times >= start + rule.possible * (end - start)] = unsure
        targets[times >= known] = label
        targets[times > end + rule.held] = either(label)
        targets[times > end + rule.held + rule.fading] = background
    return torch.from_numpy(targets)
