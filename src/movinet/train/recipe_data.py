"""What a recipe trains on, and what makes a clip of it: frozen data, a part of `movinet.train.recipe`."""

from dataclasses import dataclass, field
from math import inf

from movinet.arch.limits import LARGEST_SIDE, MOST_FRAMES
from movinet.data.streams import TargetRule
from movinet.errors import MovinetError

MOST_COUNTED = 1 << 31
"""Of clips, epochs and whatever else a recipe counts."""


def require(right: bool, complaint: str) -> None:
    """Refuse what a recipe says.

    Raises:
        MovinetError: It is not right.
    """
    if not right:
        raise MovinetError(f"recipe: {complaint}")


@dataclass(frozen=True)
class Videos:
    """Labeled videos on disk: whatever `movinet data check` reads.

    Args:
        paths: A folder or lists; relative ones start from where the command is run.
        videos: Where listed videos are; by default where the list is.
        train: Splits to train on. By default those called train…, else all that nothing else is said of.
        validation: Splits to look at after every epoch. By default those called val… or dev….
        test: Splits to stream once, at the end. By default those called test….
        held_out: Where no split is for validation, this share of the training videos is, of every class alike; 0: none.
        skip_missing: Leave out listed videos that are not there, as of sets whose videos are fetched one by one.
    """

    paths: tuple[str, ...]
    videos: str | None = None
    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    held_out: float = 0.15
    skip_missing: bool = False

    def __post_init__(self) -> None:
        require(0 <= self.held_out < 1, f"data.held_out is {self.held_out}; it must lie in [0, 1)")


@dataclass(frozen=True)
class Gestures:
    """Synthetic air gestures, rendered while training.

    Args:
        clips: Of an epoch.
        frames: Lengths of clips; every batch has one of them.
        fps_scale: The network's frame rate is multiplied by a number from this range.
        validation: Clips to look at after every epoch, always the same.
        test: Clips to stream once, at the end.
        fresh: Every epoch shows new ones.
    """

    clips: int
    frames: tuple[int, ...]
    fps_scale: tuple[float, float] = (0.75, 1.4)
    validation: int = 220
    test: int = 220
    fresh: bool = True

    def __post_init__(self) -> None:
        some = self.frames != () and min(self.clips, *self.frames) >= 1
        require(some, "data: want clips and frames, at least 1 each")
        require(min(self.validation, self.test) >= 0, "data: there cannot be fewer than 0 clips")
        few = max(self.clips, self.validation, self.test) <= MOST_COUNTED and max(self.frames) <= MOST_FRAMES
        require(few, f"data: there can be at most {MOST_COUNTED} clips, of {MOST_FRAMES} frames")
        scale = self.fps_scale
        require(0 < scale[0] <= scale[1] < inf, f"data.fps_scale is {scale}; want a range above 0")


@dataclass(frozen=True)
class GestureStreams:
    """Endless synthetic streams of air gestures and of all that lies between them, rendered while training.

    A stream is a lane; there are as many as `batch_size`. Each update takes one chunk of `sub_clip` frames of every
    lane and goes on from the states that the last one left.

    Args:
        chunks: Of each lane in an epoch: as many as there are updates.
        clips: The share of the lanes that show single clips, each begun anew, so that clips stay as good.
        targets: From when and until when a gesture's label is wanted.
        validation: Streams to look at after every epoch, always the same.
        validation_chunks: Of each of these.
    """

    chunks: int
    clips: float = 0.25
    targets: TargetRule = field(default_factory=TargetRule)
    validation: int = 8
    validation_chunks: int = 60

    def __post_init__(self) -> None:
        require(1 <= self.chunks <= MOST_COUNTED, f"data.chunks is {self.chunks}; it must be at least 1")
        require(0 <= self.clips <= 1, f"data.clips is {self.clips}; it must lie in [0, 1]")
        require(0 <= self.validation <= MOST_COUNTED, f"data.validation is {self.validation}; want a number from 0")
        most = self.validation_chunks
        require(1 <= most <= MOST_COUNTED, f"data.validation_chunks is {most}; it must be at least 1")


@dataclass(frozen=True)
class Streams:
    """Long videos on disk with what happens in them when, as `movinet.evaluate.labeled_streams` reads them.

    A lane shows stretch after stretch of them, each from a random moment; see `GestureStreams` for lanes and chunks.

    Args:
        paths: Lists; relative ones start from where the command is run.
        videos: Where listed videos are; by default where the list is.
        background: The label of the time in which nothing happens. By default `other` where the lists have it, else a
            further label, `background`.
        train, validation, test: Splits, as of `Videos`.
        held_out: Where no split is for validation, about this share of the time to train on is: whole videos, of fewer
            than four the end of each; 0: none.
        chunks: Of each lane in an epoch; by default as many as show about everything once.
        stretch: Seconds until a lane begins anew elsewhere.
        focus: The share of the stretches in which something happens for certain, every label as often.
        mined: A list of moments (columns file and start) that are to be seen more often, such as false alarms.
        mined_share: The share of the stretches that are of these.
        targets: From when and until when a label is wanted.
        copies: The folder of small copies, which are read instead of the videos; by default in movinet's cache.
    """

    paths: tuple[str, ...]
    videos: str | None = None
    background: str | None = None
    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    held_out: float = 0.15
    chunks: int | None = None
    stretch: float = 60.0
    focus: float = 0.5
    mined: str | None = None
    mined_share: float = 0.25
    targets: TargetRule = field(default_factory=TargetRule)
    copies: str | None = None

    def __post_init__(self) -> None:
        require(0 <= self.held_out < 1, f"data.held_out is {self.held_out}; it must lie in [0, 1)")
        chunks = self.chunks
        require(chunks is None or 1 <= chunks <= MOST_COUNTED, f"data.chunks is {chunks}; it must be at least 1")
        require(0 < self.stretch < inf, f"data.stretch is {self.stretch}; want seconds above 0")
        shares = min(self.focus, self.mined_share) >= 0 and self.focus + self.mined_share <= 1
        require(shares, "data.focus and data.mined_share are shares: from 0, and together at most 1")


@dataclass(frozen=True)
class Clips:
    """Which frames of a video make a training clip. Size, rate and the length of a validation clip are the network's.

    Args:
        frames: Of a training clip; those of a validation clip by default.
        spread: The clip is the whole video in so many instants, instead of a random stretch at the network's rate.
        jitter: The gap between frames is multiplied by a number from this range.
        loop: A short video begins again, as in the official training, instead of holding its last frame.
        resize_short: The short side before the center crop of a validation clip; a bit more than the crop by default.
    """

    frames: int | None = None
    spread: bool = False
    jitter: tuple[float, float] = (1.0, 1.0)
    loop: bool = False
    resize_short: int | None = None

    def __post_init__(self) -> None:
        frames = self.frames
        fits = frames is None or 1 <= frames <= MOST_FRAMES
        require(fits, f"clips.frames is {frames}; it must be at least 1, and at most {MOST_FRAMES}")
        require(0 < self.jitter[0] <= self.jitter[1] < inf, f"clips.jitter is {self.jitter}; want a range above 0")
        spread_alone = not self.spread or (self.jitter == (1.0, 1.0) and not self.loop)
        require(spread_alone, "clips: spread over the whole video, a clip has no jitter and does not loop")
        short = self.resize_short
        fits = short is None or 1 <= short <= LARGEST_SIDE
        require(fits, f"clips.resize_short is {short}; it must be at least 1, and at most {LARGEST_SIDE}")
