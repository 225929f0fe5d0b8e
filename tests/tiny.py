"""A network small enough that a test may run a whole program with it."""

from pathlib import Path

import torch

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import NetworkSpec
from movinet.nn.movinet import MoViNet
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo
from movinet.weights.safetensors_file import save_weights

LABELS = ("left", "right", "other")


def tiny_spec(causal: bool = True) -> NetworkSpec:
    """Two layers, three classes, 24×32 pixels at 5 frames a second."""
    layer = LayerSpec(expansion=8, kernel=(3, 3, 3))
    spec = NetworkSpec(
        name="tiny_stream",
        stem=8,
        blocks=(BlockSpec(8, (layer,)), BlockSpec(8, (layer,))),
        project=8,
        hidden=8,
        size=(24, 32),
        fps=5.0,
        frames=20,
        num_classes=len(LABELS),
    )
    if causal:
        return spec
    return spec.with_options(name="tiny_base", causal=False, convolution="3d", squeeze_excitation="global")


def tiny_weights(folder: Path, causal: bool = True, labels: tuple[str, ...] | None = LABELS) -> Path:
    """A weights file of that network with parameters that do something."""
    generator = torch.Generator().manual_seed(1)
    spec = tiny_spec(causal)
    model = MoViNet(spec)
    state = {
        key: torch.rand(value.shape, generator=generator) + 0.5
        if key.endswith("running_var")
        else torch.randn(value.shape, generator=generator) * 0.5
        for key, value in model.state_dict().items()
        if value.is_floating_point()
    }
    path = folder / f"{spec.name}.safetensors"
    save_weights(path, state, WeightsInfo(f"{spec.name}.test", spec, Transform((24, 32), 24, 5.0), labels))
    return path
