"""The average of weights by hand, and that applying it copies and loses nothing."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_spec
from torch import Tensor, nn

from movinet.nn.movinet import MoViNet
from movinet.train.ema import MovingAverage


def disturb(model: nn.Module) -> None:
    with torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            tensor.add_(torch.randn(()) if tensor.is_floating_point() else 3)


def values(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


@given(st.floats(0, 0.999), st.integers(0, 30))
@settings(max_examples=15)
def test_one_number_by_hand(decay: float, updates: int) -> None:
    layer = nn.Linear(1, 1, bias=False).double()
    average, expected = MovingAverage(layer, decay), layer.weight.item()
    for n in range(updates):
        disturb(layer)
        average.update(layer)
        d = min(decay, (1 + n) / (10 + n))
        expected = d * expected + (1 - d) * layer.weight.item()
    np.testing.assert_allclose(average.average["weight"].item(), expected, rtol=1e-9)


def test_everything_is_averaged_but_counts() -> None:
    model = MoViNet(tiny_spec())
    average = MovingAverage(model, 0.9)
    before = values(model)
    disturb(model)
    average.update(model)
    for key, value in model.state_dict().items():
        expected = 0.1 * before[key] + 0.9 * value if value.is_floating_point() else value
        torch.testing.assert_close(average.average[key], expected)
    assert average.average.keys() == before.keys()


def test_applying_it_swaps_and_swaps_back() -> None:
    model = MoViNet(tiny_spec()).eval()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    average = MovingAverage(model, 0.9)
    start = values(model)
    clip = torch.rand(1, 3, 4, 24, 32)
    before = model(clip)
    disturb(model)
    trained, pointers = values(model), {p.data_ptr() for p in model.parameters()}
    with average.applied(model):
        assert torch.equal(model(clip), before)
        assert all(torch.equal(value, start[key]) for key, value in model.state_dict().items())
        assert {tensor.data_ptr() for tensor in average.average.values()} >= pointers
    assert {p.data_ptr() for p in model.parameters()} == pointers
    assert all(torch.equal(value, trained[key]) for key, value in model.state_dict().items())
    model(clip).sum().backward()
    optimizer.step()
    assert not torch.equal(model.head.classifier.bias, trained["head.classifier.bias"]), "still the optimizer's tensors"
    with pytest.raises(RuntimeError, match="stop"), average.applied(model):
        raise RuntimeError("stop")
    assert {p.data_ptr() for p in model.parameters()} == pointers


def test_a_loaded_average_goes_on_as_if_nothing_had_happened() -> None:
    def run(interrupted: bool) -> dict[str, Tensor]:
        torch.manual_seed(0)
        model = MoViNet(tiny_spec())
        average = MovingAverage(model, 0.9)
        for number in range(4):
            if interrupted and number == 2:
                state = average.state_dict()
                average = MovingAverage(model, 0.9)
                average.load_state_dict(state)
            disturb(model)
            average.update(model)
        return average.average

    whole, resumed = run(False), run(True)
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a decay lies in \[0, 1\), got 1"):
        MovingAverage(nn.Linear(1, 1), 1.0)
    with pytest.raises(ValueError, match="of another network"):
        MovingAverage(nn.Linear(1, 1), 0.9).load_state_dict(MovingAverage(nn.Linear(1, 2), 0.9).state_dict())
