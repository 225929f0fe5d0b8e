"""The super-network runs every network as that network itself would run with its corner of the weights."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from spaces import SPACE, template

from movinet.nn.blocks import Bottleneck
from movinet.nn.movinet import MoViNet
from movinet.search.space import ALL, Point, Space
from movinet.search.supernet import SuperNetwork

FORMS = {
    "stream": template(),
    "stream 3d": template(convolution="3d", squeeze_excitation="cumulative"),
    "base": template(causal=False),
    "base 2+1d": template(causal=False, convolution="2plus1d"),
    "positions": template(positional_encoding=True),
}
CLIP = torch.rand(3, 3, 6, 24, 32, generator=torch.Generator().manual_seed(1))


def points(count: int, seed: int = 0) -> list[Point]:
    return [tuple(row.tolist()) for row in SPACE.random(count, np.random.default_rng(seed))]


def network(form: str) -> SuperNetwork:
    torch.manual_seed(3)
    return SuperNetwork(SPACE, FORMS[form], rezero=0.7)


@pytest.mark.parametrize("form", FORMS)
def test_every_point_is_the_network_it_describes(form: str) -> None:
    shared = network(form)
    for point in points(8):
        spec = SPACE.to_spec(point, FORMS[form])
        alone = shared.extract(point, spec).train()  # so that its norms use the batch too
        torch.testing.assert_close(shared(CLIP, point), alone(CLIP))


def taps(kernels: Sequence[tuple[int, int, int]], causal: bool) -> torch.Tensor:
    """(frames, height, width): the mean of kernels of ones, by hand."""
    largest = [max(sizes) for sizes in zip(*kernels, strict=True)]
    padded = []
    for kernel in kernels:
        gaps = [whole - own for whole, own in zip(largest, kernel, strict=True)]
        before = [gap if axis == 0 and causal else gap // 2 for axis, gap in enumerate(gaps)]
        pads = [p for b, gap in reversed(list(zip(before, gaps, strict=True))) for p in (b, gap - b)]
        padded.append(F.pad(torch.ones(kernel), pads))
    return torch.stack(padded).mean(0)


@pytest.mark.parametrize("form", ["stream 3d", "base"])
def test_open_kernels_are_the_mean_of_all_of_them(form: str) -> None:
    shared = network(form)
    everything = (ALL,) * len(SPACE.decisions)
    skeleton = MoViNet(SPACE.to_spec(everything, FORMS[form]))
    found = shared.weights_of(everything, skeleton)["blocks.0.0.volume.weight"]
    whole = shared.largest.get_parameter("blocks.0.0.volume.weight")
    torch.testing.assert_close(found, whole * taps(SPACE.kernels, FORMS[form].causal))


def test_open_kernels_in_halves() -> None:
    shared, everything = network("stream"), (ALL,) * len(SPACE.decisions)
    found = shared.weights_of(everything, MoViNet(SPACE.to_spec(everything, FORMS["stream"])))
    layer = shared.largest.get_submodule("blocks.0.0")
    assert isinstance(layer, Bottleneck)
    assert layer.spatial is not None
    assert layer.temporal is not None
    space = taps([(1, kernel[1], kernel[2]) for kernel in SPACE.kernels], True)[0]
    torch.testing.assert_close(found["blocks.0.0.spatial.weight"], layer.spatial.weight * space)
    time = taps([(kernel[0], 1, 1) for kernel in SPACE.kernels if kernel[0] > 1], True)[:, :, 0]
    torch.testing.assert_close(found["blocks.0.0.temporal.weight"], layer.temporal.weight * time)


def test_causal_kernels_share_the_latest_taps_and_the_center() -> None:
    shared = network("stream")
    place = SPACE.places["blocks.0.0.kernel"]
    point = list(points(1)[0])
    point[place] = SPACE.kernels.index((3, 3, 3))
    spec = SPACE.to_spec(point, FORMS["stream"])
    found = shared.weights_of(tuple(point), MoViNet(spec))["blocks.0.0.temporal.weight"]
    whole = shared.largest.get_parameter("blocks.0.0.temporal.weight")
    torch.testing.assert_close(found, whole[: len(found), :, 2:])
    point[place] = SPACE.kernels.index((5, 1, 1))
    found = shared.weights_of(tuple(point), MoViNet(SPACE.to_spec(point, FORMS["stream"])))["blocks.0.0.spatial.weight"]
    torch.testing.assert_close(
        found, shared.largest.get_parameter("blocks.0.0.spatial.weight")[: len(found), :, 1:2, 1:2]
    )


@pytest.mark.parametrize("form", FORMS)
def test_gradients_reach_only_what_was_used(form: str) -> None:
    shared, point = network(form), list(points(1, seed=2)[0])
    point[SPACE.places["blocks.1.layers"]] = 0  # one layer
    shared(CLIP, tuple(point)).square().sum().backward()
    gradients = {name: p.grad for name, p in shared.named_parameters()}
    assert all(g is None for name, g in gradients.items() if ".blocks.1.1." in name)
    used = SPACE.to_spec(point, FORMS[form]).blocks[1].channels
    whole = gradients["largest.blocks.1.0.project.weight"]
    assert whole is not None
    assert whole[:used].any()
    assert not whole[used:].any()


def test_dropout_is_for_training_alone() -> None:
    shared = SuperNetwork(SPACE, template().with_options(dropout=0.5), 0.5)
    point = points(1)[0]
    assert torch.equal(shared(CLIP, point), shared(CLIP, point))
    assert not torch.equal(shared(CLIP, point, dropout=True), shared(CLIP, point, dropout=True))


def test_blocks_of_one_width_need_no_skip_and_others_do() -> None:
    space = Space((8, 16, 16), 16, (8,), ((1,), (1,)), (2, 1), (1.0, 2.0), (1.0,), ((1, 3, 3),))
    shared = SuperNetwork(space, template(), 0.5)
    assert list(shared.skips) == ["1"]
    for point in space.random(10, np.random.default_rng(0)).tolist():
        spec = space.to_spec(point, template())
        alone = shared.extract(tuple(point), spec).train()
        torch.testing.assert_close(shared(CLIP, tuple(point)), alone(CLIP))
