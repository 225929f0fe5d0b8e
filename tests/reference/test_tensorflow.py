"""Every network answers as the official TensorFlow code does, for the same weights and clip; no TensorFlow needed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from reference.cases import CASES, expected, variables
from reference.seeded import SUFFIX, fingerprint, seeded_array, seeded_clip

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.nn.convert import model_of
from movinet.nn.movinet import MoViNet
from movinet.nn.state import State
from movinet.weights.tensorflow import from_tensorflow, tensorflow_variables

# Theirs → ours. Their causal "3d" pool is cumulative too.
SQUEEZE_EXCITATION = {("3d", False): "global", ("3d", True): "cumulative", ("2plus3d", True): "cumulative_frame"}
GATE = {"sigmoid": "sigmoid", "hard_sigmoid": "hard_sigmoid_garden", "keras_hard_sigmoid": "hard_sigmoid_keras"}


def specification(case: dict[str, Any]) -> NetworkSpec:
    causal = case["causal"]
    published = network_spec(f"movinet_{case['model_id']}_{'stream' if causal else 'base'}")
    assert isinstance(published, NetworkSpec)
    return published.with_options(
        num_classes=case["classes"],
        convolution="3d" if case["conv_type"] == "3d" else "2plus1d",
        squeeze_excitation=SQUEEZE_EXCITATION.get((case["se_type"], causal), "none"),
        activation=case["activation"],
        gate=GATE[case["gating_activation"]],
        head_activation=case["classifier_activation"],
        positional_encoding=case["use_positional_encoding"],
        position_limit=None,
    )


def network(case: dict[str, Any]) -> MoViNet:
    spec = specification(case)
    checkpoint = {key + SUFFIX: seeded_array(key, shape) for key, shape in variables(case["network"]).items()}
    model = model_of(spec, from_tensorflow(checkpoint, spec, case["conv_type"]))
    assert isinstance(model, MoViNet)
    return model


@dataclass(frozen=True)
class Setting:
    """A case made ready, once for all tests of it."""

    case: dict[str, Any]
    model: MoViNet
    clip: torch.Tensor
    expected: dict[str, NDArray[np.float32]]


@pytest.fixture(scope="module", params=CASES)
def setting(request: pytest.FixtureRequest) -> Setting:
    name: str = request.param
    case = CASES[name]
    clip = torch.from_numpy(seeded_clip(name, (*case["clip"], 3))).permute(0, 4, 1, 2, 3)
    return Setting(case, network(case), clip, expected(name))


def assert_same(ours: torch.Tensor, theirs: NDArray[np.float32]) -> None:
    assert ours.shape == theirs.shape
    difference = np.abs(ours.numpy() - theirs).max()
    assert difference <= 1e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("name", [name for name in CASES if name.count("_") == 1])
def test_published_cases_are_the_published_networks(name: str) -> None:
    published, tested = network_spec(f"movinet_{name}"), specification(CASES[name])
    assert isinstance(published, NetworkSpec)
    # The gate alone differs, since the official code has changed its own after training.
    assert tested == published.with_options(num_classes=tested.num_classes, gate=tested.gate)


def test_names_and_shapes_are_those_of_the_official_checkpoint(setting: Setting) -> None:
    ours = tensorflow_variables(setting.model.spec, setting.case["conv_type"]).values()
    assert {v.key.removesuffix(SUFFIX): v.shape for v in ours} == variables(setting.case["network"])


@torch.inference_mode()
def test_clip(setting: Setting) -> None:
    """Every layer's output, for finding where a difference starts, and the logits."""
    ours: dict[str, float] = {}

    def keep(name: str) -> Callable[..., None]:
        def hook(_module: object, _inputs: object, output: torch.Tensor | tuple[torch.Tensor, ...]) -> None:
            images = output[0] if isinstance(output, tuple) else output  # (B·T, C, h, w)
            frames = images.unflatten(0, (setting.clip.shape[0], -1)).movedim(2, -1)
            ours[name] = fingerprint(name, frames.contiguous().numpy())

        return hook

    layers = {
        f"block{b}_layer{n}": layer for b, block in enumerate(setting.model.blocks) for n, layer in enumerate(block)
    }
    hooks = [layer.register_forward_hook(keep(name)) for name, layer in {"stem": setting.model.stem, **layers}.items()]
    logits = setting.model(setting.clip)
    for hook in hooks:
        hook.remove()

    theirs = {name: value for name, value in setting.case["outputs"].items() if name != "head"}
    assert ours == pytest.approx(theirs, rel=1e-5, abs=1e-4)
    assert_same(logits, setting.expected["logits"])


@torch.inference_mode()
def test_stream(setting: Setting) -> None:
    """Frame by frame, what is left in the head's pool, and in another cut."""
    if not setting.case["causal"]:
        with pytest.raises(ValueError, match="base network"):
            setting.model.step(setting.clip)
        return
    logits, state = [], None
    for frame in setting.clip.split(1, dim=2):
        answer, state = setting.model.step(frame, state)
        logits.append(answer)
    assert_same(torch.stack(logits), setting.expected["frame_logits"])
    assert state is not None
    assert_same(pooled_sum(state, "head.pool"), setting.expected["pool_buffer"])
    assert fingerprints(state) == pytest.approx(setting.case["states"], rel=1e-5, abs=1e-4)

    state = None
    for part in setting.clip.split(setting.case["cuts"], dim=2):
        answer, state = setting.model.step(part, state)
    assert_same(answer, setting.expected["cut_logits"])


def pooled_sum(state: State, key: str) -> torch.Tensor:
    return (state[key] * state["pool_weight"][:, None])[:, None, None, None]


def fingerprints(state: State) -> dict[str, float]:
    """Our state under their names and in their layout: sums instead of means, channels last."""
    theirs = {}
    for key, value in state.items():
        match key.split("."):
            case "head", "pool":
                name, array = "state_head_pool_buffer", pooled_sum(state, key)
            case "blocks", b, n, "pool":
                name, array = f"state_block{b}_layer{n}_pool_buffer", pooled_sum(state, key)
            case "blocks", b, n, "buffer":
                name, array = f"state_block{b}_layer{n}_stream_buffer", value.movedim(1, -1)
            case _:
                continue
        theirs[name] = fingerprint(name, array.contiguous().numpy())
    return theirs
