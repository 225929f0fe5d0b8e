"""One network, one computation: a clip is a stream that happens to be finished."""

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from arch.specs import SIZES, network_specs
from hypothesis import given, settings
from hypothesis import strategies as st
from nn.networks import CUTS, SEEDS, assert_identical, assert_same, assert_same_state, random_frames, random_network
from torch.utils.flop_counter import FlopCounterMode

from movinet import costs
from movinet.arch import count
from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.arch.step import FRAME_COUNT, POOL_WEIGHT
from movinet.arch.zoo import network_names, network_spec
from movinet.nn.ensemble import build
from movinet.nn.movinet import HEAD_POOL, MoViNet
from movinet.nn.state import detach_state, select_streams


def small_spec(**options: object) -> NetworkSpec:
    spec = network_spec("movinet_t0_stream")
    assert isinstance(spec, NetworkSpec)
    layers = LayerSpec(8, (3, 3, 3)), LayerSpec(16, (1, 5, 5)), LayerSpec(8, (5, 3, 3))
    blocks = BlockSpec(6, layers[:2]), BlockSpec(10, layers[2:])
    return spec.with_options(blocks=blocks, stem=4, project=12, hidden=9, num_classes=5, **options)


def small_base_spec(**options: object) -> NetworkSpec:
    base = {"causal": False, "convolution": "3d", "squeeze_excitation": "global", "activation": "swish"}
    return small_spec(**(base | options))


@given(network_specs(causal=True), CUTS, st.integers(1, 2), SIZES, SEEDS)
@settings(max_examples=60, deadline=None)
@torch.inference_mode()
def test_any_cut_gives_the_same_logits(
    spec: NetworkSpec, cuts: list[int], batch: int, size: tuple[int, int], seed: int
) -> None:
    network, frames = random_network(spec, seed), sum(cuts)
    clip = random_frames(batch, frames, size, seed)
    expected, expected_state = network.step(clip, None, per_frame=True)
    assert expected.shape == (batch, frames, spec.num_classes)
    state, end = None, 0
    for piece in clip.split(cuts, dim=2):
        before, end = state, end + piece.shape[2]
        logits, state = network.step(piece, before)
        per_frame, _ = network.step(piece, before, per_frame=True)
        assert_same(per_frame, expected[:, end - piece.shape[2] : end])
        if end:
            assert_same(logits, expected[:, end - 1])
    assert state is not None
    assert_same_state(state, expected_state)
    if frames:
        assert_same(network(clip), expected[:, -1])
        assert_same(network(clip, per_frame=True), expected)


@given(network_specs(causal=True), st.integers(1, 5), SEEDS)
@settings(max_examples=30, deadline=None)
@torch.inference_mode()
def test_later_frames_change_no_earlier_answer(spec: NetworkSpec, keep: int, seed: int) -> None:
    network, clip = random_network(spec, seed), random_frames(1, keep + 2, (11, 8), seed)
    other = clip.clone()
    other[:, :, keep:] = 1 - other[:, :, keep:]
    before, after = network(clip, per_frame=True)[:, :keep], network(other, per_frame=True)[:, :keep]
    assert_same(after, before, tolerance=1e-6)


@given(network_specs(squeeze_excitation="none", positional_encoding=False), st.data(), SEEDS)
@settings(max_examples=25, deadline=None)
@torch.inference_mode()
def test_receptive_field_and_delay(spec: NetworkSpec, data: st.DataObject, seed: int) -> None:
    """Exactly the counted frames reach a feature: a causal network's past, a base network's past and future."""
    spec = spec.with_options(activation="swish")  # nowhere flat, so that nothing is lost on the way
    network = random_network(spec, seed).double()
    reach, delay = count.receptive_field(spec) - 1, costs.delay(spec)
    frames = reach + 3
    changed = data.draw(st.integers(0, frames - 1))
    clip = random_frames(1, frames, (5, 7), seed).double()
    other = clip.clone()
    other[:, :, changed] = 1 - other[:, :, changed]
    assert isinstance(network, MoViNet)
    difference = (network.forward_features(other) - network.forward_features(clip)).abs().amax((0, 1, 3, 4))
    first, last = (changed, changed + reach) if spec.causal else (changed - delay, changed + delay)
    assert difference.nonzero()[:, 0].tolist() == list(range(max(first, 0), min(last, frames - 1) + 1))


