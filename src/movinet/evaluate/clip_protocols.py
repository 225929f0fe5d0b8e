"""How a labeled video is shown to a network: one clip, many clips and crops, or a stream.

- `clip`: one clip of the network's own length from the middle of the video, one crop of its center, as MoViNets are
  judged (https://arxiv.org/abs/2103.11511, and the configurations published with them).
- `multi-clip`: several clips, evenly from the first to the last that fits, which overlap where the video is short, and
  of each several crops along the longer side; the answer is the mean of the views' probabilities. Ten clips and three
  crops are what SlowFast (https://arxiv.org/abs/1812.03982) made the custom; it costs thirty times as much.
- `stream`: every frame once, from front to back, and an answer after each.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from functools import partial
from time import process_time
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from movinet.errors import MovinetError
from movinet.evaluate.footage import Footage
from movinet.evaluate.judged import Judged, Probabilities
from movinet.labeled.sampling import FrameTimes, Sampling, dense, uniform, windows
from movinet.runtime.whole_video import most_held
from movinet.video.frame import Frame, Kept
from movinet.video.timing import LATE
from movinet.video.transform import Transform
from movinet.words import counted

SHARES = tuple(n / 20 for n in range(1, 21))
"""Of a video that has been seen, at which answers are compared."""

MOST_VIEWS = 1000
_MOST_KEPT = 4096  # answers of one stream: of a longer one every other is left out, and again


Kind = Literal["clip", "multi-clip", "stream"]


@dataclass(frozen=True)
class Protocol:
    """What is done with every video.

    Args:
        kind: see above.
        frames: of a clip; those the network was made for by default. A clip longer than that ends with its video.
        clips: of a video, for `multi-clip`.
        crops: of a clip, for `multi-clip`: evenly from one end of the longer side to the other.
        spread: a clip's frames are spread over the whole video instead of following each other at the network's rate.

    Raises:
        MovinetError: there is nothing to be seen, or too much.
    """

    kind: Kind
    frames: int | None = None
    clips: int = 10
    crops: int = 3
    spread: bool = False

    def __post_init__(self) -> None:
        if self.kind not in (kinds := get_args(Kind)):
            raise MovinetError(f"there is no protocol {self.kind!r}; choose one of {', '.join(kinds)}")
        for name, value in (("frames", self.frames or 1), ("clips", self.clips), ("crops", self.crops)):
            if value < 1 or (name == "frames" and self.frames == 0):
                raise MovinetError(f"--{name} must be at least 1, got {0 if name == 'frames' else value}")
        if self.clips * self.crops > MOST_VIEWS:
            views = f"{counted(self.clips, 'clip')} of {counted(self.crops, 'crop')}"
            raise MovinetError(f"{views} are more than {MOST_VIEWS} views of a video")
        if self.kind == "stream" and (self.frames is not None or self.spread):
            raise MovinetError("a stream has all frames there are, so --frames and --spread mean nothing for it")

    @property
    def views(self) -> int:
        """Of a video."""
        return self.clips * self.crops if self.kind == "multi-clip" else 1

    def settings(self) -> dict[str, object]:
        """What matters of it, ready for JSON."""
        everything = asdict(self)
        matters = {"clip": ("frames", "spread"), "multi-clip": ("frames", "clips", "crops", "spread"), "stream": ()}
        return {"kind": self.kind, **{name: everything[name] for name in matters[self.kind]}}


@dataclass(frozen=True)
class Answer:
    """What a network said of one video.

    Args:
        probabilities: (num_classes,) float32: in the end, or the mean over views.
        frames: that it was shown, in all views together.
        lasts: seconds of video.
        short: whether the video is shorter than the protocol's clip.
        decode_seconds, network_seconds: of processor time.
        by_share: of a stream, (20, num_classes) float32: the answers when `SHARES` of the video had been seen.
        every: of a stream, (num_classes,): the share of its frames after which each class was the likeliest.
    """

    probabilities: Probabilities
    frames: int
    lasts: float
    short: bool
    decode_seconds: float
    network_seconds: float
    by_share: NDArray[np.float32] | None = None
    every: NDArray[np.float32] | None = None


def show(judged: Judged, footage: Footage, protocol: Protocol) -> Answer:
    """Show a network a video.

    Raises:
        MovinetError: the video cannot be read, or the network fails.
    """
    return _streamed(judged, footage) if protocol.kind == "stream" else _clips(judged, footage, protocol)


def check(judged: Judged, protocol: Protocol) -> None:
    """Refuse what a network cannot do.

    Raises:
        MovinetError: it has no streams, or takes clips of one length alone, or they do not fit into memory.
    """
    if protocol.kind == "stream" and judged.answers is None:
        raise cannot_stream(judged.name)
    if not judged.any_length and protocol.frames not in (None, judged.clip_frames):
        raise MovinetError(
            f"{judged.name} was exported for clips of {counted(judged.clip_frames, 'frame')}: leave --frames out"
        )

    crops = protocol.crops if protocol.kind == "multi-clip" else 1
    if (frames := protocol.frames or 0) > (most := most_held(judged.transform) // crops):
        of = f" in {counted(crops, 'crop')}" if crops > 1 else ""
        raise MovinetError(
            f"--frames {frames}: a clip is held in memory, which has room for {most} frames of {judged.name}{of}; "
            "a stream network holds none with --protocol stream"
        )


def cannot_stream(name: str) -> MovinetError:
    """What to say of a network that sees whole clips."""
    return MovinetError(
        f"{name} sees whole clips and cannot stream: take --protocol clip or multi-clip, or a stream network"
    )


def _clips(judged: Judged, footage: Footage, protocol: Protocol) -> Answer:
    fps, length = judged.transform.fps, protocol.frames or judged.clip_frames
    clips, crops = (protocol.clips, protocol.crops) if protocol.kind == "multi-clip" else (1, 1)
    sample: Sampling = partial(_windows, fps=fps, longest=length, own=judged.clip_frames, clips=clips)
    if protocol.spread:
        sample = partial(uniform, frames=length, clips=clips)
    transforms = (
        [judged.transform] if crops == 1 else [_placed(judged.transform, n / (crops - 1)) for n in range(crops)]
    )
    total, lasts, shown, decoding, thinking = np.zeros(judged.num_classes), 0.0, 0, 0.0, 0.0
    for clip in range(clips):
        begun = process_time()
        lasts, frames = footage.at(partial(_one_of, sample, clip), fps)
        seen = [[Frame(frame.time, Kept(judged.transform, frame.levels(t))) for t in transforms] for frame in frames]
        decoded = process_time()
        for crop in range(crops):
            total += judged.answer(row[crop] for row in seen)
            shown += len(seen)
        decoding, thinking = decoding + decoded - begun, thinking + process_time() - decoded
    probabilities = (total / (clips * crops)).astype(np.float32)
    short = not protocol.spread and lasts + 2 * LATE < length / fps
    return Answer(probabilities, shown, lasts, short, decoding, thinking)


def _windows(
    duration: float, rng: np.random.Generator, *, fps: float, longest: int, own: int, clips: int
) -> FrameTimes:
    """As `windows`, of clips as long as asked for, but where a network sees more than its own length nothing is held:
    a frame repeated a thousand times takes as long as a thousand frames, and is all that is left of the others."""
    frames = min(longest, max(own, len(dense(duration, fps=fps))))
    return windows(duration, rng, fps=fps, frames=frames, clips=clips)


def _one_of(sample: Sampling, clip: int, duration: float, rng: np.random.Generator) -> FrameTimes:
    instants = sample(duration, rng)
    return instants if instants.ndim == 1 else instants[clip]


def _streamed(judged: Judged, footage: Footage) -> Answer:
    assert judged.answers is not None
    fps, kept, every = judged.transform.fps, _Thinned(), np.zeros(judged.num_classes, np.float32)
    begun, clock = process_time(), _Clock()
    for probabilities in judged.answers(clock.timed(footage.stream(fps), judged.transform)):
        kept.add(probabilities)
        every[int(probabilities.argmax())] += 1
    spent, frames = process_time() - begun, kept.count
    by_share = np.stack([kept.after(math.ceil(share * frames - 1e-9)) for share in SHARES])
    return Answer(
        by_share[-1], frames, frames / fps, False, clock.seconds, max(0.0, spent - clock.seconds), by_share,
        every / np.float32(frames),
    )  # fmt: skip


@dataclass
class _Clock:
    """Processor time that frames took to come and to be made ready."""

    seconds: float = 0.0

    def timed(self, frames: Iterable[Frame], transform: Transform) -> Iterator[Frame]:
        begun = process_time()
        for frame in frames:
            frame.levels(transform)
            self.seconds += process_time() - begun
            yield frame
            begun = process_time()
        self.seconds += process_time() - begun


@dataclass
class _Thinned:
    """Answers of a stream of any length, in bounded memory: those of a long one are an even choice, with the last."""

    kept: list[Probabilities] = field(default_factory=list)
    step: int = 1
    count: int = 0
    last: Probabilities | None = None

    def add(self, probabilities: Probabilities) -> None:
        self.count += 1
        self.last = probabilities
        if self.count % self.step == 0:
            self.kept.append(probabilities.copy())  # it may be a row of many, which it would hold on to
        if len(self.kept) > _MOST_KEPT:
            self.kept, self.step = self.kept[1::2], 2 * self.step

    def after(self, frames: int) -> Probabilities:
        """The answer after so many frames, from 1, or the nearest before that was kept."""
        assert self.last is not None
        if frames == self.count:
            return self.last
        return self.kept[max(0, frames // self.step - 1)]


@dataclass(frozen=True)
class _Placed(Transform):
    """A crop that need not be in the center."""

    along: float = 0.5  # of the longer side: from 0, its beginning, to 1, its end

    def placed(self, height: int, width: int) -> tuple[tuple[int, int], tuple[int, int]]:
        size, (top, left) = super().placed(height, width)
        if size[0] > size[1]:
            top = int((size[0] - self.size[0]) * self.along)
        else:
            left = int((size[1] - self.size[1]) * self.along)
        return size, (top, left)


def _placed(transform: Transform, along: float) -> Transform:
    return _Placed(transform.size, transform.resize_short, transform.fps, transform.scale, along)


def describe(protocol: Protocol, judged: Judged) -> str:
    """In words, for people."""
    if protocol.kind == "stream":
        return f"stream at {judged.transform.fps:g} frames a second"
    length = counted(protocol.frames or judged.clip_frames, "frame")
    if not protocol.spread and (protocol.frames or 0) > judged.clip_frames:
        length = f"up to {length}"
    how = "spread over the video" if protocol.spread else f"at {judged.transform.fps:g} a second"
    if protocol.kind == "clip":
        return f"one clip of {length} {how}"
    return f"{counted(protocol.clips, 'clip')} × {counted(protocol.crops, 'crop')} of {length} {how}"
