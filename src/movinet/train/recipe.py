"""What a training run is: frozen data, read from and written to YAML."""

from dataclasses import dataclass, field, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

from movinet.arch.limits import LARGEST_SIDE, MOST_FRAMES
from movinet.data.augment import Augmentation
from movinet.data.streams import TargetRule
from movinet.dataclass_io import from_plain, to_plain
from movinet.errors import MovinetError
from movinet.reading import read_yaml
from movinet.recipes import find_recipe
from movinet.weights import registry

_MOST = 1 << 31  # of clips, epochs and whatever else is counted


def _require(right: bool, complaint: str) -> None:
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
    """

    paths: tuple[str, ...]
    videos: str | None = None
    train: tuple[str, ...] = ()
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    held_out: float = 0.15


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
        _require(1 <= self.chunks <= _MOST, f"data.chunks is {self.chunks}; it must be at least 1")
        _require(0 <= self.clips <= 1, f"data.clips is {self.clips}; it must lie in [0, 1]")
        _require(0 <= self.validation <= _MOST, f"data.validation is {self.validation}; want a number from 0")
        most = self.validation_chunks
        _require(1 <= most <= _MOST, f"data.validation_chunks is {most}; it must be at least 1")


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
        _require(0 <= self.held_out < 1, f"data.held_out is {self.held_out}; it must lie in [0, 1)")
        chunks = self.chunks
        _require(chunks is None or 1 <= chunks <= _MOST, f"data.chunks is {chunks}; it must be at least 1")
        _require(0 < self.stretch < inf, f"data.stretch is {self.stretch}; want seconds above 0")
        shares = min(self.focus, self.mined_share) >= 0 and self.focus + self.mined_share <= 1
        _require(shares, "data.focus and data.mined_share are shares: from 0, and together at most 1")


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
        _require(fits, f"clips.frames is {frames}; it must be at least 1, and at most {MOST_FRAMES}")
        _require(0 < self.jitter[0] <= self.jitter[1] < inf, f"clips.jitter is {self.jitter}; want a range above 0")
        spread_alone = not self.spread or (self.jitter == (1.0, 1.0) and not self.loop)
        _require(spread_alone, "clips: spread over the whole video, a clip has no jitter and does not loop")
        short = self.resize_short
        fits = short is None or 1 <= short <= LARGEST_SIDE
        _require(fits, f"clips.resize_short is {short}; it must be at least 1, and at most {LARGEST_SIDE}")


@dataclass(frozen=True)
class RMSprop:
    """As TensorFlow defines it; every published network was trained with it.

    Args:
        lr: Learning rate at the end of the warm-up.
        decay: Of the mean of squares.
        momentum: Of the update; the rate is inside.
        epsilon: Inside the root.
        clip_norm: Largest norm of the gradient of each variable; 0: no limit.
        l2: Added to the gradient, times the weight, before clipping; kernels only, without the classifier.
    """

    lr: float
    decay: float = 0.9
    momentum: float = 0.9
    epsilon: float = 1.0
    clip_norm: float = 1.0
    l2: float = 3e-5

    def __post_init__(self) -> None:
        _require(0 < self.lr < inf, f"optimizer.lr is {self.lr}; it must be positive")
        for name in ("decay", "momentum"):
            _require(0 <= getattr(self, name) < 1, f"optimizer.{name} is {getattr(self, name)}; it must lie in [0, 1)")
        _require(0 < self.epsilon < inf, f"optimizer.epsilon is {self.epsilon}; it must be positive")
        for name in ("clip_norm", "l2"):
            _require(0 <= getattr(self, name) < inf, f"optimizer.{name} is {getattr(self, name)}; want a number from 0")


@dataclass(frozen=True)
class AdamW:
    """Args:
    lr: Learning rate at the end of the warm-up.
    betas: Of the means.
    weight_decay: Of kernels only.
    clip_norm: Largest norm of all gradients together; 0: no limit.
    """

    lr: float
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: float = 0.02
    clip_norm: float = 5.0

    def __post_init__(self) -> None:
        _require(0 < self.lr < inf, f"optimizer.lr is {self.lr}; it must be positive")
        _require(all(0 <= beta < 1 for beta in self.betas), f"optimizer.betas are {self.betas}; they lie in [0, 1)")
        for name in ("weight_decay", "clip_norm"):
            _require(0 <= getattr(self, name) < inf, f"optimizer.{name} is {getattr(self, name)}; want a number from 0")


@dataclass(frozen=True)
class Smoothness:
    """The Gaussian-random-walk loss on per-frame embeddings (`movinet.train.smoothness_loss`).

    Args:
        weight: λ.
        velocity: α.
        frames: Of a window.
    """

    weight: float = 0.1
    velocity: float = 0.5
    frames: int = 6

    def __post_init__(self) -> None:
        _require(0 <= min(self.weight, self.velocity) < inf, "loss.smoothness: want a weight and a velocity from 0")
        _require(3 <= self.frames <= 7, f"loss.smoothness.frames is {self.frames}; it compares the orders of 3 to 7")


@dataclass(frozen=True)
class AuxPoint:
    """Throw-away linear layers learn where a point is and where it goes, for data that know it
    (`movinet.train.aux_point_loss`).

    Args:
        layers: Whose features they read, such as `blocks.3.3`.
        weight: Beside the loss on labels.
    """

    layers: tuple[str, ...]
    weight: float = 3.0

    def __post_init__(self) -> None:
        _require(0 <= self.weight < inf, f"loss.aux_point.weight is {self.weight}; want a number from 0")


@dataclass(frozen=True)
class Steadiness:
    """The truncated mean square of changes from frame to frame, for streams (`movinet.train.stream_loss`).

    Args:
        weight: λ.
        limit: τ: larger changes of a log-probability count as this.
    """

    weight: float = 0.15
    limit: float = 4.0

    def __post_init__(self) -> None:
        fits = 0 <= self.weight < inf and 0 < self.limit < inf
        _require(fits, "loss.steadiness: want a weight from 0 and a limit above 0")


@dataclass(frozen=True)
class Loss:
    """Cross-entropy, or binary cross-entropy where a clip may show any number of classes, and what is added to it.

    Args:
        label_smoothing: Share of the target that is spread evenly over the classes.
        class_weights: `balanced`: a rare class weighs more; or a weight by label, 1 for those not named.
        smoothness: Of per-frame embeddings.
        aux_point: Of a point.
        steadiness: Of the answers, on streams.
        hard_background: On streams, of the frames at which nothing happens the share that counts: the hardest.
        early: On streams, where an answer is allowed but not wanted yet: the share of the loss that wants it.
    """

    label_smoothing: float = 0.0
    class_weights: Literal["even", "balanced"] | dict[str, float] = "even"
    smoothness: Smoothness | None = None
    aux_point: AuxPoint | None = None
    steadiness: Steadiness | None = None
    early: float = 0.0
    hard_background: float = 1.0

    def __post_init__(self) -> None:
        share = self.label_smoothing
        hard = self.hard_background
        _require(0 < hard <= 1, f"loss.hard_background is {hard}; it must lie in (0, 1]")
        _require(0 <= share < 1, f"loss.label_smoothing is {share}; it must lie in [0, 1)")
        _require(0 <= self.early <= 1, f"loss.early is {self.early}; it must lie in [0, 1]")


@dataclass(frozen=True)
class Recipe:
    """A whole run, but for the machine it runs on.

    Args:
        network: A name of the zoo or a YAML specification; that of the weights where only `init_from` is given.
        init_from: Weights to start from: a name or a file.
        options: Fields of the network's specification that are different here (`size`, `fps`, `frames`, `dropout` …).
        data: None where the command line says it.
        memory: Seconds after which a frame weighs 1/e of a new one, in training as at use: the γ of a stream network.
            By default what its specification says; on streams, which have no end, where that never forgets, the length
            of the clips that the network is meant for.
        clips: Frames of a clip.
        augmentation: What may happen to them.
        mixup, cutmix: α of either; 0: none. With both, each batch gets one of them.
        strategy: `clip`: clips go through whole. `recurrent`: in sub-clips, in order; the state is carried and
            detached, the loss is the mean, one update a batch; memory does not grow with the clip.
        sub_clip: Frames of a sub-clip.
        bptt_clips: The state is detached after every so many sub-clips. With more than one, gradients reach further
            back than a sub-clip, in the memory of one; all but the last of them go forwards twice.
        loss_on: Which sub-clips' answers the loss is of. `all`: the mean. `last`: the whole clip's alone; with a reach
            over all sub-clips and without batch statistics this is training on whole clips, in the memory of one.
        epochs: Over the training set.
        batch_size: Over all processes.
        optimizer: And its rate.
        warmup_epochs: While the rate rises evenly from one step above 0; then it falls along a cosine.
        final_lr_ratio: Where it ends, as a share of the rate.
        layer_decay: The rate of each layer is this times that of the one above.
        freeze: Parts that keep their weights and statistics, such as `stem` or `blocks.0`.
        batch_norm: What batch norms normalize by. `batch`: the batch, and running statistics follow. `kept`: running
            statistics as they are, for trained networks that go on with few clips.
        rezero_init: Where ReZero scales begin in a new network.
        loss: What is minimized.
        ema_decay: Decay of the moving average of the weights, which is what is validated and kept; None: none.
        patience: Stop after so many epochs without a better validation score; None: never.
        seed: Of everything random.
    """

    optimizer: RMSprop | AdamW
    epochs: int
    batch_size: int
    network: str | None = None
    init_from: str | None = None
    options: dict[str, Any] = field(default_factory=dict)
    data: Videos | Gestures | GestureStreams | Streams | None = None
    memory: float | None = None
    clips: Clips = Clips()
    augmentation: Augmentation = field(default_factory=Augmentation)
    mixup: float = 0.0
    cutmix: float = 0.0
    strategy: Literal["clip", "recurrent"] = "clip"
    sub_clip: int = 8
    bptt_clips: int = 1
    loss_on: Literal["all", "last"] = "all"
    warmup_epochs: float = 0.0
    final_lr_ratio: float = 0.0
    layer_decay: float = 1.0
    freeze: tuple[str, ...] = ()
    batch_norm: Literal["batch", "kept"] = "batch"
    rezero_init: float = 0.0
    loss: Loss = Loss()
    ema_decay: float | None = None
    patience: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        least = {"epochs": 1, "batch_size": 1, "sub_clip": 1, "bptt_clips": 1}
        least |= {"warmup_epochs": 0, "seed": 0, "mixup": 0, "cutmix": 0}
        for name, bound in least.items():
            value = getattr(self, name)
            _require(bound <= value < inf, f"{name} is {value}; it must be at least {bound}")
            _require(value <= _MOST, f"{name} is {value}; it can be at most {_MOST}")
        _require(
            self.network is not None or self.init_from is not None,
            "want a `network`, weights to start from (`init_from`), or both",
        )
        whole = self.strategy == "clip" and (self.bptt_clips > 1 or self.loss_on == "last")
        _require(not whole, "`bptt_clips` and `loss_on` are of sub-clips: they need the strategy recurrent")
        _require(self.warmup_epochs <= self.epochs, "the warm-up is longer than the training")
        _require(0 <= self.final_lr_ratio <= 1, f"final_lr_ratio is {self.final_lr_ratio}; it must lie in [0, 1]")
        _require(0 < self.layer_decay <= 1, f"layer_decay is {self.layer_decay}; it must lie in (0, 1]")
        _require(isfinite(self.rezero_init), f"rezero_init is {self.rezero_init}; want a number")
        new = self.init_from is None and self.batch_norm == "kept"
        _require(not new, "a new network has no statistics to keep; give weights to start from (`init_from`)")
        mixed = bool(self.mixup or self.cutmix)
        _require(
            not (self.loss.aux_point and mixed), "clips mixed with others have no one point to track; leave out one"
        )
        decay, patience, data = self.ema_decay, self.patience, self.data
        _require(self.memory is None or 0 < self.memory < inf, f"memory is {self.memory}; want seconds above 0")
        _require(decay is None or 0 <= decay < 1, f"ema_decay is {decay}; it must lie in [0, 1)")
        _require(patience is None or patience >= 1, f"patience is {patience}; it must be at least 1")
        if isinstance(data, Videos):
            _require(0 <= data.held_out < 1, f"data.held_out is {data.held_out}; it must lie in [0, 1)")
        if isinstance(data, Gestures):
            rendered = self.augmentation == Augmentation() and self.clips == Clips(resize_short=self.clips.resize_short)
            _require(rendered, "synthetic gestures take neither `clips` nor `augmentation`: `data` says what they are")
            some = data.frames != () and min(data.clips, *data.frames) >= 1
            _require(some, "data: want clips and frames, at least 1 each")
            _require(min(data.validation, data.test) >= 0, "data: there cannot be fewer than 0 clips")
            few = max(data.clips, data.validation, data.test) <= _MOST and max(data.frames) <= MOST_FRAMES
            _require(few, f"data: there can be at most {_MOST} clips, of {MOST_FRAMES} frames")
            _require(
                0 < data.fps_scale[0] <= data.fps_scale[1] < inf,
                f"data.fps_scale is {data.fps_scale}; want a range above 0",
            )
        if self.on_streams:
            self._check_streams()
        else:
            loss = self.loss
            frames = loss.steadiness is not None or loss.early > 0 or loss.hard_background < 1
            _require(not frames, "loss.steadiness, early and hard_background are of streams; clips have one label each")

    @property
    def on_streams(self) -> bool:
        """Whether it trains on streams that never end, instead of clips."""
        return isinstance(self.data, GestureStreams | Streams)

    def _check_streams(self) -> None:
        _require(self.strategy == "recurrent", "streams have no end, so they go through in chunks: strategy recurrent")
        whole = self.bptt_clips == 1 and self.loss_on == "all"
        _require(whole, "`bptt_clips` and `loss_on` are of clips; of streams every frame is answered for")
        mixed = bool(self.mixup or self.cutmix)
        _require(not mixed, "`mixup` and `cutmix` are of clips; streams are not mixed")
        _require(self.loss.aux_point is None, "loss.aux_point is of clips: nobody says where the point is in a stream")
        cut = self.clips == Clips(resize_short=self.clips.resize_short)
        _require(cut, "streams are not cut into clips: leave `clips` out, but for `resize_short`")
        rendered = isinstance(self.data, Streams) or self.augmentation == Augmentation()
        _require(rendered, "synthetic streams take no `augmentation`: `data` says what they are")


def read_recipe(path: str | Path) -> Recipe:
    """The recipe in a YAML file, or one of ours by its name (see `find_recipe`).

    Raises:
        MovinetError: The file is missing, not YAML or not a recipe; the message says which entry is wrong.
    """
    path = find_recipe(path)
    if path.is_dir():
        raise MovinetError(f"{path}: cannot read the recipe: it is a folder; to go on with a run: --resume {path}")
    data = read_yaml(path, "recipe")
    try:
        return recipe_from_dict(data)
    except MovinetError as error:
        raise MovinetError(f"{path}: {error}") from error


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML text, without what is as by default."""
    import yaml

    return yaml.safe_dump(
        recipe_to_dict(recipe), sort_keys=False, default_flow_style=None, width=120, allow_unicode=True
    )