@given(network_specs(causal=True, squeeze_excitation="none", positional_encoding=False), st.integers(1, 7), SEEDS)
@settings(max_examples=25, deadline=None)
@torch.inference_mode()
def test_logits_follow_the_decayed_recurrence(spec: NetworkSpec, frames: int, seed: int) -> None:
    network, clip = random_network(spec, seed), random_frames(1, frames, (13, 6), seed)
    assert isinstance(network, MoViNet)
    features = network.forward_features(clip)[0].transpose(0, 1)  # (T, C, h, w)
    logits, state = network.step(clip, None, per_frame=True)
    total, weight = torch.zeros(spec.project, dtype=torch.float64), 0.0
    for t, frame in enumerate(network.head.project(features).double().mean((2, 3))):
        total, weight = state["decay"].item() * total + frame, state["decay"].item() * weight + 1
        assert_same(logits[0, t], network.head((total / weight).float()))
    torch.testing.assert_close(state[HEAD_POOL][0], (total / weight).float())


# Of these every half is odd; elsewhere the zeros beside a strided kernel would be counted as multiplied.
ODD_HALVES = st.tuples(*[st.sampled_from([1, 17, 33])] * 2)


@given(network_specs(), st.integers(1, 4), ODD_HALVES)
@settings(max_examples=40, deadline=None)
@torch.inference_mode()
def test_counts_are_those_of_the_built_network(spec: NetworkSpec, frames: int, size: tuple[int, int]) -> None:
    network = MoViNet(spec).eval()
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == count.parameters(spec)
    parts = {"stem": network.stem, "head": network.head}
    parts |= {f"blocks.{b}.{n}": layer for b, block in enumerate(network.blocks) for n, layer in enumerate(block)}
    for part in count.parts(spec, size):
        assert sum(p.numel() for p in parts[part.name].parameters()) == part.parameters, part.name
    with FlopCounterMode(display=False) as flops:
        clip = torch.zeros(1, 3, frames, *size)
        if spec.causal:  # not of a whole clip, whose temporal kernels have taps of zeros
            network.step(clip, per_frame=True)
        else:
            network(clip)
    # Pooling over time is a matrix product here; multiply-adds are of convolutions and dense layers.
    pooling = flops.get_flop_counts()["Global"].get(torch.ops.aten.bmm, 0)
    assert flops.get_total_flops() - pooling == 2 * count.macs_per_clip(spec, size, frames)
    if spec.causal:
        state = network.init_state(1, size)
        numbers = [value for key, value in state.items() if key.endswith(("buffer", "pool"))]
        assert sum(value.nbytes for value in numbers) == count.state_bytes(spec, size)
        _, after = network.step(torch.zeros(1, 3, frames, *size))
        assert {k: (v.shape, v.dtype) for k, v in after.items()} == {k: (v.shape, v.dtype) for k, v in state.items()}


@pytest.mark.parametrize("name", [name for name in network_names() if "a6" not in name])
def test_published_networks_have_the_counted_parameters(name: str) -> None:
    spec = network_spec(name)
    with torch.device("meta"):
        network = build(spec)
    assert sum(p.numel() for p in network.parameters()) == count.parameters(spec)


@pytest.mark.parametrize("frames", [1, 4])
@torch.inference_mode()
def test_step_changes_nothing_it_was_given(frames: int) -> None:
    network = random_network(small_spec(), 0)
    clip = random_frames(2, frames, (32, 20), 1)
    _, state = network.step(clip)
    copies = {key: value.clone() for key, value in state.items()}, clip.clone()
    first, _ = network.step(clip, state)
    again, _ = network.step(clip, state)
    assert_identical(first, again)
    assert_identical(clip, copies[1])
    for key, value in state.items():
        assert_identical(value, copies[0][key])


