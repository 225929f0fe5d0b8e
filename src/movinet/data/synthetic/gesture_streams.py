"""Endless synthetic streams of gestures and of everything that is none, to train on and to measure with.

People come and go in their places; they draw, rest, fidget, scratch themselves, point and wander about; nobody is
there; light is switched; the picture is cut, or stays. What is true: every gesture's label, start and end.
"""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from movinet.data.streams import StreamChunk, TargetRule, frame_targets
from movinet.data.synthetic.gesture_dataset import TRAINING_SEEDS
from movinet.data.synthetic.paths import GESTURES
from movinet.data.synthetic.stream_plan import BACKGROUND, SIGNS, Scene, plan_clips, plan_stream
from movinet.data.synthetic.stream_render import StreamRenderer
from movinet.errors import MovinetError
from movinet.evaluate.matching import Segment
from movinet.video.transform import Transform

GESTURE_SHARE = 0.42
"""Of what hands do in a stream, as by default."""
_MINUTES = 10.0  # of a stream in a lane, before another begins
_CLIP = 4.8  # seconds of a single clip in a lane
_CLIP_KNOWN = 0.95  # the share of its gesture after which its label is wanted: a clip may end with its gesture
_STREAM, _CLIPS = range(2)  # what a generator is for


@dataclass(frozen=True)
class GestureStream:
    """A synthetic stream, and what happens in it. Equal arguments give equal streams in every process.

    Attributes:
        seed: 0 or more; or several numbers.
        seconds: that it lasts.
        gestures: share of what hands do that are gestures, in [0, 1]; with 0 nothing happens in it.

    Raises:
        MovinetError: An argument is out of its range.
    """

    seed: int | tuple[int, ...]
    seconds: float
    gestures: float = GESTURE_SHARE

    def __post_init__(self) -> None:
        if not (0 < self.seconds <= 1e6 and 0 <= self.gestures <= 1):
            raise MovinetError(
                f"a stream wants up to 1e6 seconds and a share of gestures up to 1; got {self.seconds}, {self.gestures}"
            )

    @cached_property
    def plan(self) -> tuple[Scene, ...]:
        """Its scenes."""
        seed = self.seed if isinstance(self.seed, tuple) else (self.seed,)
        return plan_stream((_STREAM, *seed), self.seconds, self.gestures)

    def segments(self, name: str = "") -> tuple[Segment, ...]:
        """Its gestures: label, start and end in seconds, by start."""
        return tuple(
            Segment(name, act.kind, act.start, act.end)
            for scene in self.plan
            for act in scene.acts
            if act.kind in SIGNS
        )

    def frames(self, size: tuple[int, int], fps: float) -> Iterator[NDArray[np.uint8]]:
        """Its frames, (H, W, 3) uint8 RGB each, frame n that at n / fps seconds."""
        return StreamRenderer(size, fps, kept=2).stream(self.plan, self.seconds)


class GestureLanes:
    """Lanes of synthetic streams (`movinet.data.streams.StreamLanes`): a new one every ten minutes, for ever.

    Args:
        size: Height and width in pixels.
        fps: Frames a second the network expects.
        frames: Of a chunk.
        rule: When a label is wanted.
        clips: The share of the lanes, the last of them, that show single clips, each begun anew: a gesture trimmed to
            it, and then its last picture. Their label is wanted from just before the gesture's end to the last frame.
        lanes: How many there are.
        seed: Of all that is drawn.
        seeds: `TRAINING_SEEDS` or `TEST_SEEDS`: their streams differ.
        gestures: Share of what hands do that are gestures.
    """

    classes = GESTURES
    background = BACKGROUND

    def __init__(
        self,
        size: tuple[int, int],
        fps: float,
        frames: int,
        *,
        rule: TargetRule,
        clips: float = 0.0,
        lanes: int = 16,
        seed: int = 0,
        seeds: range = TRAINING_SEEDS,
        gestures: float = GESTURE_SHARE,
    ) -> None:
        if frames < 1 or lanes < 1 or not (0 <= clips <= 1 and 0 <= gestures <= 1):
            raise MovinetError(
                "lanes of gestures want frames, lanes, and shares in [0, 1]; "
                f"got {frames}, {lanes}, {clips}, {gestures}"
            )
        self.transform = Transform(size, min(size), fps)
        self.frames, self.rule, self.gestures = frames, rule, gestures
        self.first_clips = lanes - round(clips * lanes)
        self._seed = (seeds.start, seed)
        self._streams_chunks = max(1, round(60 * _MINUTES * fps / frames))
        self._clip_chunks = max(1, ceil(_CLIP * fps / frames - 1e-9))
        self._renderer = StreamRenderer(size, fps, kept=4 * lanes)
        self._plans: OrderedDict[tuple[int, ...], tuple[Scene, ...]] = OrderedDict()
        self._kept = 2 * lanes

    def chunk(self, lane: int, number: int, /) -> StreamChunk:
        clips = lane >= self.first_clips
        length = self._clip_chunks if clips else self._streams_chunks
        stream, within = divmod(number, length)
        plan = self._plan(lane, stream, clips)
        first = within * self.frames
        pixels = self._renderer.frames(plan, first, self.frames)
        times = (first + np.arange(self.frames)) / self.transform.fps
        rule = replace(self.rule, known=min(self.rule.known, _CLIP_KNOWN), wait=0.0, held=2 * _CLIP)
        rule = rule if clips else self.rule
        targets = frame_targets(times, _true(plan), GESTURES.index(BACKGROUND), rule)
        return StreamChunk(torch.from_numpy(pixels).permute(3, 0, 1, 2).contiguous(), targets, within == 0)

    def segments(self, lane: int, chunks: int) -> list[tuple[int, float, float]]:
        """What happens in the first `chunks` chunks of a lane: class, start and end in seconds from its beginning."""
        clips = lane >= self.first_clips
        length = self._clip_chunks if clips else self._streams_chunks
        each, end = length * self.frames / self.transform.fps, chunks * self.frames / self.transform.fps
        found = []
        for stream in range(ceil(chunks / length)):
            found += [(c, a + stream * each, b + stream * each) for c, a, b in _true(self._plan(lane, stream, clips))]
        return [segment for segment in found if segment[1] < end]

    def _plan(self, lane: int, stream: int, clips: bool) -> tuple[Scene, ...]:
        key = (_CLIPS if clips else _STREAM, *self._seed, lane, stream)
        if key not in self._plans:
            seconds = (self._clip_chunks if clips else self._streams_chunks) * self.frames / self.transform.fps
            self._plans[key] = plan_clips(key, seconds, 1) if clips else plan_stream(key, seconds, self.gestures)
            if len(self._plans) > self._kept:
                self._plans.popitem(last=False)
        return self._plans[key]


def _true(plan: tuple[Scene, ...]) -> list[tuple[int, float, float]]:
    return [(GESTURES.index(act.kind), act.start, act.end) for scene in plan for act in scene.acts if act.kind in SIGNS]
