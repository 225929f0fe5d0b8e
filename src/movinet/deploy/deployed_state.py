"""The state of a network's own step (`MoViNet.step`, the reference) in the form of a deployed one."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from movinet.arch.step import DECAY, FRAME_COUNT, POOL_WEIGHT, StateLayout, step_signature
from movinet.deploy.network import FoldedNetwork, FoldedTemporal
from movinet.deploy.reference import depthwise


def deployed_state(
    network: FoldedNetwork, state: Mapping[str, ArrayLike], past: StateLayout
) -> dict[str, NDArray[Any]]:
    """What a deployed step takes to go on with streams that the network itself has begun.

    Args:
        network: of frames of the size the streams have.
        state: named as `MoViNet.step` returns it, tensors or arrays; each (B, ...). Counts of frames may end at the
            position limit; beyond, they tell nothing.
        past: how the deployed step holds the past.

    Returns:
        Arrays (B, ...) by the names of `step_signature`, in its order.
    """
    given = {name: np.asarray(array) for name, array in state.items()}
    held = {name: given[name][:, None].astype(np.float32) for name in (DECAY, POOL_WEIGHT)}
    held[FRAME_COUNT] = np.minimum(given[FRAME_COUNT][:, None], 2**30).astype(np.int32)
    held |= {name: array.astype(np.float32) for name, array in given.items() if name.endswith(".pool")}
    for layer in network.layers:
        if layer.temporal is None:
            continue
        buffer = given[f"{layer.name}.buffer"].astype(np.float32)  # (B, C, kt-1, H, W)
        frames = [buffer[:, :, t] for t in range(buffer.shape[2])]
        if past == "buffer":
            held[f"{layer.name}.buffer"] = np.concatenate(frames, 1)
        elif past == "frames":
            held |= {f"{layer.name}.past.{t}": frame for t, frame in enumerate(frames)}
        else:
            held |= {f"{layer.name}.sum.{i}": total for i, total in enumerate(_sums(frames, layer.temporal))}
    signature = step_signature(network.spec, network.size, past)
    return {port.name: np.ascontiguousarray(held[port.name]) for port in signature.state}


def _sums(frames: list[NDArray[np.float32]], part: FoldedTemporal) -> list[NDArray[np.float32]]:
    """The partial sums of the outputs to come, the next one due first."""
    sums = []
    for due in range(part.frames - 1):
        taps = [depthwise(frame, part.weight[:, i], part.stride) for i, frame in enumerate(frames[due:])]
        sums.append(np.sum(taps, axis=0).astype(np.float32))
    return sums
