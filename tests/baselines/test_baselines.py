"""The networks to compare with: as large and as costly as published, and streams where they stream."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from movinet import create_model
from movinet.arch.baseline_spec import BASELINES, BaselineSpec
from movinet.baselines.baseline_cost import multiply_adds
from movinet.baselines.build import build_baseline
from movinet.baselines.mobilenet import Shift, shifted_in_time
from movinet.baselines.published_figures import COUNTED, Published
from movinet.costs import macs_per_clip, parameters, state_bytes
from movinet.errors import MovinetError, SpecError


@pytest.mark.parametrize("published", COUNTED, ids=lambda p: f"{p.network}-{p.data}")
def test_they_are_as_large_and_as_costly_as_published(published: Published) -> None:
    spec = BASELINES[published.network]
    assert published.parameters is not None
    assert published.gmacs is not None
    assert parameters(spec) / 1e6 == pytest.approx(published.parameters, rel=0.01)
    cost = macs_per_clip(spec)
    if published.source.startswith("mmaction2"):  # whose count has two for every number that is normalized
        cost += normalization(spec)
    assert cost / 1e9 == pytest.approx(published.gmacs, rel=0.01)


def normalization(spec: BaselineSpec) -> int:
    total = 0

    def count(module: nn.Module, inputs: object, output: Tensor) -> None:
        nonlocal total
        total += 2 * output.numel()

    with torch.device("meta"):
        model = build_baseline(spec).eval()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.register_forward_hook(count)
        model(torch.empty(1, 3, spec.frames, *spec.size))
    return total


@pytest.mark.parametrize(("version", "count", "cost"), [("v2", 3_504_872, 300.8e6), ("v3", 5_483_032, 216.6e6)])
def test_mobilenets_are_the_papers(version: str, count: int, cost: float) -> None:
    """With ImageNet's 1000 classes, as torchvision counts the same networks."""
    spec = BASELINES[f"tsn_mobilenet_{version}"].with_options(num_classes=1000)
    assert parameters(spec) == count
    assert macs_per_clip(spec, (224, 224), 1) == pytest.approx(cost, rel=0.01)


def test_counting_leaves_the_network_as_it_is() -> None:
    model = build_baseline(BASELINES["tsn_mobilenet_v3"].with_options(num_classes=3)).train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    multiply_adds(model, (2, 64, 64))
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def randomized(model: nn.Module) -> nn.Module:
    """With statistics and scales that make every layer count."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if name.endswith("running_var"):  # small, so that no layer is drowned by what others add
                tensor.copy_(0.01 * torch.rand(tensor.shape, generator=generator) + 0.01)
            elif (tensor.dim() == 1 and tensor.is_floating_point()) or name == "classifier.weight":
                tensor.copy_(torch.randn(tensor.shape, generator=generator))
    return model.eval()


def small_resnet(causal: bool) -> nn.Module:
    torch.manual_seed(0)
    spec = BASELINES["slow_r50_stream"].with_options(num_classes=5, causal=causal, width=8, depth=0.25)
    return randomized(build_baseline(spec))


def online(shift: Shift) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        torch.manual_seed(0)
        spec = BASELINES["tsn_mobilenet_v3"].with_options(num_classes=5, shift=shift, causal=shift != "both")
        return randomized(build_baseline(spec))

    return make


@pytest.mark.parametrize("make", [lambda: small_resnet(True), online("past"), online("none")])
@pytest.mark.parametrize("cuts", [(1, 1, 1, 1, 1, 1), (6,), (1, 5), (3, 1, 2)])
@torch.inference_mode()
def test_cutting_a_stream_anywhere_changes_nothing(make: Callable[[], nn.Module], cuts: tuple[int, ...]) -> None:
    model = make()
    clip = torch.rand(2, 3, 6, 40, 48, generator=torch.Generator().manual_seed(1))
    clip *= torch.tensor([0.1, 3, 0.2, 0.5, 2, 4])[:, None, None]
    expected = model(clip)
    state: dict[str, Tensor] | None = None
    for frames in clip.split(cuts, dim=2):
        logits, state = model.step(frames, state)  # type: ignore[operator]
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    assert state is not None
    assert all(len(tensor) == 2 for tensor in state.values()), "the stream is the first axis"
    assert state["frames_seen"].tolist() == [6, 6]
    assert state_bytes(model.spec, (40, 48)) == 4 * sum(tensor[0].numel() for tensor in state.values())  # type: ignore[arg-type]
    order_matters = not torch.allclose(model(clip.flip(2)), expected, rtol=1e-4, atol=1e-4)
    assert order_matters == (getattr(model, "shift", "past") != "none")


@torch.inference_mode()
def test_a_causal_network_does_not_see_the_future_and_others_cannot_stream() -> None:
    clip = torch.rand(1, 3, 6, 40, 40)
    for model in (small_resnet(False), online("both")()):
        with pytest.raises(MovinetError, match="future"):
            model.step(clip)  # type: ignore[operator]
    causal, base = small_resnet(True), small_resnet(False)
    causal.load_state_dict(base.state_dict())
    assert not torch.allclose(causal(clip), base(clip), atol=1e-4)


def test_channels_are_shifted_by_one_frame() -> None:
    images = torch.arange(3.0)[None, :, None, None, None].expand(1, 3, 16, 1, 1) + 1
    both, buffer = shifted_in_time(images, None, both=True)
    assert both[0, :, 0, 0, 0].tolist() == [0, 1, 2]
    assert both[0, :, 2, 0, 0].tolist() == [2, 3, 0]
    assert both[0, :, 4, 0, 0].tolist() == [1, 2, 3]
    past, _ = shifted_in_time(images, buffer, both=False)
    assert past[0, :, 1, 0, 0].tolist() == [3, 1, 2]
    assert past[0, :, 2, 0, 0].tolist() == [1, 2, 3]


@pytest.mark.parametrize("name", ["x3d_xs", "slow_r50_4x16", "slowfast_r50_4x16", "tsm_mobilenet_v3"])
def test_they_train_with_any_number_of_classes(name: str) -> None:
    torch.manual_seed(0)
    model = create_model(name, num_classes=3)
    clip = torch.rand(2, 3, 8, 32, 32)
    loss = nn.functional.cross_entropy(model(clip), torch.tensor([0, 2]))
    loss.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_a_name_that_is_none_is_told_with_those_near_it() -> None:
    with pytest.raises(SpecError, match="x3d_m"):
        create_model("x3d_md")
