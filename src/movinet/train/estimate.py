"""What a training run will take, told before it begins: from recipe, specification and number of examples alone."""

import os
from dataclasses import dataclass, fields
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.spec import SingleSpec
from movinet.baselines.build import build_baseline
from movinet.costs import macs_per_clip, parameters, state_bytes
from movinet.data.batches import batches_of
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.movinet import MoViNet
from movinet.train.distributed import shared_batch
from movinet.train.optimizer import freeze, train_mode
from movinet.train.recipe import Recipe
from movinet.train.recipe_data import Gestures
from movinet.train.schedule import lr_factor

_FLOAT = 4  # bytes
_PASSING = 3  # gradients as large as the largest activation: of a result, of its input, and of the way around a layer


@dataclass(frozen=True)
class Memory:
    """Bytes that a process takes for training.

    Attributes:
        libraries: What it takes already, for PyTorch and all else that is loaded.
        weights: And the statistics of batch norm.
        gradients: Of the weights.
        optimizer: Two numbers a weight.
        average: The moving average of the weights.
        batch: Clips as bytes and as numbers, and the states of streams between sub-clips.
        activations: What the way back needs of the way forward; of one sub-clip with the recurrent strategy.
        passing: What is needed for a moment on the way back.
    """

    libraries: int
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
        memory: Of each process; None where it was not asked for.
    """

    steps_per_epoch: int
    steps: int
    rates: dict[int, float]
    batch: tuple[int, int, int, int, int]
    sub_clip: int
    parameters: int
    macs: int
    memory: Memory | None


def estimate(
    recipe: Recipe,
    spec: SingleSpec,
    examples: int,
    *,
    processes: int = 1,
    half: bool = False,
    device: str | None = "cpu",
) -> Estimate:
    """What training will take; memory is that of the very network, run on tensors without contents.

    Args:
        recipe: Of the run.
        spec: Of the network, with the recipe's options and the data's classes.
        examples: To train on.
        processes: That share each batch.
        half: Activations have 16 bits.
        device: Kind of device, whose memory is asked for; None: of none, which takes no time.

    Raises:
        MovinetError: The processes cannot share a batch, or the warm-up is longer than the training.
    """
    steps_per_epoch = batches_of(examples, shared_batch(recipe.batch_size, examples, processes), processes)
    share = -(-(examples // processes) // steps_per_epoch)  # of the largest batch
    batch = share * processes
    steps = recipe.epochs * steps_per_epoch
    warmup = round(recipe.warmup_epochs * steps_per_epoch)
    frames = max(recipe.data.frames) if isinstance(recipe.data, Gestures) else recipe.clips.frames or spec.frames
    frames = recipe.sub_clip if recipe.on_streams else frames
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
        memory=None
        if device is None
        else _memory(recipe, spec, share, frames, sub_clip, 2 if half else _FLOAT, device),
    )


def _memory(
    recipe: Recipe, spec: SingleSpec, batch: int, frames: int, sub_clip: int, number: int, device: str
) -> Memory:
    from torch._subclasses.fake_tensor import FakeTensorMode  # which takes its time to load

    with torch.device("meta"):  # tensors without contents
        model = build_baseline(spec) if isinstance(spec, BaselineSpec) else MoViNet(spec)
    # Those of a CPU say that they are there, for what is kept there is another.
    with FakeTensorMode(allow_non_fake_inputs=True) if device == "cpu" else torch.device("meta"):
        model.to_empty(device="cpu" if device == "cpu" else "meta")
        freeze(model, recipe.freeze)
        train_mode(model, recipe.freeze, keep_statistics=recipe.batch_norm == "kept")
        kept = _kept(model, torch.empty(batch, 3, sub_clip, *spec.size), recurrent=recipe.strategy == "recurrent")
    trained = _FLOAT * sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    weights = _FLOAT * sum(value.numel() for value in model.state_dict().values() if value.is_floating_point())
    pixels = 3 * batch * prod(spec.size)
    return Memory(
        libraries=_resident(),
        weights=weights,
        gradients=trained,
        optimizer=2 * trained,
        average=weights if recipe.ema_decay is not None else 0,
        batch=pixels * (frames + _FLOAT * sub_clip) + (1 + recipe.bptt_clips) * batch * state_bytes(spec),
        activations=number * sum(kept) // _FLOAT,
        passing=number * _PASSING * max(kept, default=0) // _FLOAT,
    )


def _kept(model: MoViNet | BaselineNetwork, clip: Tensor, recurrent: bool) -> list[int]:
    """Bytes of each tensor that autograd keeps on the way forward, but for weights."""
    seen: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage()._cdata] = tensor
        return tensor

    state = None
    if recurrent:
        with torch.no_grad():
            _, state = model.step(clip)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = model.step(clip, state)[0] if recurrent else model(clip)
    assert logits.requires_grad
    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    return [tensor.untyped_storage().nbytes() for storage, tensor in seen.items() if storage not in weights]


def _resident() -> int:
    """Bytes of this process now, with PyTorch and all else loaded; 0 where the system does not tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
