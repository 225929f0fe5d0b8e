"""What was published of networks that MoViNets are compared with, each figure with its source."""

from dataclasses import dataclass

_MODEL_ZOO = "SlowFast MODEL_ZOO.md"
_X3D_PAPER = "arXiv 2004.04730, table 4"
_MMACTION = "mmaction2 configs/recognition"
_GRW = "cmusatyalab/grw-smoothing README"
_GARDEN = "tensorflow/models official/projects/movinet README"


@dataclass(frozen=True)
class Published:
    """Figures of a network, as others report them.

    Args:
        network: a name of `list_models`, or what the source calls it where there is none here.
        data: whose classes it tells, `Kinetics-400` or `Kinetics-600`.
        top1: percent; None where the source has none.
        views: clips × crops that accuracy is of.
        gmacs: billions of multiply-adds a view.
        parameters: millions, with the classifier of `data`.
        source: of all of them.
    """

    network: str
    data: str
    top1: float | None
    views: str
    gmacs: float | None
    parameters: float | None
    source: str

    @property
    def count(self) -> int:
        """How many views."""
        clips, _, crops = self.views.partition("×")
        return int(clips or 1) * int(crops or 1)


def _k400(
    network: str,
    parameters: float | None,
    gmacs: float | None,
    top1: float | None = None,
    views: str = "10×3",
    source: str = _MODEL_ZOO,
) -> Published:
    return Published(network, "Kinetics-400", top1, views, gmacs, parameters, source)


PUBLISHED: tuple[Published, ...] = (
    _k400("x3d_xs", 3.8, 0.60, 69.5),
    _k400("x3d_s", 3.8, 1.96, 73.5),
    _k400("x3d_m", 3.8, 4.73, 76.2),
    _k400("x3d_l", 6.2, 18.37, 77.5),
    _k400("x3d_xl", 11.0, 35.84, source=_X3D_PAPER),
    _k400("slow_r50_4x16", 32.45, 27.38, 72.7, source=f"{_MODEL_ZOO}; {_MMACTION}/slowonly"),
    _k400("slow_r50_8x8", 32.45, 54.75, 74.8, source=f"{_MODEL_ZOO}; {_MMACTION}/slowonly"),
    _k400("slowfast_r50_4x16", 34.5, 36.3, 75.6, source=f"{_MODEL_ZOO}; {_MMACTION}/slowfast"),
    _k400("slowfast_r50_8x8", 34.6, 66.1, 77.0, source=f"{_MODEL_ZOO}; {_MMACTION}/slowfast"),
    _k400("tsm_mobilenet_v2", 2.736, 3.269, 68.7, "8×3", f"{_MMACTION}/tsm"),
)
"""Of Kinetics-400, the figures that counts here are held against (`tests/baselines`)."""
