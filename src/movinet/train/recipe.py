"""What a training run is: frozen data, read from and written to YAML."""

from dataclasses import dataclass, field, replace
from math import inf, isfinite
from pathlib import Path
from typing import Any, Literal

from movinet.data.augment import Augmentation
from movinet.dataclass_io import from_plain, to_plain
from movinet.errors import MovinetError
from movinet.reading import read_yaml
from movinet.recipes import find_recipe
from movinet.train.recipe_data import MOST_COUNTED, Clips, Gestures, GestureStreams, Streams, Videos, require
from movinet.weights import registry


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
        require(0 < self.lr < inf, f"optimizer.lr is {self.lr}; it must be positive")
        for name in ("decay", "momentum"):
            require(0 <= getattr(self, name) < 1, f"optimizer.{name} is {getattr(self, name)}; it must lie in [0, 1)")
        require(0 < self.epsilon < inf, f"optimizer.epsilon is {self.epsilon}; it must be positive")
        for name in ("clip_norm", "l2"):
            require(0 <= getattr(self, name) < inf, f"optimizer.{name} is {getattr(self, name)}; want a number from 0")


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
        require(0 < self.lr < inf, f"optimizer.lr is {self.lr}; it must be positive")
        require(all(0 <= beta < 1 for beta in self.betas), f"optimizer.betas are {self.betas}; they lie in [0, 1)")
        for name in ("weight_decay", "clip_norm"):
            require(0 <= getattr(self, name) < inf, f"optimizer.{name} is {getattr(self, name)}; want a number from 0")


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
        require(0 <= min(self.weight, self.velocity) < inf, "loss.smoothness: want a weight and a velocity from 0")
        require(3 <= self.frames <= 7, f"loss.smoothness.frames is {self.frames}; it compares the orders of 3 to 7")


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
        require(0 <= self.weight < inf, f"loss.aux_point.weight is {self.weight}; want a number from 0")


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
        require(fits, "loss.steadiness: want a weight from 0 and a limit above 0")


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
        require(0 < hard <= 1, f"loss.hard_background is {hard}; it must lie in (0, 1]")
        require(0 <= share < 1, f"loss.label_smoothing is {share}; it must lie in [0, 1)")
        require(0 <= self.early <= 1, f"loss.early is {self.early}; it must lie in [0, 1]")


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
    clips: Clips = field(default_factory=Clips)
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
            require(bound <= value < inf, f"{name} is {value}; it must be at least {bound}")
            require(value <= MOST_COUNTED, f"{name} is {value}; it can be at most {MOST_COUNTED}")
        require(
            self.network is not None or self.init_from is not None,
            "want a `network`, weights to start from (`init_from`), or both",
        )
        whole = self.strategy == "clip" and (self.bptt_clips > 1 or self.loss_on == "last")
        require(not whole, "`bptt_clips` and `loss_on` are of sub-clips: they need the strategy recurrent")
        require(self.warmup_epochs <= self.epochs, "the warm-up is longer than the training")
        require(0 <= self.final_lr_ratio <= 1, f"final_lr_ratio is {self.final_lr_ratio}; it must lie in [0, 1]")
        require(0 < self.layer_decay <= 1, f"layer_decay is {self.layer_decay}; it must lie in (0, 1]")
        require(isfinite(self.rezero_init), f"rezero_init is {self.rezero_init}; want a number")
        new = self.init_from is None and self.batch_norm == "kept"
        require(not new, "a new network has no statistics to keep; give weights to start from (`init_from`)")
        mixed = bool(self.mixup or self.cutmix)
        require(
            not (self.loss.aux_point and mixed), "clips mixed with others have no one point to track; leave out one"
        )
        decay, patience, data = self.ema_decay, self.patience, self.data
        require(self.memory is None or 0 < self.memory < inf, f"memory is {self.memory}; want seconds above 0")
        require(decay is None or 0 <= decay < 1, f"ema_decay is {decay}; it must lie in [0, 1)")
        require(patience is None or patience >= 1, f"patience is {patience}; it must be at least 1")
        if isinstance(data, Gestures):
            rendered = self.augmentation == Augmentation() and self.clips == Clips(resize_short=self.clips.resize_short)
            require(rendered, "synthetic gestures take neither `clips` nor `augmentation`: `data` says what they are")
        if self.on_streams:
            self._check_streams()
        else:
            loss = self.loss
            frames = loss.steadiness is not None or loss.early > 0 or loss.hard_background < 1
            require(not frames, "loss.steadiness, early and hard_background are of streams; clips have one label each")

    @property
    def on_streams(self) -> bool:
        """Whether it trains on streams that never end, instead of clips."""
        return isinstance(self.data, GestureStreams | Streams)

    def _check_streams(self) -> None:
        require(self.strategy == "recurrent", "streams have no end, so they go through in chunks: strategy recurrent")
        whole = self.bptt_clips == 1 and self.loss_on == "all"
        require(whole, "`bptt_clips` and `loss_on` are of clips; of streams every frame is answered for")
        mixed = bool(self.mixup or self.cutmix)
        require(not mixed, "`mixup` and `cutmix` are of clips; streams are not mixed")
        require(self.loss.aux_point is None, "loss.aux_point is of clips: nobody says where the point is in a stream")
        cut = self.clips == Clips(resize_short=self.clips.resize_short)
        require(cut, "streams are not cut into clips: leave `clips` out, but for `resize_short`")
        rendered = isinstance(self.data, Streams) or self.augmentation == Augmentation()
        require(rendered, "synthetic streams take no `augmentation`: `data` says what they are")


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
