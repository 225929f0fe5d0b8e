"""What was published of networks that MoViNets are compared with, each figure with its source."""

from dataclasses import dataclass

_MODEL_ZOO = "SlowFast MODEL_ZOO.md"
_X3D_PAPER = "arXiv 2004.04730, table 4"
_MMACTION = "mmaction2 configs/recognition"
_GRW = "cmusatyalab/grw-smoothing README, table 1"
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


def _k600(network: str, gmacs: float, top1: float, clips: int = 1) -> Published:
    """Of a table that tells the multiply-adds of a whole video."""
    return Published(network, "Kinetics-600", top1, f"{clips}×1", gmacs / clips, None, _GRW)


def _movinet(name: str, data: str, top1: float) -> Published:
    return Published(f"movinet_{name}", data, top1, "1×1", None, None, _GARDEN)


COUNTED: tuple[Published, ...] = (
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
"""Of networks that are here, whose counts are held against these (`tests/baselines`)."""

PUBLISHED: tuple[Published, ...] = (
    *(
        _movinet(f"a{n}_base", "Kinetics-400", top1)
        for n, top1 in enumerate((69.40, 74.57, 75.91, 79.34, 80.64, 81.39))
    ),
    *COUNTED,
    *(
        _movinet(f"a{n}_base", "Kinetics-600", top1)
        for n, top1 in enumerate((72.28, 76.69, 78.62, 81.79, 83.48, 84.27))
    ),
    *(
        _movinet(f"a{n}_stream", "Kinetics-600", top1)
        for n, top1 in enumerate((72.05, 76.45, 78.40, 80.09, 81.49, 82.37))
    ),
    _k600("MobileNetV3-S", 2.8, 61.3),
    _k600("MobileNetV3-S + TSM", 2.8, 65.5),
    _k600("MobileNetV3-L", 11.0, 68.1),
    _k600("MobileNetV3-L + TSM", 11.0, 71.4),
    _k600("X3D-XS, 20 frames", 3.9, 70.2),
    _k600("X3D-XS, 4 frames", 23.3, 72.3, 30),
    _k600("X3D-S, 40 frames", 7.8, 73.4),
    _k600("X3D-S, 13 frames", 76.1, 76.4, 30),
    _k600("X3D-M, 50 frames", 19.4, 76.9),
    _k600("X3D-M, 16 frames", 186, 78.8, 30),
    _k600("X3D-L, 50 frames", 77.5, 79.1),
    _k600("X3D-L, 120 frames", 187, 80.7),
    _k600("I3D", 216, 71.6),
    _k600("UniFormer-S", 167, 82.8, 4),
    _k600("UniFormer-B", 389, 84.0, 4),
    _k600("MViT-B 16×4", 353, 82.1, 5),
    _k600("MViT-B 32×3", 850, 83.4, 5),
    _k600("MViTv2-B 32×3", 1030, 85.5, 5),
    _k600("movinet_a0_stream + GRW", 2.7, 78.4),
    _k600("movinet_a1_stream + GRW", 6.0, 81.9),
    _k600("movinet_a2_stream + GRW", 11.3, 83.3),
    _k600("movinet_a3_base + GRW", 56.4, 85.6),
)
"""All that is known with a source."""
