"""Reading features inside a network while it trains, and teaching it with them where a point is.

Labels alone teach a network that averages over the whole picture little about a small moving hand. Throw-away linear
layers that must tell from a layer's features where the point is, and where it goes, make those features follow it.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.spec import SingleSpec
from movinet.baselines.baseline_cost import image_shapes
from movinet.errors import MovinetError
from movinet.nn.baseline_network import BaselineNetwork
from movinet.nn.movinet import MoViNet

_MOTION_SCALE = 5.0  # a point moves little from frame to frame: as large as its position, this error counts as much


class Tap:
    """Keeps what a part of a network puts out, until it is taken.

    Not a module, so that the part is not registered twice. Without gradients (in evaluation) nothing is kept.

    Args:
        part: Whose output is images (B·T, C, h, w) or clips (B, C, T, h, w), or a tuple with them first.
    """

    def __init__(self, part: nn.Module) -> None:
        self._images: Tensor | None = None
        self._hook = part.register_forward_hook(self._keep)

    def take(self) -> Tensor:
        """The images (B·T, C, h, w) of the last forward pass, once.

        Raises:
            RuntimeError: There was none since they were last taken.
        """
        if self._images is None:
            raise RuntimeError("there is nothing to take: the network has not run, with gradients, since the last time")
        images, self._images = self._images, None
        return images

    def frame_means(self, batch: int) -> Tensor:
        """Take the images as one vector a frame: their means over space, (B, T, C)."""
        return self.take().mean((2, 3)).unflatten(0, (batch, -1))

    def remove(self) -> None:
        """Leave the network as it was."""
        self._hook.remove()
        self._images = None

    def _keep(self, part: nn.Module, inputs: object, output: Tensor | tuple[Tensor, ...]) -> None:
        if torch.is_grad_enabled():
            images = output if isinstance(output, Tensor) else output[0]
            self._images = images.transpose(1, 2).flatten(0, 1) if images.ndim == 5 else images


class AuxPointLoss(nn.Module):
    """Linear layers that read off the features of some layers where a point is and how it moved since the frame before.

    Args:
        model: The network.
        layers: Names of its layers, such as `blocks.3.3`.
        size: (height, width) of the frames it sees.

    Raises:
        MovinetError: There is no such layer.
    """

    def __init__(self, model: MoViNet | BaselineNetwork, layers: Sequence[str], size: tuple[int, int]) -> None:
        super().__init__()
        shapes = _layer_shapes(model.spec, size)
        for name in layers:
            if name not in shapes:
                raise MovinetError(
                    f"the network has no layer {name!r} to track a point with; there are {', '.join(shapes)}"
                )
        self.taps = [Tap(model.get_submodule(name)) for name in layers]
        self.read = nn.ModuleList(nn.Linear(channels * h * w, 4) for channels, h, w in map(shapes.__getitem__, layers))

    def loss(self, track: Tensor) -> Tensor:
        """The error of what the layers' last forward pass tells, summed over the layers.

        The motion at the first frame is not asked for. What is unknown counts as right, so that the means of
        sub-batches of one size add up to that of the whole.

        Args:
            track: (B, T, 2), x and y in fractions of the picture, also outside of it; NaN where unknown.

        Returns:
            A scalar.
        """
        motion = F.pad(track[:, 1:] - track[:, :-1], (0, 0, 1, 0), value=torch.nan)
        wanted = torch.cat([track.clamp(-0.2, 1.2) - 0.5, _MOTION_SCALE * motion.clamp(-0.3, 0.3)], dim=-1).float()
        losses = []
        for tap, read in zip(self.taps, self.read, strict=True):
            found = read(tap.take().flatten(1)).float().unflatten(0, track.shape[:2])  # (B, T, 4)
            losses.append(F.smooth_l1_loss(found, torch.where(wanted.isnan(), found.detach(), wanted), beta=0.1))
        return torch.stack(losses).sum()


def _layer_shapes(spec: SingleSpec, size: tuple[int, int]) -> dict[str, tuple[int, int, int]]:
    """(channels, h, w) of what each layer puts out."""
    if isinstance(spec, BaselineSpec):
        return image_shapes(spec, size)
    return {place.name: (place.outputs, *place.size_after) for place in spec.layers(size)}
