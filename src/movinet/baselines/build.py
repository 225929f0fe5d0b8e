"""From specifications to modules, and from arrays to networks, of what MoViNets are compared with."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray

from movinet.arch.baseline_spec import BaselineSpec
from movinet.baselines.mobilenet import MobileNet
from movinet.baselines.resnet3d import ResNet3D
from movinet.baselines.slowfast import SlowFast
from movinet.baselines.x3d import X3D
from movinet.nn.baseline_network import BaselineNetwork
from movinet.weights.info import WeightsInfo


def build_baseline(spec: BaselineSpec, info: WeightsInfo | None = None, seed: int | None = None) -> BaselineNetwork:
    """The network a specification describes, with fresh weights.

    Args:
        spec: what it is.
        info: what else is known of it.
        seed: of the weights; torch's generator as it stands by default.
    """
    if seed is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return build_baseline(spec, info)
    match spec.family:
        case "x3d":
            return X3D(spec, info)
        case "slowfast":
            return SlowFast(spec, info)
        case "resnet3d":
            return ResNet3D(spec, info)
        case "mobilenet_v2" | "mobilenet_v3":
            return MobileNet(spec, info)


def baseline_of(
    spec: BaselineSpec, arrays: Mapping[str, NDArray[np.float32]], info: WeightsInfo | None = None
) -> BaselineNetwork:
    """The network with these numbers as parameters and statistics, its own copies, in evaluation mode."""
    with torch.device("meta"):
        model = build_baseline(spec, info)
    counts = {k: torch.zeros((), dtype=torch.int64) for k in model.state_dict() if k.endswith("num_batches_tracked")}
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    model.load_state_dict({**counts, **tensors}, assign=True)
    return model.eval()
