"""A plain interpreter of folded networks in numpy: slow, readable, and the judge of every lowering and export.

Everything is computed in float64, frame by frame, in the order the paper gives it. A stream's state is a dictionary
named as `MoViNet`'s: `frame_count` (B,), `decay` (B,), `pool_weight` (B,), and for each layer its `.buffer`
(B, C, kt-1, H, W) and `.pool` (B, C).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.count import state_shapes
from movinet.arch.spec import Activation, Gate
from movinet.deploy.network import (
    FoldedBottleneck,
    FoldedConvolution,
    FoldedDense,
    FoldedExcitation,
    FoldedNetwork,
    FoldedTemporal,
)
from movinet.errors import SpecError

Array = NDArray[np.float64]
State = dict[str, NDArray[Any]]


def reference_step(network: FoldedNetwork, frames: NDArray[Any], state: State | None = None) -> tuple[Array, State]:
    """The logits of streams after some frames, and their state.

    Args:
        network: a stream network.
        frames: (B, 3, T, H, W) in [0, 1].
        state: of the B streams; None begins them. It is left as it is.

    Returns:
        Logits (B, num_classes) after the last frame, and the new state.
    """
    state = dict(state) if state is not None else init_state(network, len(frames))
    for t in range(frames.shape[2]):
        state["pool_weight"] = state["pool_weight"] * state["decay"] + 1.0
        x = _convolution(frames[:, :, t].astype(np.float64), network.stem)
        for layer in network.layers:
            x = _stream_layer(x, layer, state, network)
        _pool("head.pool", _convolution(x, network.project).mean((2, 3)), state)
        state["frame_count"] = state["frame_count"] + 1
    return _head(state["head.pool"], network), state


def reference_clip(network: FoldedNetwork, clip: NDArray[Any]) -> Array:
    """The logits (B, num_classes) of whole clips (B, 3, T, H, W) in [0, 1], from a base network."""
    batch, _, frames = clip.shape[:3]
    images = clip.transpose(0, 2, 1, 3, 4).reshape(batch * frames, *clip.shape[1:2], *clip.shape[3:])
    x = _convolution(images.astype(np.float64), network.stem)
    for layer in network.layers:
        around = _skip(x, layer)
        x = _convolution(x, layer.expand)
        if layer.spatial is not None:
            x = _convolution(x, layer.spatial)
        if layer.temporal is not None:
            half = layer.temporal.frames // 2
            padded = np.pad(x.reshape(batch, frames, *x.shape[1:]), [(0, 0), (half, half), *[(0, 0)] * 3])
            outputs = [_taps(padded[:, t : t + layer.temporal.frames], layer.temporal) for t in range(frames)]
            x = np.stack(outputs, 1).reshape(batch * frames, *outputs[0].shape[1:])
        if layer.excitation is not None:
            mean = x.reshape(batch, frames, *x.shape[1:]).mean((1, 3, 4))
            gates = _gates(mean, layer.excitation)
            x = x * np.repeat(gates, frames, 0)[:, :, None, None]
        x = _convolution(x, layer.project) + around
    x = _convolution(x, network.project)
    return _head(x.reshape(batch, frames, *x.shape[1:]).mean((1, 3, 4)), network)


def init_state(network: FoldedNetwork, streams: int) -> State:
    """The state of streams that have seen nothing."""
    state: State = {
        "frame_count": np.zeros(streams, np.int64),
        "decay": np.full(streams, network.spec.decay),
        "pool_weight": np.zeros(streams),
    }
    shapes = state_shapes(network.spec, network.size)
    return state | {name: np.zeros((streams, *shape)) for name, shape in shapes.items()}


def _stream_layer(x: Array, layer: FoldedBottleneck, state: State, network: FoldedNetwork) -> Array:
    around = _skip(x, layer)
    x = _convolution(x, layer.expand)
    if layer.spatial is not None:
        x = _convolution(x, layer.spatial)
    if layer.temporal is not None:
        past = state[f"{layer.name}.buffer"]  # (B, C, kt-1, H, W)
        window = np.concatenate([past, x[:, :, None]], 2)
        state[f"{layer.name}.buffer"] = window[:, :, 1:]
        x = _taps(window.transpose(0, 2, 1, 3, 4), layer.temporal)
    if layer.excitation is not None:
        mean = x.mean((2, 3))
        seen = _pool(f"{layer.name}.pool", mean, state)
        if layer.excitation.beside_frame:
            seen = np.concatenate([seen, mean], 1)
        rows: NDArray[Any] | float = 0.0
        if layer.excitation.position_scale is not None:
            positions, limit = state["frame_count"], network.spec.position_limit
            rows = layer.excitation.position_rows(positions if limit is None else np.minimum(positions, limit))
        x = x * _gates(seen, layer.excitation, rows)[:, :, None, None]
    return _convolution(x, layer.project) + around


def _pool(name: str, mean: Array, state: State) -> Array:
    """The mean over all frames so far, with a new one."""
    before = state[name]
    state[name] = before + (mean - before) / state["pool_weight"][:, None]
    return state[name]


def _gates(means: Array, excitation: FoldedExcitation, rows: "NDArray[Any] | float" = 0.0) -> Array:
    reduce = excitation.reduce
    hidden = activate(means @ reduce.weight.T + reduce.bias + rows, reduce.activation)
    if excitation.gate not in GATES:
        raise SpecError(f"the reference has no gate {excitation.gate!r}")
    return GATES[excitation.gate](hidden @ excitation.expand.weight.T + excitation.expand.bias)


def _head(means: Array, network: FoldedNetwork) -> Array:
    hidden = _dense(means, network.hidden)
    return _dense(hidden, network.classifier) if network.classifier else hidden


def _dense(x: Array, layer: FoldedDense) -> Array:
    return activate(x @ layer.weight.T.astype(np.float64) + layer.bias, layer.activation)


def _taps(window: Array, part: FoldedTemporal) -> Array:
    """A window of as many frames as there are taps (B, kt, C, H, W) to one frame."""
    total: Array | float = 0.0
    for t in range(part.frames):
        total = total + depthwise(window[:, t], part.weight[:, t], part.stride)
    return activate(np.asarray(total + part.bias[:, None, None]), part.activation)


def _convolution(x: Array, part: FoldedConvolution) -> Array:
    """Images (N, C, H, W) to (N, C', H/stride, W/stride)."""
    if part.groups > 1 or part.weight.shape[:2] == (1, 1):
        y = depthwise(x, part.weight[:, 0], part.stride)
    else:
        weight = part.weight.astype(np.float64)
        y = np.zeros(())
        for i, j, seen in _windows(x, part.weight.shape[2:], part.stride):
            y = y + np.einsum("oc,nchw->nohw", weight[:, :, i, j], seen, optimize=True)
    return activate(y + part.bias[:, None, None], part.activation)


def depthwise(x: NDArray[Any], weight: NDArray[np.float32], stride: int) -> Array:
    """Every channel of images (N, C, H, W) with its own kernel (C, kh, kw)."""
    total: Array | float = 0.0
    for i, j, seen in _windows(x, weight.shape[1:], stride):
        total = total + weight[:, i, j].astype(np.float64)[:, None, None] * seen
    return np.asarray(total)


def _skip(x: Array, layer: FoldedBottleneck) -> Array:
    """The way around a layer: TensorFlow's 'same' average over 3×3, which divides by the pixels inside the picture."""
    if layer.skip is None:
        return x
    if layer.place.stride > 1:
        total, count = np.zeros(()), np.zeros(())
        inside = np.ones((1, 1, *x.shape[2:]))
        for (_, _, seen), (_, _, ones) in zip(_windows(x, (3, 3), 2), _windows(inside, (3, 3), 2), strict=True):
            total, count = total + seen, count + ones
        x = total / count
    return _convolution(x, layer.skip)


def _windows(x: NDArray[Any], kernel: tuple[int, ...], stride: int) -> list[tuple[int, int, NDArray[Any]]]:
    """For every place of a kernel what it sees, under TensorFlow's 'same' padding with zeros."""
    pads, sizes = [], []
    for n, k in zip(x.shape[2:], kernel, strict=True):
        out = -(-n // stride)
        pad = max((out - 1) * stride + k - n, 0)
        pads.append((pad // 2, pad - pad // 2))
        sizes.append((out - 1) * stride + 1)
    x = np.pad(x, [(0, 0), (0, 0), *pads])
    return [
        (i, j, x[:, :, i : i + sizes[0] : stride, j : j + sizes[1] : stride])
        for i in range(kernel[0])
        for j in range(kernel[1])
    ]


def activate(x: Array, activation: Activation | None) -> Array:
    """x after an activation, or as it is.

    Raises:
        SpecError: it is unknown here.
    """
    if activation is None:
        return x
    if activation not in ACTIVATIONS:
        raise SpecError(f"the reference has no activation {activation!r}")
    return ACTIVATIONS[activation](x)


def _sigmoid(x: Array) -> Array:
    return 1.0 / (1.0 + np.exp(-np.clip(x, -500, 500)))


def _relu6(x: Array) -> Array:
    return np.clip(x, 0.0, 6.0)


ACTIVATIONS: dict[Activation, Callable[[Array], Array]] = {
    "relu": lambda x: np.maximum(x, 0.0),
    "relu6": _relu6,
    "swish": lambda x: x * _sigmoid(x),
    "hard_swish": lambda x: x * _relu6(x + 3.0) / 6.0,
}

GATES: dict[Gate, Callable[[Array], Array]] = {
    "sigmoid": _sigmoid,
    "hard_sigmoid_keras": lambda x: np.clip(0.2 * x + 0.5, 0.0, 1.0),
    "hard_sigmoid_garden": lambda x: _relu6(x + 3.0) * 0.16667,
    "hard_sigmoid_torch": lambda x: _relu6(x + 3.0) / 6.0,
}
