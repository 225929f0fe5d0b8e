"""The recipe for what most people have: some hundred clips of their own, and a network that has seen many others."""

from collections.abc import Sequence
from typing import Any, Literal

from movinet.data.augment import Augmentation, ColorJitter, RandomCrop
from movinet.errors import MovinetError
from movinet.train.init_model import single_network
from movinet.train.recipe import AdamW, Clips, Loss, Recipe, Videos
from movinet.weights.info import WeightsInfo

_FRAMES = 16
_STEM_RATE = 0.05  # of the head's


def finetune_recipe(
    start: str,
    data: Videos,
    info: WeightsInfo,
    *,
    epochs: int = 25,
    lr: float = 1e-3,
    batch_size: int = 8,
    frames: int | None = None,
    size: tuple[int, int] | None = None,
    fps: float | None = None,
    strategy: Literal["clip", "recurrent"] = "clip",
    sub_clip: int = 8,
    bptt_clips: int = 1,
    loss_on: Literal["all", "last"] = "all",
    freeze: Sequence[str] = (),
    flip: float = 0.0,
    swap: Sequence[tuple[str, str]] = (),
    seed: int = 0,
) -> Recipe:
    """How weights are taught other classes by few clips.

    What lies deep in the network is kept more than what lies near the classifier: every layer learns more slowly than
    the one above, the stem at a twentieth of the head's rate, however many layers there are. Batch norms keep the
    statistics of many clips, which few cannot better. Pictures are changed mildly, and not mirrored, since labels may
    have a direction.

    Args:
        start: Weights, a name or a file.
        data: The clips.
        info: Of these weights.
        epochs: At most; it stops early where validation does not get better.
        lr: The head's.
        frames: Of training and validation clips; 16 by default, or fewer where the network is meant for fewer.
        size, fps: Other than the network's own.
        flip, swap: See `Augmentation`.

    Raises:
        MovinetError: An entry is out of its range, or the weights are an ensemble's.
    """
    spec = single_network(info.spec, start)
    options: dict[str, Any] = {"frames": min(_FRAMES, spec.frames), "dropout": 0.2, "stochastic_depth": 0.1}
    given = {"frames": frames, "size": list(size) if size else None, "fps": fps}
    options |= {name: value for name, value in given.items() if value is not None}
    layers = len(spec.layers())
    return Recipe(
        AdamW(lr),
        epochs=epochs,
        batch_size=batch_size,
        init_from=start,
        options=options,
        data=data,
        clips=Clips(jitter=(0.8, 1.25)),
        augmentation=_mild(flip, tuple(swap)),
        strategy=strategy,
        sub_clip=sub_clip,
        bptt_clips=bptt_clips,
        loss_on=loss_on,
        warmup_epochs=min(1.0, epochs / 5),
        layer_decay=round(_STEM_RATE ** (1 / (layers + 1)), 3),
        freeze=tuple(freeze),
        batch_norm="kept",
        loss=Loss(label_smoothing=0.1, class_weights="balanced"),
        ema_decay=0.99,
        patience=8,
        seed=seed,
    )


def _mild(flip: float, swap: tuple[tuple[str, str], ...]) -> Augmentation:
    crop = RandomCrop(area=(0.5, 1.0), aspect=(0.8, 1.25))
    color = ColorJitter(brightness=0.3, contrast=0.3, saturation=0.3, hue=0.03)
    try:
        return Augmentation(crop, flip, swap, color=color)
    except ValueError as error:
        raise MovinetError(str(error)) from error
