"""Where in long videos the chunks of a lane lie."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, floor
from pathlib import Path
from typing import NamedTuple

import numpy as np

_STRETCH = 3  # what a generator is for, beside those of `movinet.data.dataset` and `movinet.data.batches`
_LEAD = 0.8  # of a stretch, at most, lies before what it was drawn for


@dataclass(frozen=True)
class StreamVideo:
    """A long video, or a part of it, and what happens in it.

    Args:
        path: Of the video.
        start, end: Seconds of the video that count.
        segments: (class, start, end) in seconds of the video, by start.
    """

    path: Path
    start: float
    end: float
    segments: tuple[tuple[int, float, float], ...]

    @property
    def seconds(self) -> float:
        return self.end - self.start


class Place(NamedTuple):
    """Of a chunk.

    Attributes:
        video: Which.
        first: Number of its first frame, counted from the beginning of the video.
        begins: A stream begins here.
        stretch: Chunks of one stretch are changed alike.
    """

    video: int
    first: int
    begins: bool
    stretch: int


@dataclass(frozen=True)
class RandomStretches:
    """Stretch after stretch, each from a random moment of a random video; where a video ends, another begins.

    Args:
        videos: At least one.
        frames: Of a chunk.
        fps: Of the network.
        chunks: Of a stretch.
        lanes: How many there are; they begin new stretches at different times.
        seed: Of all that is drawn.
        focus: The share of the stretches that are drawn so that something happens in them, every class as often.
        moments: (video, seconds) that are to be seen more often, such as those of false alarms.
        mined: The share of the stretches that are drawn for one of these.
    """

    videos: Sequence[StreamVideo]
    frames: int
    fps: float
    chunks: int
    lanes: int
    seed: int = 0
    focus: float = 0.5
    moments: Sequence[tuple[int, float]] = ()
    mined: float = 0.25
    _events: dict[int, list[tuple[int, float]]] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for index, video in enumerate(self.videos):
            for label, start, _ in video.segments:
                if video.start <= start < video.end:
                    self._events.setdefault(label, []).append((index, start))

    def __call__(self, lane: int, number: int) -> Place:
        offset = lane * self.chunks // self.lanes
        stretch, wanted = divmod(number + offset, self.chunks)
        rng = np.random.default_rng((_STRETCH, self.seed, lane, stretch))
        at = 0
        while True:
            left = self.chunks - at
            video, first = self._draw(rng, left * self.frames / self.fps)
            here = min(left, max(1, ceil((self.videos[video].end * self.fps - first) / self.frames)))
            if wanted < at + here:
                place = first + (wanted - at) * self.frames
                return Place(video, place, wanted == at or number == 0, stretch)
            at += here

    def _draw(self, rng: np.random.Generator, seconds: float) -> tuple[int, int]:
        """A video and the number of the frame to begin with."""
        kind = rng.random()
        if kind < self.focus and self._events:
            labels = sorted(self._events)
            events = self._events[labels[int(rng.integers(len(labels)))]]
            video, moment = events[int(rng.integers(len(events)))]
        elif self.focus <= kind < self.focus + self.mined and self.moments:
            video, moment = self.moments[int(rng.integers(len(self.moments)))]
        else:
            lengths = np.array([video.seconds for video in self.videos])
            video, moment = int(rng.choice(len(self.videos), p=lengths / lengths.sum())), -1.0
        what = self.videos[video]
        latest = max(what.start, what.end - seconds)
        begin = rng.uniform(what.start, latest) if moment < 0 else moment - rng.uniform(0, _LEAD * seconds)
        return video, floor(min(max(begin, what.start), latest) * self.fps)


@dataclass(frozen=True)
class OneAfterTheOther:
    """Every video from its beginning to its end, once; lanes are of about one length.

    Args:
        videos: At least one.
        frames: Of a chunk.
        fps: Of the network.
        lanes: At most; never more than videos.
    """

    videos: Sequence[StreamVideo]
    frames: int
    fps: float
    lanes: int = 8
    queues: list[list[Place]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        queues: list[list[Place]] = [[] for _ in range(min(self.lanes, len(self.videos)))]
        for index in sorted(range(len(self.videos)), key=lambda index: -self.videos[index].seconds):
            video = self.videos[index]
            first = floor(video.start * self.fps)
            chunks = max(1, ceil((video.end * self.fps - first) / self.frames))
            min(queues, key=len).extend(Place(index, first + n * self.frames, n == 0, 0) for n in range(chunks))
        object.__setattr__(self, "queues", queues)

    @property
    def chunks(self) -> int:
        """Of the longest lane."""
        return max(map(len, self.queues))

    def __call__(self, lane: int, number: int) -> Place | None:
        """None after the last video of a lane."""
        queue = self.queues[lane]
        return queue[number] if number < len(queue) else None
