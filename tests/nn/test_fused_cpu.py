"""The CPU's ways of training against the plain modules in float64: values, statistics and every gradient."""

import platform
import subprocess
import sys
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from arch.specs import network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, random_frames, random_network
from nn.test_movinet import small_spec
from torch import Tensor, nn

from movinet.arch.spec import NetworkSpec
from movinet.nn import fused_cpu
from movinet.nn.blocks import ConvNormAct
from movinet.nn.padding import same_padding


def norm_of(channels: int, seed: int) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(channels, 1e-3, 0.1)
    random = torch.Generator().manual_seed(seed)
    nn.init.uniform_(norm.weight, -1.5, 1.5, generator=random)
    nn.init.uniform_(norm.bias, -1, 1, generator=random)
    return norm


def images(count: int, channels: int, size: tuple[int, int], seed: int) -> Tensor:
    """Channels of their own means and scales, last in memory."""
    random = torch.Generator().manual_seed(seed)
    x = torch.randn(count, channels, *size, generator=random)
    x = x * (0.5 + torch.rand(channels, 1, 1, generator=random)) + torch.randn(channels, 1, 1, generator=random)
    return x.contiguous(memory_format=torch.channels_last)


Forward = Callable[[Tensor, Tensor, nn.BatchNorm2d, int, Tensor | None, Tensor | None], Tensor]


