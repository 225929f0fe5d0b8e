"""Batch renormalization: forward what running statistics give, backward what batch norm gives, within its limits."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from training_sets import BASIC, new_training, noise
from two_processes import new_norm

from movinet.train.batch_norm import RenormalizedNorm, renormalize, synchronize_norms


def batch(mean: float, std: float, seed: int = 0) -> Tensor:
    return mean + std * torch.randn(4, 6, 3, 5, generator=torch.Generator().manual_seed(seed))


def known(settled: bool = True, seen: int = 0) -> RenormalizedNorm:
    """With running statistics that are its own."""
    model = new_norm()
    renormalize(model, settled)
    norm = model[0]
    assert isinstance(norm, RenormalizedNorm)
    norm.running_mean.copy_(torch.linspace(-1, 1, 6))
    norm.running_var.copy_(torch.linspace(0.5, 2, 6))
    norm.num_batches_tracked.fill_(seen)
    return norm


@given(mean=st.floats(-2, 2), std=st.floats(0.6, 1.6), seed=st.integers(0, 99))
def test_training_gives_what_evaluation_gives(mean: float, std: float, seed: int) -> None:
    norm, x = known(), batch(mean, std, seed)
    wanted = known().eval()(x)
    torch.testing.assert_close(norm(x), wanted, rtol=1e-4, atol=1e-4)
    assert (nn.BatchNorm2d(6, eps=1e-3)(x) - wanted).abs().max() > 1e-2  # which batch norm does not


def test_gradients_are_those_through_the_statistics_of_the_batch() -> None:
    norm, x, pull = known(), batch(0.5, 1.5).requires_grad_(), batch(0.2, 1, seed=1)
    var, mean = torch.var_mean(x, (0, 2, 3), correction=0)
    rstd = (norm.running_var + norm.eps).rsqrt()
    ratio, shift = ((var + norm.eps).sqrt() * rstd).detach(), ((mean - norm.running_mean) * rstd).detach()

    def wide(values: Tensor) -> Tensor:
        return values[:, None, None]

    normalized = (x - wide(mean)) * wide((var + norm.eps).rsqrt()) * wide(ratio) + wide(shift)
    wanted = torch.autograd.grad((normalized * wide(norm.weight) + wide(norm.bias)).mul(pull).sum(), x)
    found = torch.autograd.grad(norm(x).mul(pull).sum(), x)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-5)


def test_running_statistics_are_those_of_batch_norm() -> None:
    plain, renormed = new_norm(), new_norm()
    renormalize(renormed, settled=True)
    for seed in range(3):
        x = batch(1, 2, seed)
        plain(x)
        renormed(x)
    for name, value in plain.named_buffers():
        torch.testing.assert_close(renormed.get_buffer(name), value)


def test_a_new_network_is_normalized_by_its_batch_at_first() -> None:
    x = batch(0.7, 1.3)
    plain = new_norm().train()
    torch.testing.assert_close(known(settled=False, seen=0)(x), plain(x))
    later = known(settled=False, seen=10**6)(x)
    torch.testing.assert_close(later, known().eval()(x), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("mean", "std"), [(300.0, 1.0), (0.0, 40.0), (0.0, 0.15)])
def test_far_from_the_running_statistics_it_gives_in(mean: float, std: float) -> None:
    y = known()(batch(mean, std))
    weight, bias = new_norm()[0].weight, new_norm()[0].bias
    normalized = (y - bias[:, None, None]) / weight[:, None, None]
    center, spread = normalized.mean((0, 2, 3)).abs(), normalized.std((0, 2, 3), correction=0)
    assert (center <= 5 + 1e-3).all()
    assert ((spread <= 3.01) & (spread >= 0.32)).all()


def test_recurrent_training_renormalizes(tmp_path: Path) -> None:
    for strategy in ("clip", "recurrent"):
        training = new_training(replace(BASIC, strategy=strategy), noise(), tmp_path)
        norms = [part for part in training.model.modules() if isinstance(part, nn.BatchNorm2d)]
        assert norms
        assert {isinstance(norm, RenormalizedNorm) for norm in norms} == {strategy == "recurrent"}
        assert not any(getattr(norm, "settled", False) for norm in norms)  # a new network's


def test_names_and_values_stay() -> None:
    model = new_norm()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    parameters = list(model.parameters())
    renormalize(model, settled=False)
    synchronize_norms(model)  # leaves what does more alone
    assert isinstance(model[0], RenormalizedNorm)
    assert all(a is b for a, b in zip(model.parameters(), parameters, strict=True))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
