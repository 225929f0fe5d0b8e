"""An ensemble is its members' mean, each at its own size and rate, and streams like one network."""

import pytest
import torch
import torch.nn.functional as F
from arch.specs import SIZES, ensemble_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import CUTS, SEEDS, assert_identical, assert_same, assert_same_state, random_frames, random_network
from torch import Tensor

from movinet.arch import count
from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.arch.zoo import network_spec, temporal_ensemble
from movinet.nn.ensemble import Ensemble, build
from movinet.nn.movinet import MoViNet
from movinet.nn.state import select_streams


def small_pair(**options: object) -> EnsembleSpec:
    """A temporal ensemble of one-block networks."""
    half = network_spec("movinet_t0_stream")
    assert isinstance(half, NetworkSpec)
    half = half.with_options(blocks=half.blocks[:2], size=(32, 32), **options)
    return temporal_ensemble("pair", half, half)


def resized(frame: Tensor, spec: EnsembleSpec, network: NetworkSpec) -> Tensor:
    """One frame (B, 3, 1, H, W) at the member's share of its size."""
    size = [
        max(1, round(side * mine / whole))
        for side, mine, whole in zip(frame.shape[3:], network.size, spec.size, strict=True)
    ]
    if size == list(frame.shape[3:]):
        return frame
    image = frame[:, :, 0]
    if size[1] == 1:  # PyTorch 2.13 makes zeros of results one pixel wide, not of those one pixel high
        turned = F.interpolate(image.mT, (1, size[0]), mode="bilinear", antialias=True)
        return turned.mT[:, :, None]
    return F.interpolate(image, size, mode="bilinear", antialias=True)[:, :, None]


def frame_by_frame(ensemble: Ensemble, clip: Tensor) -> Tensor:
    """The slow reference: every member alone, one frame at a time, its last answer standing until the next."""
    answers: list[Tensor | None] = [None] * len(ensemble.members)
    states = [None] * len(ensemble.members)
    logits = []
    for t in range(clip.shape[2]):
        for i, (member, network) in enumerate(zip(ensemble.spec.members, ensemble.members, strict=True)):
            if member.takes(t):
                frame = resized(clip[:, :, t : t + 1], ensemble.spec, member.network)
                answers[i], states[i] = network.step(frame, states[i])
        standing = [answer for answer in answers if answer is not None]
        silent = clip.new_zeros(clip.shape[0], ensemble.spec.num_classes)
        logits.append(torch.stack(standing).mean(0) if standing else silent)
    return torch.stack(logits, dim=1)


@given(ensemble_specs(causal=True), CUTS, st.integers(1, 2), SIZES, SEEDS)
@settings(max_examples=40, deadline=None)
@torch.inference_mode()
def test_any_cut_gives_the_mean_of_the_members(
    spec: EnsembleSpec, cuts: list[int], batch: int, size: tuple[int, int], seed: int
) -> None:
    ensemble, clip = random_network(spec, seed), random_frames(batch, max(sum(cuts), 1), size, seed)
    assert isinstance(ensemble, Ensemble)
    expected = frame_by_frame(ensemble, clip)
    assert_same(ensemble(clip, per_frame=True), expected)
    assert_same(ensemble(clip), expected[:, -1])
    whole, end, state = ensemble.step(clip[:, :, : sum(cuts)])[1], 0, None
    for frames in cuts:
        before, end = state, end + frames
        piece = clip[:, :, end - frames : end]
        logits, state = ensemble.step(piece, before)
        per_frame, _ = ensemble.step(piece, before, per_frame=True)
        assert_same(per_frame, expected[:, end - frames : end])
        assert_same(logits, expected[:, end - 1] if end else torch.zeros_like(logits))
    assert state is not None
    assert_same_state(state, whole)


@given(ensemble_specs(causal=False), st.integers(3, 8), SIZES, SEEDS)
@settings(max_examples=20, deadline=None)
@torch.inference_mode()
def test_base_members_see_their_frames(spec: EnsembleSpec, frames: int, size: tuple[int, int], seed: int) -> None:
    ensemble, clip = random_network(spec, seed), random_frames(2, frames, size, seed)
    logits = []
    for member, network in zip(spec.members, ensemble.members, strict=True):
        taken = [resized(clip[:, :, t : t + 1], spec, member.network) for t in range(frames) if member.takes(t)]
        logits.append(network(torch.cat(taken, dim=2)))
    assert_same(ensemble(clip), torch.stack(logits).mean(0))