def with_absolute_paths(recipe: Recipe) -> Recipe:
    """The same wherever it is run: paths of files that are here begin at the root."""
    data = recipe.data
    if isinstance(data, Videos):
        videos = None if data.videos is None else str(Path(data.videos).absolute())
        data = replace(data, paths=tuple(str(Path(path).absolute()) for path in data.paths), videos=videos)
    if isinstance(data, Streams):
        videos, mined, copies = (
            None if path is None else str(Path(path).absolute()) for path in (data.videos, data.mined, data.copies)
        )
        paths = tuple(str(Path(path).absolute()) for path in data.paths)
        data = replace(data, paths=paths, videos=videos, mined=mined, copies=copies)
    network, start = recipe.network, recipe.init_from
    if network is not None and Path(network).suffix in (".yaml", ".yml"):
        network = str(Path(network).absolute())
    if start is not None and registry.lookup(start) is None and Path(start).exists():
        start = str(Path(start).absolute())
    return replace(recipe, network=network, init_from=start, data=data)


def recipe_to_dict(recipe: Recipe) -> dict[str, Any]:
    """In plain types, without what is as by default."""
    plain = to_plain(recipe)
    assert isinstance(plain, dict)
    return plain


def recipe_from_dict(data: Any) -> Recipe:
    """The inverse of `recipe_to_dict`.

    Raises:
        MovinetError: An entry is missing, unknown, of another type or out of its range.
    """
    return from_plain(Recipe, data, "recipe")