@torch.inference_mode()
def test_steps_of_no_frames_change_nothing() -> None:
    network = random_network(small_spec(), 0)
    nothing = torch.rand(2, 3, 0, 32, 20)
    new, fresh = network.step(nothing)
    assert new.isfinite().all()
    for key, value in network.init_state(2, (32, 20)).items():
        assert_identical(fresh[key], value)
    logits, state = network.step(random_frames(2, 3, (32, 20), 1))
    again, same = network.step(nothing, state)
    assert_same(again, logits)
    assert network.step(nothing, state, per_frame=True)[0].shape == (2, 0, 5)
    for key, value in state.items():
        assert_identical(same[key], value)


@torch.inference_mode()
def test_a_stream_of_a_million_frames_still_answers() -> None:
    spec = small_spec(positional_encoding=True)
    network = random_network(spec, 0)
    clip = random_frames(3, 5, (32, 32), 1)
    _, state = network.step(clip)
    old = state | {
        FRAME_COUNT: torch.full((3,), 10**6),
        "decay": torch.tensor([1.0, 0.99, 1e-6]),
        POOL_WEIGHT: torch.tensor([1e6, 100.0, 1.0]),
    }
    logits, after = network.step(clip, old, per_frame=True)
    assert logits.isfinite().all()
    assert after[POOL_WEIGHT].tolist() == pytest.approx([1e6 + 5, 100, 1])
    moved = (after[HEAD_POOL] - old[HEAD_POOL]).abs().amax(1)
    assert moved[0] < 1e-4 < moved[1] < moved[2]


@torch.inference_mode()
def test_positions_stop_at_the_limit() -> None:
    clip = random_frames(1, 2, (32, 32), 0)
    for limit, same in [(7, True), (None, False)]:
        network = random_network(small_spec(positional_encoding=True, position_limit=limit), 0)
        _, state = network.step(clip)
        answers = [network.step(clip, state | {FRAME_COUNT: torch.tensor([age])})[0] for age in (7, 1000)]
        assert torch.equal(*answers) == same


@pytest.mark.parametrize("spec", [small_spec(), small_base_spec()], ids=["stream", "base"])
@torch.inference_mode()
def test_features_embedding_and_classifier(spec: NetworkSpec) -> None:
    network, clip = random_network(spec, 0), random_frames(2, 4, (33, 40), 1)
    assert isinstance(network, MoViNet)
    assert network.forward_features(clip).shape == (2, 10, 4, 5, 5)  # 33 -> 17 -> 9 -> 5
    embedding = network.embed(clip)
    assert embedding.shape == (2, 9)
    assert_same(network.head.classifier(embedding), network(clip))
    network.bfloat16().reset_classifier(3)
    assert network.spec == spec.with_options(num_classes=3)
    assert network(clip.bfloat16()).shape == (2, 3)
    assert network.head.classifier.weight.dtype == torch.bfloat16
    assert count.parameters(network.spec) == sum(p.numel() for p in network.parameters())


@torch.inference_mode()
@pytest.mark.parametrize(
    ("shape", "turned", "hint"),
    [
        ((2, 4, 32, 32, 3), lambda clip: clip.permute(0, 4, 1, 2, 3), "permute(0, 4, 1, 2, 3)"),
        ((2, 4, 3, 32, 32), lambda clip: clip.transpose(1, 2), "transpose(1, 2)"),
        ((2, 3, 32, 32), lambda clip: clip[:, :, None], "clip[:, :, None]"),
        ((4, 3, 32, 32), lambda clip: clip.transpose(0, 1)[None], "clip.transpose(0, 1)[None]"),
        ((3, 4, 32, 32), lambda clip: clip[None], "clip[None]"),
    ],
)
def test_axes_in_another_order_are_told_apart(
    shape: tuple[int, ...], turned: Callable[[torch.Tensor], torch.Tensor], hint: str
) -> None:
    network = MoViNet(small_spec())
    with pytest.raises(ValueError, match=re.escape(hint)):
        network(torch.rand(shape))
    network(turned(torch.rand(shape)))
    with pytest.raises(ValueError, match="must be a tensor, not ndarray"):
        network(np.zeros(shape, np.float32))


