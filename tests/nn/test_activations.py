"""Every hard sigmoid exactly where it saturates: weights fit only the one they were trained with."""

from typing import get_args

import pytest
import torch

from movinet.arch.spec import Activation, Gate
from movinet.nn.activations import ACTIVATIONS, GATES


@pytest.mark.parametrize(
    ("gate", "values"),
    [
        ("hard_sigmoid_keras", {-9: 0, -2.5: 0, -1: 0.3, 0: 0.5, 1: 0.7, 2.5: 1, 9: 1}),
        # The constant is 0.16667, so the gate opens a little wider than 1.
        ("hard_sigmoid_garden", {-9: 0, -3: 0, -1: 0.33334, 0: 0.50001, 1: 0.66668, 3: 1.00002, 9: 1.00002}),
        ("hard_sigmoid_torch", {-9: 0, -3: 0, -1: 1 / 3, 0: 0.5, 1: 2 / 3, 3: 1, 9: 1}),
        ("sigmoid", {-100: 0, 0: 0.5, 1: 0.731058578, 100: 1}),
    ],
)
def test_gates(gate: Gate, values: dict[float, float]) -> None:
    x = torch.tensor(list(values), dtype=torch.float64)
    expected = torch.tensor(list(values.values()), dtype=torch.float64)
    torch.testing.assert_close(GATES[gate](x), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("activation", "values"),
    [
        ("relu", {-1: 0, 0: 0, 7: 7}),
        ("relu6", {-1: 0, 3: 3, 7: 6}),
        ("swish", {-1: -0.2689414214, 0: 0, 1: 0.7310585786}),
        ("hard_swish", {-4: 0, -3: 0, -1: -1 / 3, 0: 0, 1: 2 / 3, 3: 3, 5: 5}),
    ],
)
def test_activations(activation: Activation, values: dict[float, float]) -> None:
    x = torch.tensor(list(values), dtype=torch.float64)
    expected = torch.tensor(list(values.values()), dtype=torch.float64)
    torch.testing.assert_close(ACTIVATIONS[activation](x), expected, rtol=0, atol=1e-9)


def test_every_choice_exists() -> None:
    assert set(ACTIVATIONS) == set(get_args(Activation))
    assert set(GATES) == set(get_args(Gate))
