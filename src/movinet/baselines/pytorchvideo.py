"""State dicts of PyTorchVideo's X3D, SlowFast and Slow as those of the modules here: a mapping of names.

https://github.com/facebookresearch/pytorchvideo (Apache 2.0), whose model zoo has them trained on Kinetics-400.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from movinet.arch.baseline_spec import BASELINES, BaselineSpec
from movinet.baselines.build import build_baseline
from movinet.baselines.resnet3d import ResNet3D
from movinet.baselines.slowfast import SlowFast
from movinet.baselines.x3d import X3D
from movinet.errors import WeightsError

_FAMILIES = ("x3d", "slowfast", "resnet3d")
_RESNET_BLOCK = (
    (r"branch1_conv", "shortcut.0"),
    (r"branch1_norm", "shortcut.1"),
    (r"branch2\.conv_a", "reduce.conv"),
    (r"branch2\.norm_a", "reduce_norm"),
    (r"branch2\.conv_b", "space"),
    (r"branch2\.norm_b", "space_norm"),
    (r"branch2\.conv_c", "expand"),
    (r"branch2\.norm_c", "expand_norm"),
)
_X3D_BLOCK = (
    (r"branch1_norm", "shortcut.1"),
    (r"branch2\.conv_a", "expand"),
    (r"branch2\.norm_a", "expand_norm"),
    (r"branch2\.conv_b", "depthwise"),
    (r"branch2\.norm_b\.0", "depthwise_norm"),
    (r"branch2\.norm_b\.1\.block\.0", "se.reduce"),
    (r"branch2\.norm_b\.1\.block\.2", "se.expand"),
    (r"branch2\.conv_c", "project"),
    (r"branch2\.norm_c", "project_norm"),
)


def from_pytorchvideo(model: ResNet3D | SlowFast | X3D, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What `load_state_dict` of `model` takes.

    Args:
        model: of the size that the state dict has.
        state: of PyTorchVideo's network of the same name, itself or within what its model zoo serves.

    Raises:
        WeightsError: a name has no counterpart, or a tensor another shape.
    """
    wanted, found = model.state_dict(), {}
    for name, tensor in state.items():
        ours = _renamed(model, name)
        if ours not in wanted or wanted[ours].shape != tensor.shape:
            shape = tuple(tensor.shape)
            raise WeightsError(f"{name} {shape} is not one of this {type(model).__name__}'s: is it another size of it?")
        found[ours] = tensor
    if missing := sorted(wanted.keys() - found.keys()):
        raise WeightsError(f"the state dict lacks what would be {missing[0]}, and {len(missing) - 1} more")
    return found


def is_pytorchvideo(loaded: Any) -> bool:
    """Whether what a file of PyTorch's held is a state dict of that project, itself or as its model zoo serves it."""
    return _state_of(loaded) is not None


def read_pytorchvideo(
    loaded: Any, called: str, spec: BaselineSpec | None = None
) -> tuple[dict[str, NDArray[np.float32]], BaselineSpec]:
    """Arrays under our names, and the network they are of.

    Args:
        loaded: what the file held, see `is_pytorchvideo`.
        called: the file's name, which tells networks apart that have the same shapes: X3D-XS, S and M.
        spec: the network, where it is known.

    Raises:
        WeightsError: it is none of ours, or one of several.
    """
    state = _state_of(loaded)
    assert state is not None
    classes = next((len(value) for name, value in state.items() if name.endswith("proj.bias")), 400)
    fitting = []
    for known in (spec,) if spec else BASELINES.values():
        if known.family in _FAMILIES and not (known.causal and not spec):
            candidate = known.with_options(num_classes=classes)
            with torch.device("meta"):
                model = build_baseline(candidate)
            assert isinstance(model, ResNet3D | SlowFast | X3D)
            try:
                fitting.append((candidate, from_pytorchvideo(model, state)))
            except WeightsError:
                if spec:
                    raise
    named = [pair for pair in fitting if pair[0].name in called.lower()] or fitting
    if not named:
        raise WeightsError("a state dict of PyTorchVideo, but none of the networks known here (X3D, SlowFast, Slow)")
    if len(named) > 1:
        names = ", ".join(candidate.name for candidate, _ in named)
        raise WeightsError(f"the weights fit {names} alike: put the right one of these names into the file's name")
    ((found, arrays),) = named
    counts = "num_batches_tracked"
    return {name: np.array(a.float().numpy()) for name, a in arrays.items() if not name.endswith(counts)}, found


def _state_of(loaded: Any) -> Mapping[str, Tensor] | None:
    for state in (loaded, loaded.get("model_state")) if isinstance(loaded, Mapping) else ():
        if not isinstance(state, Mapping) or not all(isinstance(name, str) for name in state):
            continue
        if "blocks.0.norm.weight" in state or any(name.startswith("blocks.0.multipathway") for name in state):
            return {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return None


def _renamed(model: ResNet3D | SlowFast | X3D, name: str) -> str:
    if isinstance(model, X3D):
        return _x3d(model, name)
    rules: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...]
    if isinstance(model, ResNet3D):
        rules = (
            (r"^blocks\.0\.conv", "stem.0"),
            (r"^blocks\.0\.norm", "stem.1"),
            (r"^blocks\.(\d)\.res_blocks\.", lambda m: f"stages.{int(m[1]) - 1}."),
            (r"^blocks\.5\.proj", "classifier"),
            *_RESNET_BLOCK,
        )
    else:
        path = ("slow", "fast")
        rules = (
            (r"^blocks\.0\.multipathway_blocks\.(\d)\.conv", lambda m: f"{path[int(m[1])]}_stem.0"),
            (r"^blocks\.0\.multipathway_blocks\.(\d)\.norm", lambda m: f"{path[int(m[1])]}_stem.1"),
            (
                r"^blocks\.(\d)\.multipathway_blocks\.(\d)\.res_blocks\.",
                lambda m: f"{path[int(m[2])]}_stages.{int(m[1]) - 1}.",
            ),
            (r"^blocks\.(\d)\.multipathway_fusion\.conv_fast_to_slow", r"laterals.\1.0"),
            (r"^blocks\.(\d)\.multipathway_fusion\.norm", r"laterals.\1.1"),
            (r"^blocks\.6\.proj", "classifier"),
            *_RESNET_BLOCK,
        )
    for pattern, replacement in rules:
        name = re.sub(pattern, replacement, name)
    return name


def _x3d(model: X3D, name: str) -> str:
    fixed = {
        "blocks.0.conv.conv_t": "stem_space",
        "blocks.0.conv.conv_xy": "stem_time",
        "blocks.0.norm": "stem_norm",
        "blocks.5.pool.pre_conv": "head",
        "blocks.5.pool.pre_norm": "head_norm",
        "blocks.5.pool.post_conv": "features",
        "blocks.5.proj": "classifier",
    }
    for theirs, ours in fixed.items():
        if name.startswith(theirs + "."):
            return ours + name.removeprefix(theirs)
    name = re.sub(r"^blocks\.(\d)\.res_blocks\.", lambda m: f"stages.{int(m[1]) - 1}.", name)
    block, _, rest = name.partition(".branch1_conv")
    if rest:
        bare = f"{block}.shortcut.weight" in model.state_dict()
        return f"{block}.shortcut{'' if bare else '.0'}{rest}"
    for pattern, replacement in _X3D_BLOCK:
        name = re.sub(pattern, replacement, name)
    return name
