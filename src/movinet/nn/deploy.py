"""The deployed form of a stream network: its step as a plain function of flat tensors, for engines and exports.

Batch norm and ReZero are folded in, tensors have at most four axes, sizes are fixed, and the past is held as the engine
likes it best (`movinet.arch.step`). Answers equal the network's own up to rounding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from movinet.arch.layer_spec import Size
from movinet.arch.step import StateLayout, StepSignature, step_signature
from movinet.deploy.graph_step import Step
from movinet.deploy.network import (
    Array,
    FoldedBottleneck,
    FoldedConvolution,
    FoldedDense,
    FoldedExcitation,
    FoldedNetwork,
    FoldedTemporal,
)
from movinet.nn.activations import ACTIVATIONS, GATES
from movinet.nn.padding import same_padding


class FrameContext(NamedTuple):
    """What all layers share of a step."""

    decay: Tensor  # (B, 1)
    pool_weights: list[Tensor]  # (B, 1) for each frame: how far pooled means move toward it
    positions: list[Tensor]  # (B, 1) int32 for each frame; empty without positional encoding


class DeployedStep(nn.Module):
    """One step of B streams: `outputs = step(frames, *state)`, in the order of `signature`.

    `frames` is (n·B, 3, H, W) float32 in [0, 1], time before stream. `init_state` makes the state of new streams,
    `next_state` what the next step wants; `movinet.deploy.deployed_state` turns a `MoViNet`'s state into this form.
    """

    def __init__(
        self,
        network: FoldedNetwork,
        past: StateLayout = "partial_sums",
        frames: int = 1,
        predict: bool = True,
        overwrite: bool = False,
    ) -> None:
        """Make modules of a folded network.

        Args:
            network: a stream network; its arrays are copied.
            past: how the convolutions' past is held.
            frames: that a step takes at once.
            predict: False leaves the head out: the step gives features, which a `DeployedHead` turns into logits.
            overwrite: put new sums where the old ones were: faster in PyTorch, and no graph can be made of it.

        Raises:
            SpecError: the network cannot stream, or has positions without limit.
        """
        super().__init__()
        spec = self.spec = network.spec
        self.signature: StepSignature = step_signature(spec, network.size, past, frames, predict)
        self.past, self.frames, self.size = past, frames, network.size
        self.stem = DeployedConvolution(network.stem, network.size)
        self.layers = nn.ModuleList(
            DeployedLayer(layer, past, overwrite, spec.position_limit) for layer in network.layers
        )
        self.project = DeployedConvolution(network.project, network.layers[-1].place.size_after)
        self.head = DeployedHead(network) if predict else None
        self.eval().requires_grad_(False)

    def forward(self, frames: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        """The outputs of the signature, in its order."""
        past = list(state)
        decay, weight = past.pop(0), past.pop(0)
        new: list[Tensor] = []
        pool_weights, positions = [], []
        for _ in range(self.frames):
            weight = weight * decay + 1.0
            pool_weights.append(torch.reciprocal(weight))
        new.append(weight)
        if self.spec.positional_encoding:
            count, limit = past.pop(0), self.spec.position_limit
            for _ in range(self.frames):
                positions.append(count.clamp(max=limit))
                count = count + 1
            new.append(count)
        context = FrameContext(decay, pool_weights, positions)
        x = self.stem(frames)
        for layer in self.layers:
            x = layer(x, past, new, context)
        pooled = past.pop(0)
        for mean, share in zip(_each(self.project(x).mean((2, 3)), self.frames), pool_weights, strict=True):
            pooled = pooled + share * (mean - pooled)
        new.append(pooled)
        features = pooled.to(x.dtype)
        return (features if self.head is None else self.head(features), *new)

    def init_state(self, streams: int = 1) -> list[Tensor]:
        """The state of streams that have seen nothing."""
        kinds = {"float32": torch.float32, "int32": torch.int32}
        state = [torch.zeros(streams, *port.shape, dtype=kinds[port.dtype]) for port in self.signature.state]
        state[0].fill_(self.spec.decay)
        return state

    def example_inputs(self, streams: int = 1) -> tuple[Tensor, ...]:
        """Inputs of streams that begin, their frames black: what a converter follows through the step."""
        return torch.zeros(streams * self.frames, *self.signature.inputs[0].shape), *self.init_state(streams)

    def next_state(self, inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[Tensor]:
        """The state for the next step, from what went into this one (frames first) and came out of it."""
        known = {port.name: tensor for port, tensor in zip(self.signature.inputs, inputs, strict=True)}
        known |= {port.name: tensor for port, tensor in zip(self.signature.outputs, outputs, strict=True)}
        return [known[self.signature.next_state[port.name]] for port in self.signature.state]


def deployed_step(step: Step) -> DeployedStep:
    """A step in PyTorch, for what converts modules."""
    return DeployedStep(step.network, step.past, step.frames, step.predict)


class DeployedDense(nn.Module):
    """A dense layer with the activation after it."""

    def __init__(self, part: FoldedDense) -> None:
        super().__init__()
        self.weight, self.bias, self.activation = _parameter(part.weight), _parameter(part.bias), part.activation

    def forward(self, x: Tensor, onto: Tensor | None = None) -> Tensor:
        """x (B, I) to (B, O); `onto` (B, O) is added before the activation."""
        y = F.linear(x, self.weight, self.bias)
        y = y if onto is None else y + onto
        return ACTIVATIONS[self.activation](y) if self.activation else y


class DeployedHead(nn.Module):
    """The two dense layers after the pool: features (B, project) to logits (B, num_classes), or (B, hidden)."""

    def __init__(self, network: FoldedNetwork) -> None:
        super().__init__()
        self.hidden = DeployedDense(network.hidden)
        self.classifier = DeployedDense(network.classifier) if network.classifier else nn.Identity()
        self.requires_grad_(False)

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(self.hidden(features))


class DeployedConvolution(nn.Module):
    """A 2-D convolution with bias whose padding is settled, as the frames' size is."""

    def __init__(self, part: FoldedConvolution, size: Size) -> None:
        super().__init__()
        weight, self.padding = same_padding(torch.tensor(part.weight), size, part.stride)
        self.weight, self.bias = nn.Parameter(weight), _parameter(part.bias)
        self.stride, self.groups, self.activation = part.stride, part.groups, part.activation

    def forward(self, x: Tensor) -> Tensor:
        x = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
        return ACTIVATIONS[self.activation](x, inplace=True) if self.activation else x