@torch.inference_mode()
def test_wrong_input_is_refused_with_a_reason() -> None:
    stream, base = MoViNet(small_spec()), MoViNet(small_base_spec())
    clip = torch.rand(2, 3, 4, 32, 32)
    for shape in [(3, 4, 32, 32), (2, 4, 3, 32, 32), (2, 3, 4, 0, 32)]:
        for call in (stream, stream.step, stream.embed, stream.forward_features, base):
            with pytest.raises(ValueError, match=r"must have shape \(B, 3, T, H, W\)"):
                call(torch.rand(shape))
    with pytest.raises(ValueError, match="divide uint8 by 255"):
        stream((clip * 255).byte())
    with pytest.raises(ValueError, match=r"frames is torch.float64, but the network is torch.float32"):
        stream.step(clip.double())
    for call in (stream, stream.embed, stream.forward_features, base):
        with pytest.raises(ValueError, match="no frames"):
            call(clip[:, :, :0])
    with pytest.raises(ValueError, match="answers for whole clips"):
        base(clip, per_frame=True)
    for call in (base.step, lambda _: base.init_state(), lambda _: base.step(clip, {})):
        with pytest.raises(ValueError, match="base network and cannot stream"):
            call(clip)
    _, state = stream.step(clip)
    with pytest.raises(ValueError, match="2 streams of 40×32 frames; a stream keeps its frame size"):
        stream.step(torch.rand(2, 3, 1, 40, 32), state)
    with pytest.raises(ValueError, match="is needed for 2 streams"):
        stream.step(clip, select_streams(state, [0]))
    with pytest.raises(ValueError, match=r"no 'blocks\.0\.1\.pool'.* belongs to another network"):
        stream.step(clip, {key: value for key, value in state.items() if key != "blocks.0.1.pool"})


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("autocast", [True, False], ids=["autocast", "weights"])
@torch.inference_mode()
def test_half_precision(dtype: torch.dtype, autocast: bool) -> None:
    network = random_network(small_spec(positional_encoding=True), 0)
    clip = random_frames(2, 6, (32, 32), 1)
    expected = network(clip)
    if not autocast:
        network, clip = network.to(dtype), clip.to(dtype)
    state = None
    with torch.autocast("cpu", dtype=dtype, enabled=autocast):
        for piece in clip.split([3, 0, 1, 2], dim=2):
            logits, state = network.step(piece, state)
    assert logits.dtype == dtype
    assert_same(logits.float(), expected, tolerance=0.05)
    for key, value in state.items():
        assert value.dtype == (torch.int64 if key == FRAME_COUNT else dtype if "buffer" in key else torch.float32), key


@pytest.mark.parametrize(
    "spec",
    [
        small_spec(positional_encoding=True),
        small_spec(convolution="3d", squeeze_excitation="cumulative", norm="folded"),
        small_base_spec(),
        small_base_spec(convolution="2plus1d", rezero=False),
    ],
    ids=["stream", "causal 3d", "base", "base 2plus1d"],
)
def test_gradients_reach_every_parameter(spec: NetworkSpec) -> None:
    network = random_network(spec.with_options(stochastic_depth=0, dropout=0), 0).train()
    logits = network(random_frames(2, 6, (32, 32), 1))
    (logits * torch.randn(logits.shape)).sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.abs().max() > 0, name


def test_recurrent_training_over_pieces() -> None:
    """The past carries gradients until it is detached; then each piece can be learned from by itself."""
    network = random_network(small_spec(), 0)
    clip = random_frames(2, 6, (32, 32), 1)
    whole = torch.autograd.grad(network(clip).square().sum(), list(network.parameters()))
    _, state = network.step(clip[:, :, :4])
    logits, _ = network.step(clip[:, :, 4:], state)
    pieces = torch.autograd.grad(logits.square().sum(), list(network.parameters()))
    for piece, expected in zip(pieces, whole, strict=True):
        assert_same(piece, expected, tolerance=1e-4)

    network.train()
    optimizer = torch.optim.SGD(network.parameters(), 1e-3)
    state = None
    for frames in clip.split(2, dim=2):
        logits, state = network.step(frames, detach_state(state) if state else None)
        logits.square().mean().backward()  # a second backward through the first piece would raise
        optimizer.step()
    assert all(parameter.isfinite().all() for parameter in network.parameters())
