"""What goes into one deployed step and comes out of it, and how the next step follows from this one.

An engine need not know what the tensors mean. It runs inputs to outputs, and before the next step makes every state
input what `next_state` says: one of the outputs, or what another input was (past frames move up by a place, without a
copy).
"""

from dataclasses import dataclass
from math import exp, log
from typing import Literal

from movinet.arch.count import state_shapes
from movinet.arch.layer_spec import Size
from movinet.arch.spec import EnsembleSpec, NetworkSpec, Spec
from movinet.errors import SpecError

# How the past of a causal convolution of kt frames is held:
#   buffer  one tensor of the kt-1 frames before, joined along the channels
#   frames  a tensor for each of them: the host moves references, nothing is copied
#   sums    kt-1 partial sums of outputs to come (the transposed form of an FIR filter): nothing shifts
StateLayout = Literal["buffer", "frames", "partial_sums"]

FRAMES, CLIP, LOGITS, FEATURES = "frames", "clip", "logits", "features"
DECAY, POOL_WEIGHT, FRAME_COUNT, HEAD_POOL = "decay", "pool_weight", "frame_count", "head.pool"


@dataclass(frozen=True)
class TensorSpec:
    """A tensor that goes in or comes out. Its first axis is the stream; of `frames` it is time, then stream."""

    name: str
    shape: tuple[int, ...]  # of one stream (or frame), at most three axes
    dtype: Literal["float32", "int32"] = "float32"


@dataclass(frozen=True)
class StepSignature:
    """The tensors of a deployed step, in order."""

    inputs: tuple[TensorSpec, ...]  # the frames, then the state
    outputs: tuple[TensorSpec, ...]  # logits or features, then what is new of the state
    next_state: dict[str, str]  # state input: the output or input of this step that it is in the next

    @property
    def state(self) -> tuple[TensorSpec, ...]:
        """The inputs that are state. A stream begins with zeros, but for its `decay`."""
        return self.inputs[1:]


def step_signature(
    spec: NetworkSpec,
    size: Size | None = None,
    past: StateLayout = "partial_sums",
    frames: int = 1,
    predict: bool = True,
) -> StepSignature:
    """The signature of a network's deployed step.

    Args:
        spec: of a stream network; its positional encoding, if any, needs a limit.
        size: (height, width) of the frames; the specification's own by default.
        past: how the convolutions' past is held.
        frames: that a step takes at once; its logits are those after the last.
        predict: False ends with the pooled features the head turns into logits.

    Raises:
        SpecError: the network cannot stream, or has positions without limit.
    """
    if not spec.causal:
        raise SpecError(f"{spec.name} is a base network and has no step; deploy a stream network")
    if spec.positional_encoding and spec.position_limit is None:
        raise SpecError(
            f"{spec.name}: a deployed network has a table of positions, so they need a limit: "
            f"with_options(position_limit={spec.frames - 1}) stops at the training length"
        )
    size = size or spec.size
    first = TensorSpec(LOGITS, (spec.num_outputs,)) if predict else TensorSpec(FEATURES, (spec.project,))
    inputs, outputs = [TensorSpec(FRAMES, (3, *size)), TensorSpec(DECAY, (1,)), TensorSpec(POOL_WEIGHT, (1,))], [first]
    next_state = {DECAY: DECAY}
    if spec.positional_encoding:
        inputs.append(TensorSpec(FRAME_COUNT, (1,), "int32"))
    for port in inputs[2:]:
        outputs.append(_new(port))
        next_state[port.name] = outputs[-1].name
    shapes = state_shapes(spec, size)
    for place in spec.layers(size):
        name = place.name
        if (buffer := f"{name}.buffer") in shapes:
            channels, count, height, width = shapes[buffer]
            if past == "partial_sums" and spec.convolution == "3d":
                height, width = place.size_after
            if past == "buffer":
                ports, fresh = [TensorSpec(buffer, (channels * count, height, width))], 1
            else:
                kind = "sum" if past == "partial_sums" else "past"  # the oldest first; sums: the next one due first
                ports = [TensorSpec(f"{name}.{kind}.{i}", (channels, height, width)) for i in range(count)]
                fresh = min(frames, count) if past == "frames" else count
            inputs += ports
            news = [_new(port) for port in ports[len(ports) - fresh :]]
            outputs += news
            names = [port.name for port in ports]
            next_state |= dict(zip(names, [*names[fresh:], *(port.name for port in news)], strict=True))
        if spec.has_se(place.layer):
            _pool(f"{name}.pool", place.layer.expansion, inputs, outputs, next_state)
    _pool("head.pool", spec.project, inputs, outputs, next_state)
    return StepSignature(tuple(inputs), tuple(outputs), next_state)


def decays(spec: Spec, seconds: float) -> dict[str, float]:
    """The entries of a state that hold γ, with the γ of a memory of so many seconds at each network's own rate."""
    if isinstance(spec, EnsembleSpec):
        return {
            f"members.{i}.{DECAY}": decay_from_seconds(seconds, spec.fps * float(member.rate))
            for i, member in enumerate(spec.members)
        }
    return {DECAY: decay_from_seconds(seconds, spec.fps)}


def memory_of(spec: Spec) -> float | None:
    """The seconds of memory that a network itself has, to the microsecond; None where it never forgets. Of an ensemble,
    its first member's."""
    if isinstance(spec, EnsembleSpec):
        member = spec.members[0]
        decay, fps = member.network.decay, spec.fps * float(member.rate)
    elif isinstance(spec, NetworkSpec):
        decay, fps = spec.decay, spec.fps
    else:
        return None
    return None if decay >= 1 else round(-1.0 / (fps * log(decay)), 6)


def decay_from_seconds(seconds: float, fps: float) -> float:
    """The γ with which a frame's weight falls to 1/e after `seconds` at `fps` frames a second."""
    if not (seconds > 0 and fps > 0):  # nor NaN
        raise ValueError(f"a time constant and a rate are positive, got {seconds} s at {fps} frames a second")
    return exp(-1.0 / (seconds * fps))


def _pool(
    name: str, channels: int, inputs: list[TensorSpec], outputs: list[TensorSpec], next_state: dict[str, str]
) -> None:
    inputs.append(TensorSpec(name, (channels,)))
    outputs.append(_new(inputs[-1]))
    next_state[name] = outputs[-1].name


def _new(port: TensorSpec) -> TensorSpec:
    return TensorSpec(f"new.{port.name}", port.shape, port.dtype)
