"""The parts against plain formulas of what the official code computes."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from arch.specs import network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import SEEDS, assert_same, random_frames, random_network
from torch import Tensor, nn

from movinet.arch.layer_spec import BlockSpec, LayerPlace, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.nn.blocks import Bottleneck, ConvNormAct, Shortcut, SqueezeExcitation
from movinet.nn.movinet import MoViNet
from movinet.nn.stream import StepContext


def spec_with(**options: object) -> NetworkSpec:
    spec = network_spec("movinet_t0_stream")
    assert isinstance(spec, NetworkSpec)
    return spec.with_options(**options)


def tensorflow_average(image: np.ndarray) -> np.ndarray:
    """AveragePooling2D(3, strides=2, padding='same') of (C, H, W): only pixels inside the picture count."""
    _, height, width = image.shape
    out = np.empty((image.shape[0], -(-height // 2), -(-width // 2)), image.dtype)
    for y, x in np.ndindex(*out.shape[1:]):
        top, left = 2 * y - height % 2, 2 * x - width % 2
        out[:, y, x] = image[:, max(top, 0) : top + 3, max(left, 0) : left + 3].mean((1, 2))
    return out


@given(st.integers(1, 12), st.integers(1, 12), SEEDS)
@settings(max_examples=60, deadline=None)
@torch.inference_mode()
def test_skip_pools_as_tensorflow_does(height: int, width: int, seed: int) -> None:
    images = torch.randn(2, 3, height, width, generator=torch.Generator().manual_seed(seed))
    skip = Shortcut(3, 3, 2, spec_with(norm="folded"))
    nn.init.dirac_(skip.project.weight)
    nn.init.zeros_(skip.project.bias)
    expected = np.stack([tensorflow_average(image) for image in images.numpy()])
    np.testing.assert_allclose(skip(images.contiguous(memory_format=torch.channels_last)), expected, atol=1e-6)


@pytest.mark.parametrize("kind", ["global", "cumulative", "cumulative_frame"])
@pytest.mark.parametrize("positional_encoding", [True, False])
@torch.inference_mode()
def test_squeeze_excitation(kind: str, positional_encoding: bool) -> None:
    causal = kind != "global"
    positional_encoding = positional_encoding and causal
    spec = spec_with(
        causal=causal,
        squeeze_excitation=kind,
        gate="sigmoid",
        activation="relu",
        positional_encoding=positional_encoding,
    )
    se = SqueezeExcitation(6, 8, spec)
    if se.position_scale is not None:
        se.position_scale.fill_(0.7)
    x = torch.randn(3, 6, 4, 5)  # three frames of one stream
    state = {"frame_count": torch.tensor([0]), "decay": torch.ones(1), "pool_weight": torch.zeros(1)}
    context = StepContext.from_state(state, 3) if causal else StepContext.whole_clip(1, 3, x.device)
    gates, pool = se(x.mean((2, 3)), context, torch.zeros(1, 6) if causal else None)
    for t in range(3):
        pooled = x[: t + 1].mean((0, 2, 3)) if causal else x.mean((0, 2, 3))
        if kind == "cumulative_frame":
            pooled = torch.cat([pooled, x[t].mean((1, 2))])  # in this order
        if positional_encoding:
            angles = t / 10_000 ** (torch.arange(0, len(pooled), 2) / len(pooled))
            pooled = pooled + 0.7 * torch.cat([angles.sin(), angles.cos()])
        hidden = F.relu(F.linear(pooled, se.reduce.weight, se.reduce.bias))
        gate = torch.sigmoid(F.linear(hidden, se.expand.weight, se.expand.bias))
        assert_same(gates[t], gate)
    assert_same(pool[0], x.mean((0, 2, 3)))


@pytest.mark.parametrize("convolution", ["3d", "2plus1d"])
@torch.inference_mode()
def test_a_base_network_is_its_formula(convolution: str) -> None:
    """Stem, a layer with a plain and one with a projected skip, and the head, written out as 3-D convolutions."""
    layers = LayerSpec(6, (3, 3, 3), squeeze_excitation=False), LayerSpec(8, (5, 3, 3), squeeze_excitation=False)
    spec = spec_with(
        blocks=(BlockSpec(5, layers[:1], stride=1), BlockSpec(7, layers[1:], stride=1)),
        **{"stem": 5, "project": 9, "hidden": 11, "num_classes": 3, "causal": False, "squeeze_excitation": "none"},
        **{"convolution": convolution, "activation": "relu6", "head_activation": "relu", "norm": "folded"},
    )
    network = random_network(spec, 0)
    assert isinstance(network, MoViNet)
    weights = network.state_dict()
    clip = random_frames(2, 6, (9, 9), 1)

    def convolve(x: Tensor, name: str, stride: int = 1) -> Tensor:
        weight = weights[f"{name}.weight"]
        if weight.ndim == 4:  # 2-D: over time in the temporal half, over space elsewhere
            weight = weight[..., None] if name.endswith("temporal") else weight[:, :, None]
        padding = [side // 2 for side in weight.shape[2:]]
        groups = x.shape[1] // weight.shape[1]
        return F.conv3d(x, weight, weights[f"{name}.bias"], (1, stride, stride), padding, groups=groups)

    def layer(x: Tensor, name: str, skip: Tensor) -> Tensor:
        y = F.relu6(convolve(x, f"{name}.expand"))
        for part in ["volume"] if convolution == "3d" else ["spatial", "temporal"]:
            y = F.relu6(convolve(y, f"{name}.{part}"))
        return skip + weights[f"{name}.scale"] * convolve(y, f"{name}.project")

    x = F.relu6(convolve(clip, "stem", stride=2))
    x = layer(x, "blocks.0.0", skip=x)
    x = layer(x, "blocks.1.0", skip=convolve(x, "blocks.1.0.skip.project"))
    assert_same(network.forward_features(clip), x)
    pooled = F.relu6(convolve(x, "head.project")).mean((2, 3, 4))
    hidden = F.relu(F.linear(pooled, weights["head.hidden.weight"], weights["head.hidden.bias"]))
    assert_same(network(clip), F.linear(hidden, weights["head.classifier.weight"], weights["head.classifier.bias"]))


@torch.inference_mode()
def test_batch_norm_is_keras() -> None:
    convolution = ConvNormAct(2, 2, spec_with())
    nn.init.dirac_(convolution.weight)
    x = torch.randn(4, 2, 5, 5) * 3 + 1
    assert_same(convolution(x), (x - x.mean((0, 2, 3), True)) / (x.var((0, 2, 3), False, keepdim=True) + 1e-3).sqrt())
    norm = convolution.norm
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, 0.01 * x.mean((0, 2, 3)))  # momentum 0.99 as Keras counts


def dropping_layer(drop_rate: float) -> tuple[Bottleneck, Tensor]:
    torch.manual_seed(1)
    described = LayerSpec(6, (1, 3, 3), squeeze_excitation=False)
    place = LayerPlace("blocks.0.0", 0, described, 1, 4, 4, (8, 8), 0)
    layer = Bottleneck(place, 1, spec_with(norm="folded", rezero=False, stochastic_depth=drop_rate))
    for parameter in layer.parameters():
        nn.init.normal_(parameter)
    return layer, torch.randn(1, 4, 2, 2)


@torch.inference_mode()
def test_stochastic_depth_keeps_the_mean_and_drops_whole_streams() -> None:
    layer, image = dropping_layer(0.25)
    streams, frames = 2000, 2
    images = image.expand(streams * frames, -1, -1, -1)
    context = StepContext.whole_clip(streams, frames, image.device)
    branch = layer.eval()(images, context, None, None)[0] - images
    dropped = (layer.train()(images, context, None, None)[0] - images).unflatten(0, (streams, frames))
    gone = (dropped == 0).flatten(1).all(1)
    assert_same(dropped[~gone], branch.unflatten(0, (streams, frames))[~gone] / 0.75)
    assert 0.2 < gone.float().mean() < 0.3  # five deviations around 0.25


def test_stochastic_depth_grows_with_depth() -> None:
    layer = LayerSpec(8, (1, 3, 3))
    network = MoViNet(
        spec_with(blocks=(BlockSpec(8, (layer, layer)), BlockSpec(8, (layer, layer))), stochastic_depth=0.2)
    )
    rates = [part.drop_rate for part in network.modules() if isinstance(part, Bottleneck)]
    assert rates == pytest.approx([0.05, 0.1, 0.15, 0.2])


@given(network_specs(rezero=True))
@settings(max_examples=15, deadline=None)
@torch.inference_mode()
def test_fresh_weights(spec: NetworkSpec) -> None:
    """Finite, no branch heard (ReZero begins at zero), and a cautious classifier."""
    network = MoViNet(spec).eval()
    assert all(parameter.isfinite().all() for parameter in network.parameters())
    assert all(part.scale == 0 for part in network.modules() if isinstance(part, Bottleneck))
    assert network.head.classifier.weight.abs().max() < 0.06
    assert not network.head.classifier.bias.any()


def test_kernels_are_he_normal_cut_at_two_deviations() -> None:
    network = MoViNet(spec_with(stem=200, blocks=(BlockSpec(200, (LayerSpec(304, (1, 3, 3)),), stride=1),)))
    layer = network.blocks[0][0]
    assert isinstance(layer, Bottleneck)
    weight = layer.expand.weight
    assert weight.std().item() == pytest.approx((2 / 200) ** 0.5, rel=0.02)
    assert weight.abs().max().item() == pytest.approx(2 * (2 / 200) ** 0.5 / 0.8796, rel=0.01)