class DeployedTemporal(nn.Module):
    """A causal depthwise convolution over time; of the 3-D form, over space too.

    A tap is what one frame adds to an output: its scaled channels, or its depthwise convolution.
    """

    def __init__(self, part: FoldedTemporal, size: Size, past: StateLayout, overwrite: bool) -> None:
        super().__init__()
        self.past, self.overwrite, self.bias = past, overwrite, _parameter(part.bias.reshape(-1, 1, 1))
        self.kt, self.volume, self.stride, self.activation = part.frames, part.in_space, part.stride, part.activation
        weight, self.padding = torch.tensor(part.weight)[:, None], (0, 0)  # (C, 1, kt, kh, kw)
        if self.volume:
            weight, self.padding = same_padding(weight, size, part.stride)
        taps = weight.unbind(2)  # the oldest frame's first
        self.taps = nn.ParameterList(
            nn.Parameter(tap.contiguous() if self.volume else tap.reshape(-1, 1, 1)) for tap in taps
        )

    def tap(self, x: Tensor, which: int, onto: Tensor | None = None) -> Tensor:
        """What frame x adds to the output for which it is frame number `which`, the oldest being 0."""
        if self.volume:
            y = F.conv2d(x, self.taps[which], None, self.stride, self.padding, groups=x.shape[1])
            return y if onto is None else y + onto
        return x * self.taps[which] if onto is None else torch.addcmul(onto, x, self.taps[which])

    def forward(self, frames: Sequence[Tensor], past: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """The outputs of new frames, and what is new of the past. Takes its share off the front of `past`."""
        if self.past == "partial_sums":
            return self._with_sums(frames, past)
        if self.past == "buffer":
            before = list(past.pop(0).chunk(self.kt - 1, 1))
        else:
            before = [past.pop(0) for _ in range(self.kt - 1)]
        all_frames = [*before, *frames]
        outputs = []
        for t in range(len(frames)):
            y = self.tap(all_frames[t + self.kt - 1], self.kt - 1, self.bias)
            for which in range(self.kt - 1):
                y = self.tap(all_frames[t + which], which, y)
            outputs.append(y)
        newest = all_frames[-(self.kt - 1) :]
        if self.past == "buffer":
            return outputs, [torch.cat(newest, 1)]
        return outputs, newest[-len(frames) :]

    def _with_sums(self, frames: Sequence[Tensor], past: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        sums = [past.pop(0) for _ in range(self.kt - 1)]
        outputs = []
        for x in frames:
            # Tap kt-1 completes the output now due; tap kt-2 goes to the next, and so on to the last, which it begins.
            outputs.append(self.tap(x, self.kt - 1, sums[0]).add_(self.bias))
            if self.overwrite and not self.volume:
                later = [s.addcmul_(x, self.taps[self.kt - 2 - i]) for i, s in enumerate(sums[1:])]
                sums = [*later, torch.mul(x, self.taps[0], out=sums[0])]
            else:
                sums = [self.tap(x, self.kt - 2 - i, onto) for i, onto in enumerate([*sums[1:], None])]
        return outputs, sums


class DeployedExcitation(nn.Module):
    """Causal squeeze-excitation on vectors: the encoding of every position is a row of a table, as it is linear."""

    def __init__(self, part: FoldedExcitation, limit: int | None) -> None:
        super().__init__()
        self.beside_frame, self.gate = part.beside_frame, part.gate
        self.reduce, self.expand = DeployedDense(part.reduce), DeployedDense(part.expand)
        self.positions: nn.Parameter | None = None
        if part.position_scale is not None:
            assert limit is not None
            self.positions = _parameter(part.position_rows(np.arange(limit + 1)))  # (limit + 1, hidden)

    def forward(self, frames: Sequence[Tensor], pool: Tensor, context: FrameContext) -> tuple[list[Tensor], Tensor]:
        """Frames (B, C, H, W) scaled by their gates, and the pooled mean (B, C) after them."""
        scaled = []
        for t, x in enumerate(frames):
            mean = x.mean((2, 3))
            pool = pool + context.pool_weights[t] * (mean - pool)
            seen = pool.to(mean.dtype)  # pools stay in float32
            rows = None if self.positions is None else F.embedding(context.positions[t][:, 0], self.positions)
            hidden = self.reduce(torch.cat([seen, mean], 1) if self.beside_frame else seen, rows)
            gates = GATES[self.gate](self.expand(hidden))
            scaled.append(x.mul_(gates[:, :, None, None]))
        return scaled, pool


class DeployedLayer(nn.Module):
    """One bottleneck of a step."""

    def __init__(self, part: FoldedBottleneck, past: StateLayout, overwrite: bool, limit: int | None) -> None:
        super().__init__()
        size, after = part.place.size, part.place.size_after
        self.expand = DeployedConvolution(part.expand, size)
        self.spatial = DeployedConvolution(part.spatial, size) if part.spatial else None
        self.temporal = DeployedTemporal(part.temporal, size, past, overwrite) if part.temporal else None
        self.se = DeployedExcitation(part.excitation, limit) if part.excitation else None
        self.project = DeployedConvolution(part.project, after)
        self.skip_stride = part.place.stride
        self.pool_window, self.pool_padding = skip_pooling(size)
        self.skip = DeployedConvolution(part.skip, after) if part.skip else None

    def forward(self, x: Tensor, past: list[Tensor], new: list[Tensor], context: FrameContext) -> Tensor:
        """Takes its share off the front of `past` and puts what is new at the end of `new`."""
        skip = x
        if self.skip is not None:
            if self.skip_stride > 1:
                skip = F.avg_pool2d(
                    x, self.pool_window, self.skip_stride, self.pool_padding, ceil_mode=True, count_include_pad=False
                )
            skip = self.skip(skip)
        x = self.expand(x)
        if self.spatial is not None:
            x = self.spatial(x)
        frames = _each(x, len(context.pool_weights)) if self.temporal is not None or self.se is not None else ()
        if self.temporal is not None:
            outputs, fresh = self.temporal(frames, past)
            frames = [ACTIVATIONS[self.temporal.activation](y, inplace=True) for y in outputs]
            new.extend(fresh)
        if self.se is not None:
            frames, pool = self.se(frames, past.pop(0), context)
            new.append(pool)
        if frames:
            x = frames[0] if len(frames) == 1 else torch.cat(list(frames))
        return self.project(x).add_(skip)


def skip_pooling(size: Size) -> tuple[Size, Size]:
    """Window and padding of a strided skip's average over pictures of this size (see `blocks.Shortcut`).

    No window is larger than its picture, which would not change the means, but which runtimes refuse.
    """
    (high, wide), (top, left) = (min(3, n) for n in size), (n % 2 if n > 1 else 0 for n in size)
    return (high, wide), (top, left)


def _each(x: Tensor, frames: int) -> Sequence[Tensor]:
    """The frames of a step, each by itself; of a single one a graph shows nothing."""
    return x.chunk(frames) if frames > 1 else (x,)


def _parameter(array: Array) -> nn.Parameter:
    """A copy that no gradient will want."""
    return nn.Parameter(torch.tensor(array), requires_grad=False)
