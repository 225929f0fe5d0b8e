"""What can be exported: the step of a stream network, or a base network on whole clips."""

import torch
from torch import Tensor, nn

from movinet.arch.count import Size
from movinet.arch.step import LOGITS, Port, StepSignature
from movinet.nn.deploy import DeployedStep
from movinet.nn.fold import fold
from movinet.nn.movinet import MoViNet

CLIP = "clip"


class DeployedClip(nn.Module):
    """A network on clips of one length and size: `(logits,) = deployed(clip)`, clip (B, 3, T, H, W) in [0, 1].

    It is used like a `DeployedStep` that has no state.
    """

    def __init__(self, model: MoViNet, size: Size | None = None, frames: int | None = None) -> None:
        """Deploy a trained network; size and frames of the clips are the specification's own by default."""
        super().__init__()
        folded = fold(model)
        assert isinstance(folded, MoViNet)
        self.model, self.spec = folded, folded.spec
        self.size, self.frames = size or self.spec.size, frames or self.spec.frames
        clip = Port(CLIP, (3, self.frames, *self.size))
        self.signature = StepSignature((clip,), (Port(LOGITS, (self.spec.classes,)),), {})

    def forward(self, clip: Tensor) -> tuple[Tensor]:
        return (self.model(clip),)

    def begin(self, streams: int = 1) -> list[Tensor]:
        """No state."""
        return []


Deployed = DeployedStep | DeployedClip


def example_inputs(deployed: Deployed, streams: int) -> tuple[Tensor, ...]:
    """Inputs of the shapes the exported network takes, of streams that begin."""
    first = deployed.signature.inputs[0]
    rows = streams * deployed.frames if isinstance(deployed, DeployedStep) else streams
    return torch.zeros(rows, *first.shape), *deployed.begin(streams)
