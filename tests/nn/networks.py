"""Random networks in which nothing is trivially zero, and what 'the same logits' means."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from movinet.arch.spec import Spec
from movinet.arch.step import DECAY
from movinet.deploy.network import FoldedNetwork, folded_network
from movinet.nn.ensemble import Ensemble, build
from movinet.nn.movinet import MoViNet
from movinet.nn.state import State
from movinet.weights.weights import Weights

SEEDS = st.integers(0, 2**32)
CUTS = st.lists(st.integers(0, 4), min_size=1, max_size=4)


def random_network(spec: Spec, seed: int) -> MoViNet | Ensemble:
    """In eval mode, with random parameters and statistics, also those that begin at zero (ReZero, position scale)."""
    network = build(spec).eval()
    random = torch.Generator().manual_seed(seed)

    def uniform(tensor: Tensor, low: float, high: float) -> None:
        nn.init.uniform_(tensor, low, high, generator=random)

    for name, parameter in network.named_parameters():
        if parameter.ndim > 1:
            nn.init.normal_(parameter, std=1.5 * parameter[0].numel() ** -0.5, generator=random)
        elif name.endswith("bias"):
            uniform(parameter, -0.5, 0.5)
        else:  # scales of batch norm, ReZero and position
            uniform(parameter, 0.5, 1.5)
    for name, buffer in network.named_buffers():
        if name.endswith("running_mean"):
            uniform(buffer, -0.5, 0.5)
        elif name.endswith("running_var"):
            uniform(buffer, 0.5, 1.5)
    return network


def folded(network: MoViNet | Ensemble) -> FoldedNetwork:
    """Its folded arrays, as engines and lowerings take them."""
    return folded_network(Weights.of(network))


def in_numpy(state: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """A state dict, or what is one already, as arrays."""
    return {name: np.asarray(value) for name, value in state.items()}


def random_frames(batch: int, frames: int, size: tuple[int, int], seed: int) -> Tensor:
    return torch.rand(batch, 3, frames, *size, generator=torch.Generator().manual_seed(seed))


def assert_same(actual: Tensor, expected: Tensor, tolerance: float = 1e-5) -> None:
    """max|Δ| ≤ 1e-5 · max|logit|."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    assert expected.isfinite().all()
    if expected.numel():
        assert (actual - expected).abs().max() <= tolerance * expected.abs().max()


def assert_same_state(actual: State, expected: State) -> None:
    assert list(actual) == list(expected)
    for key, value in expected.items():
        if value.dtype.is_floating_point:
            # Activations here are of order one; a mean of them may happen to be next to nothing.
            scale = max(1.0, value.abs().max().item()) if value.numel() else 1.0
            assert actual[key].shape == value.shape
            assert (actual[key] - value).abs().le(1e-5 * scale).all()
        else:
            assert_identical(actual[key], value)


def assert_identical(actual: Tensor, expected: Tensor) -> None:
    assert actual.dtype == expected.dtype
    assert torch.equal(actual, expected)


def with_decays(state: State, decays: list[float]) -> State:
    """The state with each stream's γ set."""
    gamma = torch.tensor(decays)
    return {key: gamma.clone() if key.endswith(DECAY) else value for key, value in state.items()}
