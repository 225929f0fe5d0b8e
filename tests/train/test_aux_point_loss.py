"""Features are read off the right layer at the right time, and what a point teaches reaches the network."""

import copy

import pytest
import torch
from tiny import tiny_spec
from torch import Tensor, nn

from movinet.arch.zoo import network_spec
from movinet.errors import MovinetError
from movinet.nn.movinet import MoViNet
from movinet.nn.state import detach_state
from movinet.train.aux_point_loss import AuxPointLoss, Tap

SIZE = (24, 32)


def clip(batch: int = 2, frames: int = 4) -> Tensor:
    return torch.rand(batch, 3, frames, *SIZE)


def awake(spec=None) -> MoViNet:
    model = MoViNet(spec or tiny_spec())
    for name, parameter in model.named_parameters():
        if name.endswith(".scale"):
            nn.init.constant_(parameter, 0.5)
    return model


def test_a_tap_gives_what_the_layer_gave_once() -> None:
    model = awake()
    tap, head = Tap(model.blocks[1][0]), Tap(model.head.project)
    model(clip())
    images = tap.take()
    assert images.shape == (8, 8, 3, 4)
    torch.testing.assert_close(head.frame_means(2), model.head.project(images).mean((2, 3)).unflatten(0, (2, 4)))
    head.take()
    with pytest.raises(RuntimeError, match="nothing to take"):
        tap.take()
    tap.remove()
    model(clip())
    with pytest.raises(RuntimeError, match="nothing to take"):
        tap.take()


def test_evaluation_leaves_nothing_behind() -> None:
    model = awake()
    tap = Tap(model.stem)
    with torch.inference_mode():
        model(clip())
    with pytest.raises(RuntimeError, match="nothing to take"):
        tap.take()
    copy.deepcopy(model)


@pytest.mark.parametrize(("name", "size"), [("movinet_a0_stream", (64, 80)), ("movinet_t0_stream", (49, 67))])
def test_readers_fit_every_layer(name: str, size: tuple[int, int]) -> None:
    spec = network_spec(name)
    model = MoViNet(spec)
    layers = [f"blocks.{b}.{n}" for b, block in enumerate(spec.blocks) for n in range(len(block.layers))]
    readers = AuxPointLoss(model, layers, size)
    model(torch.rand(1, 3, 2, *size))
    assert readers.loss(torch.rand(1, 2, 2)).isfinite()


def test_the_loss_is_the_scripts_but_for_the_first_motion() -> None:
    model = awake()
    readers = AuxPointLoss(model, ["blocks.0.0"], SIZE)
    images = Tap(model.blocks[0][0])
    model(clip())
    track = torch.rand(2, 4, 2)
    track[0, 2] = torch.tensor([1.7, -0.9])
    found = readers.read[0](images.take().flatten(1)).unflatten(0, (2, 4))
    total = 0.0
    for b in range(2):
        for t in range(4):
            x = track[b, t]
            wanted = [*(x.clamp(-0.2, 1.2) - 0.5)]
            if t:
                wanted += [*(5 * (x - track[b, t - 1]).clamp(-0.3, 0.3))]
            for value, target in zip(found[b, t], wanted, strict=False):
                error = abs(value - target)
                total += error**2 / 0.2 if error < 0.1 else error - 0.05
    torch.testing.assert_close(readers.loss(track), total / found.numel())


def test_unknown_points_teach_nothing_but_keep_every_parameter_in_the_graph() -> None:
    model = awake()
    readers = AuxPointLoss(model, ["blocks.0.0", "blocks.1.0"], SIZE)
    model(clip())
    loss = readers.loss(torch.full((2, 4, 2), torch.nan))
    loss.backward()
    assert loss == 0
    assert all(p.grad is not None and not p.grad.any() for p in readers.parameters())
    assert not model.stem.weight.grad.any()
    model(clip())
    track = torch.rand(2, 4, 2)
    track[1] = torch.nan
    readers.loss(track).backward()
    assert model.stem.weight.grad.isfinite().all()
    assert model.stem.weight.grad.any()


def test_it_is_registered_once_and_apart() -> None:
    model = awake()
    readers = AuxPointLoss(model, ["blocks.0.0"], SIZE)
    assert {name for name, _ in readers.named_parameters()} == {"read.0.weight", "read.0.bias"}
    both = nn.ModuleDict({"model": model, "readers": readers})
    assert len(list(both.parameters())) == len(list(model.parameters())) + 2


def test_sub_clips_each_have_their_own_features() -> None:
    model = awake()
    readers = AuxPointLoss(model, ["blocks.1.0"], SIZE)
    whole, track, state, gradients = clip(frames=9), torch.rand(2, 9, 2), None, []
    for frames, points in zip(whole.split(4, dim=2), track.split(4, dim=1), strict=True):
        _, state = model.step(frames, state)
        readers.loss(points).backward()
        state = detach_state(state)
        gradients.append(model.stem.weight.grad.clone())
    assert len(gradients) == 3
    assert not torch.equal(gradients[1], gradients[2])


@pytest.mark.slow
def test_a_network_learns_to_follow_a_point() -> None:
    model = awake()
    readers = AuxPointLoss(model, ["blocks.1.0"], SIZE)
    optimizer = torch.optim.Adam([*model.parameters(), *readers.parameters()], 0.01)
    losses = []
    for _ in range(100):
        start, step = 0.3 + 0.4 * torch.rand(8, 1, 2), 0.2 * torch.rand(8, 1, 2) - 0.1
        track = start + step * torch.arange(4)[None, :, None]
        pixels = torch.stack(torch.meshgrid(torch.linspace(0, 1, 32), torch.linspace(0, 1, 24), indexing="xy"), -1)
        near = (track[:, :, None, None] - pixels).square().sum(-1)
        video = torch.exp(-near / 0.005)[:, None].expand(-1, 3, -1, -1, -1)
        optimizer.zero_grad()
        model(video)
        loss = readers.loss(track)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.3 * sum(losses[:5])


@pytest.mark.parametrize("name", ["blocks.9.0", "head.project", ""])
def test_unknown_layers_are_named(name: str) -> None:
    with pytest.raises(MovinetError, match=r"there are blocks\.0\.0, blocks\.1\.0"):
        AuxPointLoss(MoViNet(tiny_spec()), [name], SIZE)
