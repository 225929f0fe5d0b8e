"""The recipe for what most people have: some hundred clips of their own, and a network that has seen many others."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from movinet.arch.spec import NetworkSpec, SingleSpec
from movinet.data.augment import Augmentation, ColorJitter, RandomCrop
from movinet.data.streams import ENDED
from movinet.errors import MovinetError
from movinet.train.init_model import single_network
from movinet.train.recipe import AdamW, Loss, Recipe, Steadiness
from movinet.train.recipe_data import Clips, Streams, Videos
from movinet.weights.info import WeightsInfo

_FRAMES = 16
_STEM_RATE = 0.05  # of the head's


@dataclass(frozen=True)
class Finetuning:
    """What may be said of a fine-tuning; the rest follows from the weights.

    Args:
        epochs: over the training clips; fewer where validation gets no better for 8 of them.
        lr: learning rate of the head; deeper layers learn more slowly.
        batch_size: over all processes.
        frames: of a training clip, or of a chunk of a stream; 16 by default, or what the network is meant for if that
            is less.
        size: height and width of the frames, other than the network's own.
        fps: frames a second, other than the network's own.
        strategy: clip, or recurrent: in sub-clips, with memory that does not grow with the clip.
        sub_clip: frames of a sub-clip.
        bptt_clips: sub-clips that gradients go back through; more than one takes longer, and no more memory.
        loss_on: learn from the answers after all sub-clips, or after the last alone; with gradients through all of them
            the latter is training on whole clips, in the memory of one.
        freeze: parts that keep their weights: stem, blocks.0, blocks.1.2 ….
        flip: probability of mirroring clips left and right; not where labels have a direction.
        swap: two labels that are each other's mirror image.
        memory: seconds after which a frame hardly counts any more, in training as at use; on streams by default those
            of the clips that the network is meant for.
        answers: on streams: early, once half of what a label names was seen; or ended, 0.6 s after its end, so that no
            beginning is taken for what begins alike.
        seed: of everything random.
    """

    epochs: int = 25
    lr: float = 1e-3
    batch_size: int = 8
    frames: int | None = None
    size: tuple[int, int] | None = None
    fps: float | None = None
    strategy: Literal["clip", "recurrent"] = "clip"
    sub_clip: int = Recipe.sub_clip
    bptt_clips: int = 1
    loss_on: Literal["all", "last"] = "all"
    freeze: Sequence[str] = ()
    flip: float = 0.0
    swap: Sequence[tuple[str, str]] = ()
    memory: float | None = None
    answers: Literal["early", "ended"] = "early"
    seed: int = 0


def finetune_recipe(start: str, data: Videos, info: WeightsInfo, options: Finetuning | None = None) -> Recipe:
    """How weights are taught other classes by few clips.

    What lies deep in the network is kept more than what lies near the classifier: every layer learns more slowly than
    the one above, the stem at a twentieth of the head's rate, however many layers there are. Batch norms keep the
    statistics of many clips, which few cannot better. Pictures are changed mildly, and not mirrored, since labels may
    have a direction.

    Args:
        start: Weights, a name or a file.
        data: The clips.
        info: Of these weights.
        options: Other than by default.

    Raises:
        MovinetError: An entry is out of its range or of streams, or the weights are an ensemble's.
    """
    options = options or Finetuning()
    if _given(options, "answers"):
        raise MovinetError("--answers is of long videos; these are clips")
    spec = single_network(info.spec, start)
    network = _network(options) | {"frames": min(_FRAMES, spec.frames) if options.frames is None else options.frames}
    return Recipe(
        AdamW(options.lr),
        epochs=options.epochs,
        batch_size=options.batch_size,
        init_from=start,
        options=network,
        data=data,
        clips=Clips(jitter=(0.8, 1.25)),
        augmentation=_mild(options.flip, tuple(options.swap)),
        strategy=options.strategy,
        sub_clip=options.sub_clip,
        bptt_clips=options.bptt_clips,
        loss_on=options.loss_on,
        warmup_epochs=min(1.0, options.epochs / 5),
        layer_decay=_layer_decay(spec),
        freeze=tuple(options.freeze),
        batch_norm="kept",
        loss=Loss(label_smoothing=0.1, class_weights="balanced"),
        memory=options.memory,
        ema_decay=0.99,
        patience=8,
        seed=options.seed,
    )


def finetune_streams_recipe(start: str, data: Streams, info: WeightsInfo, options: Finetuning | None = None) -> Recipe:
    """How weights are taught what happens in long videos: as by `finetune_recipe`, on streams. Every frame is answered
    for, and answers are to be steady.

    Args:
        start: Weights, a name or a file.
        data: The videos.
        info: Of these weights.
        options: Other than by default; `batch_size` is the number of streams side by side.

    Raises:
        MovinetError: An entry is out of its range or of clips, or the weights are an ensemble's.
    """
    options = options or Finetuning()
    spec = single_network(info.spec, start)
    of_clips = [name for name in ("strategy", "sub_clip", "bptt_clips", "loss_on") if _given(options, name)]
    if of_clips:
        raise MovinetError(f"--{of_clips[0].replace('_', '-')} is of clips; streams go through in chunks of --frames")
    if data.background is None:
        known = info.background or ("other" if "other" in (info.labels or ()) else None)
        data = replace(data, background=known)
    if options.answers == "ended":
        data = replace(data, targets=ENDED)
    return Recipe(
        AdamW(options.lr),
        epochs=options.epochs,
        batch_size=options.batch_size,
        init_from=start,
        options=_network(options),
        data=data,
        augmentation=_mild(options.flip, tuple(options.swap)),
        strategy="recurrent",
        sub_clip=min(_FRAMES, spec.frames) if options.frames is None else options.frames,
        warmup_epochs=min(1.0, options.epochs / 5),
        layer_decay=_layer_decay(spec),
        freeze=tuple(options.freeze),
        batch_norm="kept",
        loss=Loss(label_smoothing=0.05, steadiness=Steadiness()),
        memory=options.memory,
        ema_decay=0.99,
        patience=8,
        seed=options.seed,
    )


def _given(options: Finetuning, name: str) -> bool:
    return bool(getattr(options, name) != getattr(Finetuning(), name))


def _network(options: Finetuning) -> dict[str, Any]:
    """Fields of the specification that are different."""
    if options.swap and not options.flip:
        raise MovinetError("--swap says what mirrored clips show, and none are: give --flip 0.5 too")
    given = {"size": list(options.size) if options.size else None, "fps": options.fps}
    changed = {name: value for name, value in given.items() if value is not None}
    return {"dropout": 0.2, "stochastic_depth": 0.1, **changed}


def _layer_decay(spec: SingleSpec) -> float:
    """By which the rate of each layer is less than that of the one above."""
    return round(_STEM_RATE ** (1 / (len(spec.layers()) + 1)), 3) if isinstance(spec, NetworkSpec) else 1.0


def _mild(flip: float, swap: tuple[tuple[str, str], ...]) -> Augmentation:
    crop = RandomCrop(area=(0.5, 1.0), aspect=(0.8, 1.25))
    color = ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.03)
    try:
        return Augmentation(crop, flip, swap, color=color)
    except ValueError as error:
        raise MovinetError(str(error)) from error