def plainly(
    x: Tensor, weight: Tensor, norm: nn.BatchNorm2d, stride: int, gates: Tensor | None, scale: Tensor | None
) -> Tensor:
    if gates is not None:
        x = x * gates[..., None, None]
    weight, padding = same_padding(weight, x.shape, stride)
    y = norm(F.conv2d(x, weight, None, stride, padding, groups=x.shape[1] // weight.shape[1]))
    return y if scale is None else y * scale


Answers = dict[str, Tensor]


def answers(
    x: Tensor, weight: Tensor, stride: int, gates: Tensor | None, scale: Tensor | None, seed: int
) -> tuple[Answers, Answers, Answers]:
    """Of our way, of the plain modules and of those in float64: result, gradients and statistics."""

    def run(forward: Forward, dtype: torch.dtype) -> Answers:
        given = {"x": x, "weight": weight, "gates": gates, "scale": scale}
        leaves = {k: v if v is None else v.to(dtype, copy=True).requires_grad_() for k, v in given.items()}
        norm = norm_of(len(weight), seed).to(dtype)
        assert fused_cpu.applies_with(norm, leaves["x"]) == (dtype == torch.float32)
        y = forward(leaves["x"], leaves["weight"], norm, stride, leaves["gates"], leaves["scale"])
        assert y.is_contiguous(memory_format=torch.channels_last)
        y.backward((torch.randn(y.shape, generator=torch.Generator().manual_seed(seed)) + 0.5).to(dtype))
        gradients = {f"gradient of {k}": v.grad for k, v in leaves.items() if v is not None}
        return {
            "y": y.detach(),
            **gradients,
            **{k: v.grad for k, v in norm.named_parameters()},
            **dict(norm.named_buffers()),
        }

    return (
        run(fused_cpu.convolve_and_normalize, torch.float32),
        run(plainly, torch.float32),
        run(plainly, torch.float64),
    )


def assert_as_good(ours: Answers, plain: Answers, exact: Answers, floor: float, rounding: float = 1e-5) -> None:
    """As near to the exact answers as the plain modules are, give or take rounding of values around `floor`."""
    assert ours.keys() == plain.keys() == exact.keys()
    for name, value in exact.items():
        assert ours[name].shape == value.shape, name
        error, plain_error = ((other[name] - value).abs().max() for other in (ours, plain))
        assert error <= 5 * plain_error + rounding * max(float(value.abs().max()), floor), name


SIZES = st.tuples(st.integers(4, 14), st.integers(4, 14))


@given(st.sampled_from([2, 3, 8, 40]), st.sampled_from([2, 5, 36]), SIZES, st.booleans(), st.booleans(), SEEDS)
@settings(max_examples=40, deadline=None)
def test_pointwise(inputs: int, outputs: int, size: tuple[int, int], gated: bool, scaled: bool, seed: int) -> None:
    random = torch.Generator().manual_seed(seed)
    weight = torch.randn(outputs, inputs, 1, 1, generator=random)
    gates = torch.rand(3, inputs, generator=random) if gated else None
    scale = torch.tensor(0.7) if scaled else None
    assert_as_good(*answers(images(3, inputs, size, seed), weight, 1, gates, scale, seed), floor=0.1)


@given(SEEDS)
@settings(max_examples=20, deadline=None)
def test_channels_that_differ_by_little_and_lie_far_from_zero(seed: int) -> None:
    """Of the plain modules, too, rounding takes digits then; of 2,500 seeds the worst lay 1e-4 beyond theirs."""
    x = images(3, 8, (12, 12), seed)
    x[:, 1:] = x[:, :1] + 0.1 * x[:, 1:] + 3
    weight = torch.randn(24, 8, 1, 1, generator=torch.Generator().manual_seed(seed))
    assert_as_good(*answers(x, weight, 1, None, None, seed), floor=0.1, rounding=3e-4)


@given(st.sampled_from([3, 16, 40]), st.sampled_from([1, 3, 5, 7]), st.sampled_from([1, 2]), SIZES, SEEDS)
@settings(max_examples=60, deadline=None)
def test_depthwise(channels: int, side: int, stride: int, size: tuple[int, int], seed: int) -> None:
    weight = torch.randn(channels, 1, side, side, generator=torch.Generator().manual_seed(seed))
    # The norm undoes what a kernel of one pixel does, so that its gradient is what large terms leave of one another.
    floor = 2.0 if side == 1 else 0.5
    assert_as_good(*answers(images(2, channels, size, seed), weight, stride, None, None, seed), floor=floor)


# No network has 1×1 kernels at stride 2 of under eight channels: with AVX2 alone, oneDNN (of PyTorch 2.13) writes
# beyond the end of their gradient.
@given(st.sampled_from([(1, 1), (3, 1), (3, 2)]), SIZES, SEEDS)
@settings(max_examples=20, deadline=None)
def test_plain_convolution(form: tuple[int, int], size: tuple[int, int], seed: int) -> None:
    side, stride = form
    weight = torch.randn(5, 3, side, side, generator=torch.Generator().manual_seed(seed))
    assert_as_good(*answers(images(2, 3, size, seed), weight, stride, None, None, seed), floor=0.1)


@given(network_specs(norm="batch"), st.booleans(), SEEDS)
@settings(max_examples=12, deadline=None)
def test_networks_learn_alike(spec: NetworkSpec, keep_statistics: bool, seed: int) -> None:
    # Nowhere kinked, so that rounding has no large effects, and nothing left to chance.
    spec = spec.with_options(activation="swish", head_activation="swish", gate="sigmoid", stochastic_depth=0, dropout=0)
    clip = random_frames(2, 4, (37, 46), seed)

    def learn(dtype: torch.dtype) -> Answers:
        network = random_network(spec, seed).train().to(dtype)
        for part in network.modules():
            if keep_statistics and isinstance(part, nn.BatchNorm2d):
                part.eval()
        logits = network(clip.to(dtype))
        logits.backward(torch.randn(logits.shape, generator=torch.Generator().manual_seed(seed)).to(dtype))
        gradients = {name: parameter.grad for name, parameter in network.named_parameters()}
        return {"logits": logits.detach(), **gradients, **{f"now {k}": v for k, v in network.named_buffers()}}

    ours, exact = learn(torch.float32), learn(torch.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_cpu, "enabled", False)
        plain = learn(torch.float32)
    # A gradient that is zero but for rounding, as of a bias before batch norm, is judged by the others' size.
    assert_as_good(ours, plain, exact, floor=max(float(value.abs().max()) for value in exact.values()))


def test_a_part_that_needs_no_gradient_gets_none() -> None:
    for side in (1, 5):
        x = images(2, 8, (9, 12), 0)
        weight = torch.randn(8, 1 if side > 1 else 8, side, side, requires_grad=True)
        fused_cpu.convolve_and_normalize(x, weight, norm_of(8, 0), 1).sum().backward()
        assert x.grad is None
        assert weight.grad is not None


def test_where_it_applies() -> None:
    class OtherNorm(nn.BatchNorm2d):
        pass

    x, norm = torch.rand(1, 4, 2, 2), nn.BatchNorm2d(4)
    assert fused_cpu.applies_with(norm, x)
    for other in (nn.BatchNorm2d(4).eval(), OtherNorm(4), nn.Identity(), nn.BatchNorm2d(4, momentum=None)):
        assert not fused_cpu.applies_with(other, x)
    assert not fused_cpu.applies_with(nn.BatchNorm2d(4, track_running_stats=False), x)
    assert not fused_cpu.applies_with(nn.BatchNorm2d(4, affine=False), x)
    for other_x in (x.bfloat16(), x.double(), x.to("meta")):
        assert not fused_cpu.applies_with(norm, other_x)
    with torch.no_grad():
        assert not fused_cpu.applies_with(norm, x)
    with torch.autocast("cpu"):
        assert not fused_cpu.applies_with(norm, x)


@pytest.mark.parametrize("outputs", [4, 8])
def test_one_value_per_channel_is_refused_as_batch_norm_does(outputs: int) -> None:
    weight = torch.randn(outputs, 4, 1, 1)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        fused_cpu.convolve_and_normalize(torch.rand(1, 4, 1, 1), weight, norm_of(outputs, 0), 1)


def test_mixed_precision_trains_plainly() -> None:
    network = random_network(small_spec().with_options(stochastic_depth=0.5), 0).train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = network(random_frames(2, 4, (32, 32), 1)).float().square().mean()
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.slow
def test_freed_memory_is_kept() -> None:
    """What was freed some times, until it fits, is had again without a page fault."""
    code = """
import resource, torch
from movinet.freed_memory import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(2):
        torch.ones(10_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
plain = faults()
keep_freed_memory()
for _ in range(10):
    faults()
print(plain, faults())
"""
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("the C library is not glibc")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    plain, kept = map(int, done.stdout.split())
    assert kept < plain / 10


def test_the_switch_trains_with_plain_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    def second_order() -> Tensor:
        weight = torch.randn(16, 8, 1, 1, generator=torch.Generator().manual_seed(0)).requires_grad_()
        conv = ConvNormAct(8, 16, small_spec())
        x = images(2, 8, (6, 5), 1)
        with torch.no_grad():
            conv.weight.copy_(weight)
        (first,) = torch.autograd.grad(conv.train()(x).pow(3).sum(), conv.weight, create_graph=True)
        (second,) = torch.autograd.grad(first.square().sum(), conv.weight)
        return second

    with pytest.raises(RuntimeError):  # the way back is not one that has a way back
        second_order()
    monkeypatch.setattr(fused_cpu, "enabled", False)
    assert not fused_cpu.applies(images(1, 2, (3, 3), 0))
    assert second_order().isfinite().all()
