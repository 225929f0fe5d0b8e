"""What a training run will take, told before it begins: from recipe, specification and number of examples alone."""

from dataclasses import dataclass, fields
from math import prod

from movinet.arch.count import macs_per_clip, parameters, state_bytes
from movinet.arch.spec import LayerPlace, NetworkSpec
from movinet.data.batches import batches_of
from movinet.train.distributed import shared_batch
from movinet.train.recipe import Gestures, Recipe
from movinet.train.schedule import lr_factor

_FLOAT = 4  # bytes
_PASSING = 3  # gradients as large as the largest activation: of a result, of its input, and of the way around a layer


@dataclass(frozen=True)
class Memory:
    """Bytes that a process takes for training, beside what it takes for having loaded its libraries.

    Attributes:
        weights: And the statistics of batch norm.
        gradients: Of the weights.
        optimizer: Two numbers a weight.
        average: The moving average of the weights.
        batch: Clips as bytes and as numbers, and the states of streams between sub-clips.
        activations: What the way back needs of the way forward; of one sub-clip with the recurrent strategy.
        passing: What is needed for a moment on the way back.
    """

    weights: int
    gradients: int
    optimizer: int
    average: int
    batch: int
    activations: int
    passing: int

    @property
    def total(self) -> int:
        return sum(getattr(self, field.name) for field in fields(self))


@dataclass(frozen=True)
class Estimate:
    """What a training run will take.

    Attributes:
        steps_per_epoch: Updates.
        steps: At most, where it may stop early.
        rates: Learning rates by update: the first, at the end of the warm-up, in the middle, the last.
        batch: (B, 3, T, h, w), a process's share of the largest; of several lengths, the longest.
        sub_clip: Frames that go through the network at once.
        parameters: Of the network.
        macs: Multiply-adds of an update by all processes: forwards, and twice as much backwards; sub-clips that
            gradients reach back to go forwards twice.
        memory: Of each process.
    """

    steps_per_epoch: int
    steps: int
    rates: dict[int, float]
    batch: tuple[int, int, int, int, int]
    sub_clip: int
    parameters: int
    macs: int
    memory: Memory


def estimate(recipe: Recipe, spec: NetworkSpec, examples: int, *, processes: int = 1, half: bool = False) -> Estimate:
    """What training will take. Memory within about a quarter, as plain modules keep activations; on a CPU less is kept
    (`movinet.nn.fused_cpu`).

    Args:
        recipe: Of the run.
        spec: Of the network, with the recipe's options and the data's classes.
        examples: To train on.
        processes: That share each batch.
        half: Activations have 16 bits.

    Raises:
        MovinetError: The processes cannot share a batch, or the warm-up is longer than the training.
    """
    steps_per_epoch = batches_of(examples, shared_batch(recipe.batch_size, examples, processes), processes)
    share = -(-(examples // processes) // steps_per_epoch)  # of the largest batch
    batch = share * processes
    steps = recipe.epochs * steps_per_epoch
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    frames = max(recipe.data.frames) if isinstance(recipe.data, Gestures) else recipe.clips.frames or spec.frames
    sub_clip = min(frames, recipe.sub_clip) if recipe.strategy == "recurrent" else frames
    pieces = -(-frames // sub_clip)
    twice = (pieces - -(-pieces // recipe.bptt_clips)) / pieces  # the share of sub-clips that go forwards twice
    return Estimate(
        steps_per_epoch,
        steps,
        rates={
            step: recipe.optimizer.lr * lr_factor(step, steps, warmup, recipe.final_lr_ratio)
            for step in sorted({0, warmup, steps // 2, steps - 1})
        },
        batch=(share, 3, frames, *spec.size),
        sub_clip=sub_clip,
        parameters=parameters(spec),
        macs=round((3 + twice) * batch * macs_per_clip(spec, frames=frames)),
        memory=_memory(recipe, spec, share, frames, sub_clip, 2 if half else _FLOAT),
    )


def _memory(recipe: Recipe, spec: NetworkSpec, batch: int, frames: int, sub_clip: int, number: int) -> Memory:
    weights = _FLOAT * (parameters(spec) + _statistics(spec))
    parts = _kept(spec, sub_clip)
    frozen = 0  # what lies below all that learns is not needed on the way back
    while frozen < len(parts) and any(f"{parts[frozen][0]}.".startswith(f"{name}.") for name in recipe.freeze):
        frozen += 1
    largest = max(largest for _, _, largest in parts[frozen:]) if frozen < len(parts) else 0
    pixels = 3 * batch * prod(spec.size)
    return Memory(
        weights=weights,
        gradients=_FLOAT * parameters(spec),
        optimizer=2 * _FLOAT * parameters(spec),
        average=weights if recipe.ema_decay is not None else 0,
        batch=pixels * (frames + _FLOAT * sub_clip) + (1 + recipe.bptt_clips) * batch * state_bytes(spec),
        activations=number * batch * sub_clip * sum(kept for _, kept, _ in parts[frozen:]),
        passing=number * batch * sub_clip * _PASSING * largest,
    )


def _kept(spec: NetworkSpec, frames: int) -> list[tuple[str, int, int]]:
    """Name of each part, numbers of a frame that autograd keeps there, and how many the largest tensor has.

    Every convolution keeps its input, batch norm its input, an activation its input, a product its factors.
    """
    places = spec.layers()
    stem = spec.stem * prod(places[0].size)
    parts = [("stem", 3 * prod(spec.size) + _between(stem, spec), stem)]
    parts += [(place.name, *_kept_in_layer(place, frames, spec)) for place in places]
    channels, size = places[-1].outputs, places[-1].size_after
    head = spec.project * prod(size)
    return [*parts, ("head", channels * prod(size) + _between(head, spec), head)]


def _kept_in_layer(place: LayerPlace, frames: int, spec: NetworkSpec) -> tuple[int, int]:
    layer, inputs, outputs = place.layer, place.inputs, place.outputs
    inside, outside = prod(place.size), prod(place.size_after)
    wide, narrow, out = layer.expansion * inside, layer.expansion * outside, outputs * outside
    kt = layer.kernel[0]
    past = (kt - 1) / frames if spec.causal else 0.0  # the buffer is put before the frames
    kept = inputs * inside + _between(wide, spec) + wide  # the layer's input, and that of the convolution in space
    if kt > 1 and spec.convolution == "3d":
        kept += round(past * wide)
    elif kt > 1:
        kept += _between(narrow, spec) + narrow + round(past * narrow)
    kept += _between(narrow, spec) + narrow  # the projection's input
    if spec.has_se(layer):
        kept += narrow  # and what it was before it was scaled
    normed = out if spec.norm == "batch" else 0
    kept += normed + (out if spec.rezero else 0)
    if place.stride > 1:
        kept += inputs * outside
    if place.projects_skip:
        kept += normed
    return kept, max(wide, narrow)


def _between(numbers: int, spec: NetworkSpec) -> int:
    """Kept between a convolution and what follows its activation."""
    return numbers * (2 if spec.norm == "batch" else 1)


def _statistics(spec: NetworkSpec) -> int:
    """Running means and variances of batch norm."""
    if spec.norm != "batch":
        return 0
    channels = spec.stem + spec.project
    for place in spec.layers():
        kernels = 2 if place.layer.kernel[0] > 1 and spec.convolution == "2plus1d" else 1
        channels += (1 + kernels) * place.layer.expansion + place.outputs
        channels += place.outputs if place.projects_skip else 0
    return 2 * channels
