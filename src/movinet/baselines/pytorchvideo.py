"""State dicts of PyTorchVideo's X3D, SlowFast and Slow as those of the modules here: a mapping of names.

https://github.com/facebookresearch/pytorchvideo (Apache 2.0), whose model zoo has them trained on Kinetics-400.
"""

import re
from collections.abc import Callable, Mapping

from torch import Tensor

from movinet.baselines.resnet3d import ResNet3D
from movinet.baselines.slowfast import SlowFast
from movinet.baselines.x3d import X3D
from movinet.errors import WeightsError

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
