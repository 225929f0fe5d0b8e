"""The networks MoViNets are compared with, as data: X3D, SlowFast, ResNet3D, MobileNets with TSN and TSM.

They are built, trained and run by PyTorch alone (`movinet.baselines`); what runs MoViNets without it refuses them.
"""

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from movinet.arch.limits import FASTEST, LARGEST_SIDE, MOST_CLASSES, MOST_FRAMES, check_name
from movinet.arch.spec_fields import changed, from_fields
from movinet.dataclass_io import to_plain
from movinet.errors import SpecError, brief

Family = Literal["x3d", "slowfast", "resnet3d", "mobilenet_v2", "mobilenet_v3"]
Shift = Literal["none", "both", "past"]
"""Of channels in time: `none` is TSN, `both` is TSM, `past` is online TSM."""

KINETICS_FPS = 30.0
_WIDEST, _DEEPEST = 1024, 16  # a factor, or channels of the first stage


@dataclass(frozen=True)
class BaselineSpec:
    """A network to compare with.

    Args:
        name: what it is called.
        family: which code builds it.
        size: height and width of a clip it is meant for.
        fps: frames a second it is meant for.
        frames: of a clip.
        num_classes: logits.
        causal: whether it can take a stream frame by frame.
        width: of the channels: a factor for X3D and MobileNets, the channels of the first stage for the others.
        depth: factor of the layers of a stage.
        shift: of MobileNets.
        alpha: of SlowFast: frames of the fast pathway for one of the slow.
        lateral_kernel: of SlowFast: frames that a lateral convolution sees.
        dropout: before the classifier.

    Raises:
        SpecError: the fields contradict each other.
    """

    name: str
    family: Family
    size: tuple[int, int]
    fps: float
    frames: int
    num_classes: int = 400
    causal: bool = False
    width: float = 1.0
    depth: float = 1.0
    shift: Shift = "none"
    alpha: int = 8
    lateral_kernel: int = 5
    dropout: float = 0.5

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.family not in get_args(Family):
            raise SpecError(f"{self.name}: family is {brief(self.family)}; choose one of {', '.join(get_args(Family))}")
        if self.shift not in get_args(Shift):
            raise SpecError(f"{self.name}: shift is {brief(self.shift)}; choose one of {', '.join(get_args(Shift))}")
        whole: list[tuple[str, object, int]] = [
            ("frames", self.frames, MOST_FRAMES),
            ("num_classes", self.num_classes, MOST_CLASSES),
            ("alpha", self.alpha, 64),
            ("lateral_kernel", self.lateral_kernel, 31),
            *(("a side of size", side, LARGEST_SIDE) for side in self.size),
        ]
        for what, value, most in whole:
            if type(value) is not int or not 1 <= value <= most:
                raise SpecError(f"{self.name}: {what} is {brief(value)}; want a whole number from 1 to {most}")
        if len(self.size) != 2:
            raise SpecError(f"{self.name}: size is {brief(self.size)}; want a height and a width")
        numbers = (("fps", self.fps, FASTEST), ("width", self.width, _WIDEST), ("depth", self.depth, _DEEPEST))
        for what, number, bound in numbers:
            if type(number) not in (int, float) or not 0 < number <= bound:
                raise SpecError(f"{self.name}: {what} is {brief(number)}; want a positive number")
        if not 0 <= self.dropout < 1:
            raise SpecError(f"{self.name}: dropout is {self.dropout}; it must lie in [0, 1)")
        if self.causal and (self.family in ("x3d", "slowfast") or self.shift == "both"):
            raise SpecError(f"{self.name}: it looks into the future, so it cannot stream (causal: true)")

    @property
    def num_outputs(self) -> int:
        """How many numbers the network answers with."""
        return self.num_classes

    def with_options(self, **options: Any) -> "BaselineSpec":
        """A copy with some fields changed.

        Raises:
            SpecError: there is no such field, or the network contradicts itself.
        """
        return changed(self, options)

    def to_dict(self) -> dict[str, Any]:
        """Plain types only, ready for YAML or JSON."""
        return cast("dict[str, Any]", to_plain(self, whole=True))

    @classmethod
    def from_dict(cls, data: Any) -> "BaselineSpec":
        """The inverse of `to_dict`.

        Raises:
            SpecError: a field is missing, unknown or contradicts another.
        """
        return from_fields(cls, data, "network")


def _at(name: str, family: Family, frames: int, stride: int, size: int, **more: Any) -> BaselineSpec:
    """Of clips of Kinetics: every `stride`-th frame of 30 a second."""
    return BaselineSpec(name, family, (size, size), KINETICS_FPS / stride, frames, **more)


_BASELINES = (
    _at("x3d_xs", "x3d", 4, 12, 160, width=2.0, depth=2.2),
    _at("x3d_s", "x3d", 13, 6, 160, width=2.0, depth=2.2),
    _at("x3d_m", "x3d", 16, 5, 224, width=2.0, depth=2.2),
    _at("x3d_l", "x3d", 16, 5, 312, width=2.0, depth=5.0),
    _at("x3d_xl", "x3d", 16, 5, 312, width=2.9, depth=5.0),
    _at("slow_r50_4x16", "resnet3d", 4, 16, 256, width=64),
    _at("slow_r50_8x8", "resnet3d", 8, 8, 256, width=64),
    _at("slow_r50_stream", "resnet3d", 8, 8, 256, width=64, causal=True),
    _at("slowfast_r50_4x16", "slowfast", 32, 2, 256, width=64, alpha=8, lateral_kernel=5),
    _at("slowfast_r50_8x8", "slowfast", 32, 2, 256, width=64, alpha=4, lateral_kernel=7),
    _at("tsn_mobilenet_v2", "mobilenet_v2", 8, 8, 224, causal=True, dropout=0.2),
    _at("tsm_mobilenet_v2", "mobilenet_v2", 8, 8, 256, shift="both", dropout=0.2),
    _at("tsm_mobilenet_v2_online", "mobilenet_v2", 8, 8, 224, shift="past", causal=True, dropout=0.2),
    _at("tsn_mobilenet_v3", "mobilenet_v3", 8, 8, 224, causal=True, dropout=0.2),
    _at("tsm_mobilenet_v3", "mobilenet_v3", 8, 8, 224, shift="both", dropout=0.2),
    _at("tsm_mobilenet_v3_online", "mobilenet_v3", 8, 8, 224, shift="past", causal=True, dropout=0.2),
)
BASELINES = {spec.name: spec for spec in _BASELINES}
"""Those of the papers, by name, as they were published for Kinetics-400."""