@given(ensemble_specs(), st.integers(0, 9), SIZES)
@settings(max_examples=20, deadline=None)
@torch.inference_mode()
def test_counts(spec: EnsembleSpec, frames: int, size: tuple[int, int]) -> None:
    ensemble = Ensemble(spec)
    assert sum(p.numel() for p in ensemble.parameters()) == count.parameters(spec)
    taken = [sum(member.takes(t) for t in range(frames)) for member in spec.members]
    shares = [spec.member_size(member, size) for member in spec.members]
    assert count.macs_per_clip(spec, size, frames) == sum(
        count.macs_per_clip(member.network, share, n)
        for member, share, n in zip(spec.members, shares, taken, strict=True)
    )
    if spec.causal:
        state = ensemble.init_state(1, size)
        assert sum(v.nbytes for k, v in state.items() if k.endswith(("buffer", "pool"))) == count.state_bytes(
            spec, size
        )
        per_frame = count.macs_per_frame(spec, size)
        assert per_frame == pytest.approx(count.macs_per_clip(spec, size, 1200) / 1200, rel=0.01)


@given(ensemble_specs(causal=True, squeeze_excitation="none", positional_encoding=False))
@settings(max_examples=30, deadline=None)
def test_receptive_field(spec: EnsembleSpec) -> None:
    """The oldest frame any member's convolutions still hold, at the worst moment."""
    widest = 0
    for member in spec.members:
        taken = [t for t in range(300) if member.takes(t)]
        for t in range(150, 200):
            seen = [frame for frame in taken if frame <= t][-count.receptive_field(member.network) :]
            widest = max(widest, t - seen[0] + 1)
    assert count.receptive_field(spec) == widest


@torch.inference_mode()
def test_a_temporal_ensemble_begins_with_its_first_member() -> None:
    ensemble = random_network(small_pair(), 0)
    assert isinstance(ensemble, Ensemble)
    first, second = ensemble.members
    clip = random_frames(1, 3, (32, 32), 1)
    logits = ensemble(clip, per_frame=True)[0]
    even, odd = first(clip[:, :, [0, 2]], per_frame=True)[0], second(clip[:, :, 1:2])[0]
    assert_same(logits, torch.stack([even[0], (even[0] + odd) / 2, (even[1] + odd) / 2]))


@torch.inference_mode()
def test_step_changes_nothing_it_was_given() -> None:
    ensemble, clip = random_network(small_pair(), 0), random_frames(2, 3, (32, 32), 1)
    _, state = ensemble.step(clip)
    copies = {key: value.clone() for key, value in state.items()}
    ensemble.step(clip, state, per_frame=True)
    for key, value in state.items():
        assert_identical(value, copies[key])


@torch.inference_mode()
def test_wrong_input_is_refused_with_a_reason() -> None:
    ensemble = Ensemble(small_pair())
    clip = torch.rand(2, 3, 2, 32, 32)
    for call in (ensemble, ensemble.step):
        with pytest.raises(ValueError, match=r"must have shape \(B, 3, T, H, W\)"):
            call(clip[0])
        with pytest.raises(ValueError, match="divide uint8 by 255"):
            call((clip * 255).byte())
    with pytest.raises(ValueError, match="no frames"):
        ensemble(clip[:, :, :0])
    _, state = ensemble.step(clip)
    with pytest.raises(ValueError, match="not one of 2 streams"):
        ensemble.step(clip, select_streams(state, [0]))
    with pytest.raises(ValueError, match="not one of 2 streams"):
        ensemble.step(clip, {})
    with pytest.raises(ValueError, match=r"nothing under 'members\.1\.'"):
        ensemble.step(clip, {key: value for key, value in state.items() if "members.1" not in key})
    with pytest.raises(ValueError, match="keeps its frame size"):
        ensemble.step(torch.rand(2, 3, 2, 40, 32), state)

    base = Ensemble(small_pair(causal=False, squeeze_excitation="global", convolution="3d"))
    with pytest.raises(ValueError, match="base network and cannot stream"):
        base.step(clip)
    with pytest.raises(ValueError, match="answers for whole clips"):
        base(clip, per_frame=True)


def test_reset_classifier() -> None:
    ensemble = Ensemble(small_pair())
    ensemble.reset_classifier(4)
    assert ensemble.spec == small_pair(num_classes=4)
    assert ensemble(torch.rand(1, 3, 2, 32, 32)).shape == (1, 4)


@pytest.mark.parametrize("autocast", [True, False], ids=["autocast", "weights"])
@torch.inference_mode()
def test_half_precision_at_another_size(autocast: bool) -> None:
    pair = small_pair()
    spec = EnsembleSpec("pair", pair.members, size=(40, 48), fps=5, frames=4)
    ensemble, clip = random_network(spec, 0), random_frames(1, 5, (40, 48), 1)
    expected = ensemble(clip)
    if not autocast:
        ensemble, clip = ensemble.bfloat16(), clip.bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        logits = ensemble(clip)
    assert_same(logits.float(), expected, tolerance=0.05)


def test_gradients_reach_every_member() -> None:
    ensemble = random_network(small_pair(stochastic_depth=0, dropout=0), 0).train()
    ensemble(random_frames(2, 4, (32, 32), 1), per_frame=True).square().sum().backward()
    for name, parameter in ensemble.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_build() -> None:
    assert isinstance(build(small_pair()), Ensemble)
    assert isinstance(build(small_pair().members[0].network), MoViNet)
