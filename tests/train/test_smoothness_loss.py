"""The smoothing loss against its definition, by its properties, and doing what it says on rotations."""

from itertools import permutations
from math import factorial, log
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from movinet.errors import MovinetError
from movinet.train.smoothness_loss import _energy_forms, normalized, order_energies, smoothness_loss

SEEDS = st.integers(0, 2**31)


def random_walks(seed: int, clips: int = 2, frames: int = 7, channels: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(clips, frames, channels, generator=generator).cumsum(1).cumsum(1)


def by_definition(embeddings: Tensor, window: int, velocity: float) -> float:
    z = embeddings.double().numpy()
    z = (z - z.mean((0, 1))) / np.sqrt(z.var((0, 1)) + 1e-5)
    losses = []
    for clip in z:
        for begin in range(len(clip) - window + 1):
            frames = clip[begin : begin + window]

            def density(order: tuple[int, ...], frames: np.ndarray = frames) -> float:
                a = np.diff(frames[list(order)], n=2, axis=0)
                return np.exp(-0.5 * np.square(a).mean(1).sum())

            orders = [(0, *rest) for rest in permutations(range(1, window))]
            v = np.diff(frames, axis=0)
            surprise = -np.log(density(tuple(range(window))) / sum(map(density, orders)))
            losses.append(surprise + velocity * 0.5 * np.square(v).mean(1).sum())
    return float(np.mean(losses))


@given(SEEDS, st.integers(3, 6), st.sampled_from([0.0, 0.5]))
@settings(max_examples=10)
def test_it_is_what_the_definition_says(seed: int, window: int, velocity: float) -> None:
    z = random_walks(seed)
    assert smoothness_loss(z, window, velocity).item() == pytest.approx(by_definition(z, window, velocity), rel=1e-4)


@pytest.mark.parametrize("frames", [3, 4, 5])
def test_of_all_orders_the_smooth_one_costs_least(frames: int) -> None:
    direction = torch.randn(1, 1, 6)
    path = torch.arange(frames)[None, :, None] * direction + torch.randn(1, 1, 6)
    losses = {order: smoothness_loss(path[:, list(order)], frames).item() for order in permutations(range(frames))}
    forwards = tuple(range(frames))
    backwards = losses.pop(forwards[::-1])
    least = losses.pop(forwards)
    assert backwards == pytest.approx(least, rel=1e-4), "it does not know which way time runs"
    assert min(losses.values()) > least + 0.01


def test_standing_still_is_no_way_out() -> None:
    still = torch.randn(3, 1, 6).expand(3, 5, 6)
    moving = still + torch.arange(5)[None, :, None] * torch.randn(3, 1, 6)
    everywhere_the_same = torch.ones(3, 5, 6)
    for constant in (still, everywhere_the_same):
        assert smoothness_loss(constant, 5).item() == pytest.approx(log(factorial(4)), rel=1e-4)
    assert smoothness_loss(moving, 5) < log(factorial(4)) - 1


@given(SEEDS, st.floats(0.1, 1000), st.floats(-10, 10))
@settings(max_examples=20)
def test_the_scale_of_channels_does_not_matter(seed: int, scale: float, shift: float) -> None:
    z = random_walks(seed)
    scales = scale * torch.linspace(1, 2, z.shape[2])
    torch.testing.assert_close(smoothness_loss(scales * z + shift), smoothness_loss(z), rtol=2e-3, atol=2e-3)


def test_nor_does_the_number_of_channels() -> None:
    z = random_walks(0)
    torch.testing.assert_close(smoothness_loss(z.repeat(1, 1, 50)), smoothness_loss(z))


@given(SEEDS, st.integers(3, 7))
@settings(max_examples=20)
def test_the_first_energy_is_that_of_the_order_as_it_is(seed: int, frames: int) -> None:
    z = random_walks(seed, frames=frames).double()
    energies = order_energies(z)
    assert energies.shape == (2, factorial(z.shape[1] - 1))
    torch.testing.assert_close(energies[:, 0], z.diff(dim=1).diff(dim=1).square().sum((1, 2)))


def test_gradients_reach_every_frame() -> None:
    z = random_walks(1).requires_grad_()
    smoothness_loss(z).backward()
    assert z.grad is not None
    assert z.grad.isfinite().all()
    assert z.grad.abs().sum(-1).min() > 0


def test_an_evaluation_first_is_no_trouble() -> None:
    _energy_forms.cache_clear()
    with torch.inference_mode():
        smoothness_loss(random_walks(1))
    walks = random_walks(1).requires_grad_()
    smoothness_loss(walks).backward()
    assert walks.grad is not None
    assert walks.grad.abs().sum() > 0


def test_constant_channels_do_no_harm() -> None:
    z = random_walks(2)
    z[..., 0] = 0.3
    z.requires_grad_()
    smoothness_loss(z).backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("frames", [1, 2, 3, 4])
def test_short_clips_are_no_trouble(frames: int) -> None:
    z = random_walks(3, frames=frames).requires_grad_()
    loss = smoothness_loss(z, window=6)
    loss.backward()
    if frames < 3:
        assert loss == 0
        assert not z.grad.any()
    else:
        torch.testing.assert_close(loss, smoothness_loss(z, window=frames))


def test_half_precision_loses_nothing_further() -> None:
    z = random_walks(4).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = smoothness_loss(z)
    torch.testing.assert_close(found, smoothness_loss(z.float()))


@pytest.mark.parametrize("window", [2, 8])
def test_impossible_windows_are_refused(window: int) -> None:
    with pytest.raises(MovinetError, match=f"orders of 3 to 7 frames, not {window}"):
        smoothness_loss(torch.rand(1, 9, 2), window)


def _half(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    z = random_walks(5, clips=4)[2 * rank : 2 * rank + 2].clone().requires_grad_()
    loss = smoothness_loss(z)
    loss.backward()
    torch.save((loss.detach(), z.grad), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    mp.spawn(_half, (str(tmp_path),), nprocs=2)
    halves = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    z = random_walks(5, clips=4).requires_grad_()
    loss = smoothness_loss(z)
    loss.backward()
    torch.testing.assert_close(torch.stack([half[0] for half in halves]).mean(), loss.detach())
    torch.testing.assert_close(torch.cat([half[1] for half in halves]) / 2, z.grad)


def turning_bodies(clips: int, frames: int, generator: torch.Generator) -> Tensor:
    """Five points on a body that yaws, pitches or rolls, from any side and at any speed: (clips, frames, 10).

    Seen in parallel projection. It may start turned in any way, so a single frame says nothing of how it turns.
    """
    body = torch.randn(5, 3, generator=torch.Generator().manual_seed(5))
    axes = torch.zeros(3, 3, 3)
    for axis, (i, j) in enumerate(((1, 2), (2, 0), (0, 1))):
        axes[axis, i, j], axes[axis, j, i] = -1, 1
    axis = axes[torch.randint(3, (clips,), generator=generator)]
    start = torch.linalg.qr(torch.randn(clips, 3, 3, generator=generator))[0]
    speed = 0.35 + 0.3 * torch.rand(clips, generator=generator)  # radians a frame
    angles = speed[:, None] * torch.arange(frames)
    turned = torch.linalg.matrix_exp(angles[..., None, None] * axis[:, None]) @ start[:, None] @ body.T
    return turned[:, :, :2].flatten(2)


def test_embeddings_of_turning_bodies_become_paths() -> None:
    generator = torch.Generator().manual_seed(0)
    waves, phases = torch.randn(10, 128, generator=generator), 6.28 * torch.rand(128, generator=generator)
    embed = nn.Sequential(nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 16))
    optimizer = torch.optim.Adam(embed.parameters(), 3e-3)

    def embeddings(clips: int) -> Tensor:
        return embed(torch.cos(turning_bodies(clips, 8, generator) @ waves + phases))  # jumpy on purpose

    @torch.no_grad()
    def share_in_order() -> float:
        windows = normalized(embeddings(200)).unfold(1, 5, 1).mT
        return (order_energies(windows).argmin(-1) == 0).float().mean().item()

    before = share_in_order()
    for _ in range(100):
        optimizer.zero_grad()
        smoothness_loss(embeddings(16), 5).backward()
        optimizer.step()
    assert before < 0.85
    assert share_in_order() > 0.95
