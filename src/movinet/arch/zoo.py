"""The published networks as data: A0–A5 and T0, base and stream, and the ensemble A6.

Source: BLOCK_SPECS in tensorflow/models, official/projects/movinet/modeling/movinet.py; sizes, rates and head
activations from the yaml configurations beside it.
"""

from dataclasses import dataclass
from fractions import Fraction

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import EnsembleSpec, MemberSpec, NetworkSpec, Spec
from movinet.errors import SpecError
from movinet.words import did_you_mean


@dataclass(frozen=True)
class _Body:
    """What base and stream have in common. A block is its channels and one `expansion/kernel` word a layer."""

    size: int
    fps: float
    frames: int
    stem: int
    project: int
    blocks: tuple[tuple[int, str], ...]
    hidden: int = 2048
    dropout: float = 0.5


_KERNELS = {"13": (1, 3, 3), "15": (1, 5, 5), "33": (3, 3, 3), "53": (5, 3, 3)}

_BODIES = {
    "a0": _Body(
        size=172,
        fps=5,
        frames=50,
        stem=8,
        project=480,
        dropout=0.2,
        blocks=(
            (8, "24/15"),
            (32, "80/33 80/33 80/33"),
            (56, "184/53 112/33 184/33"),
            (56, "184/53 184/33 184/33 184/33"),
            (104, "384/53 280/15 280/15 344/15"),
        ),
    ),
    "a1": _Body(
        size=172,
        fps=5,
        frames=50,
        stem=16,
        project=600,
        blocks=(
            (16, "40/15 40/33"),
            (40, "96/33 120/33 96/33 96/33"),
            (64, "216/53 128/33 216/33 168/33 216/33"),
            (64, "216/53 216/33 216/33 128/33 128/15 216/33"),
            (136, "456/53 360/15 360/15 360/15 456/15 456/33 544/13"),
        ),
    ),
    "a2": _Body(
        size=224,
        fps=5,
        frames=50,
        stem=16,
        project=640,
        blocks=(
            (16, "40/15 40/33 64/33"),
            (40, "96/33 120/33 96/33 96/33 120/33"),
            (72, "240/53 160/33 240/33 192/33 240/33"),
            (72, "240/53 240/33 240/33 240/33 144/15 240/33"),
            (144, "480/53 384/15 384/15 480/15 480/15 480/33 576/13"),
        ),
    ),
    "a3": _Body(
        size=256,
        fps=12,
        frames=120,
        stem=16,
        project=744,
        blocks=(
            (16, "40/15 40/33 64/33 40/33"),
            (48, "112/33 144/33 112/33 112/15 144/33 144/33"),
            (80, "240/53 152/33 240/33 192/33 240/33"),
            (88, "264/53 264/33 264/33 264/33 160/15 264/33 264/33 264/33"),
            (168, "560/53 448/15 448/15 560/15 560/15 560/33 448/15 448/15 560/33 672/13"),
        ),
    ),
    "a4": _Body(
        size=290,
        fps=8,
        frames=80,
        stem=24,
        project=856,
        blocks=(
            (24, "64/15 64/33 96/33 64/33 96/33 64/33"),
            (56, "168/33 168/33 136/33 136/33 168/33 168/33 168/33 136/15 136/33"),
            (96, "320/53 160/33 320/33 192/33 320/33 160/33 320/33 256/33 320/33"),
            (96, "320/53 320/33 320/33 320/33 192/15 320/33 320/33 192/33 320/33 320/33"),
            (192, "640/53 512/15 512/15 640/15 640/15 640/33 512/15 512/15 640/15 768/15 640/15 640/33 768/33"),
        ),
    ),
    "a5": _Body(
        size=320,
        fps=12,
        frames=120,
        stem=24,
        project=992,
        blocks=(
            (24, "64/15 64/15 96/33 64/33 96/33 64/33"),
            (64, "192/53 152/33 152/33 152/33 192/33 192/33 192/33 152/33 152/33 192/33 192/33"),
            (112, "376/53 224/33 376/33 376/33 296/33 376/33 224/33 376/33 376/33 296/33 376/33 376/33 376/33"),
            (120, "376/53 376/33 376/33 376/33 224/15 376/33 376/33 224/33 376/33 376/33 376/33"),
            (
                224,
                "744/53 744/33 600/15 600/15 744/15 744/15 744/33 896/15 600/15 600/15 896/15 744/15 744/33 896/15 "
                "600/15 600/15 744/15 744/33",
            ),
        ),
    ),
    "t0": _Body(
        size=160,
        fps=2.5,
        frames=25,
        stem=8,
        project=240,
        hidden=1024,
        dropout=0.2,
        blocks=(
            (8, "16/15"),
            (32, "72/33 72/15"),
            (56, "112/53 112/15 112/33"),
            (56, "184/53 184/15 184/33 184/33"),
            (104, "344/53 344/15 344/15 344/33"),
        ),
    ),
}

_POSITIONAL_ENCODING = {"a3", "a4", "a5"}  # stream only
_HARD_SWISH_HEAD = {"a4", "t0"}  # stream only; the others keep swish in the head


def network_names() -> list[str]:
    """The names `network_spec` knows, smallest first."""
    ids = ["t0", *(f"a{n}" for n in range(7))]
    return [f"movinet_{i}_{kind}" for i in ids for kind in ("base", "stream")]


def network_spec(name: str) -> Spec:
    """The specification of a published network, e.g. `movinet_a2_stream`.

    Raises:
        SpecError: there is no network of this name.
    """
    if name not in network_names():
        raise SpecError(f"no network is called {name!r}{did_you_mean(name, network_names(), most=2)}")
    _, body_id, kind = name.split("_")
    if body_id == "a6":
        return _a6(name, kind)
    body = _BODIES[body_id]
    blocks = tuple(
        BlockSpec(channels, tuple(_layer(word) for word in words.split()), stride=1 if b == 3 else 2)
        for b, (channels, words) in enumerate(body.blocks)
    )
    common = NetworkSpec(
        name=name,
        stem=body.stem,
        blocks=blocks,
        project=body.project,
        hidden=body.hidden,
        size=(body.size, body.size),
        fps=body.fps,
        frames=body.frames,
        dropout=body.dropout,
        positional_encoding=body_id in _POSITIONAL_ENCODING,
        head_activation="hard_swish" if body_id in _HARD_SWISH_HEAD else "swish",
    )
    if kind == "stream":
        return common
    return common.with_options(
        causal=False,
        convolution="3d",
        squeeze_excitation="global",
        activation="swish",
        gate="sigmoid",
        head_activation="swish",
        positional_encoding=False,
    )


def temporal_ensemble(name: str, first: NetworkSpec, second: NetworkSpec) -> EnsembleSpec:
    """Two networks at half the frame rate, one frame apart: twice the rate for the cost of one at full rate.

    The members' own `fps` is the half rate they were trained at; the ensemble's is twice that.
    """
    if first.fps != second.fps:
        raise SpecError(f"{name}: the members of a temporal ensemble run at one rate, not {first.fps} and {second.fps}")
    half = Fraction(1, 2)
    return EnsembleSpec(
        name=name,
        members=(MemberSpec(first, half, offset=0), MemberSpec(second, half, offset=1)),
        size=max(first.size, second.size),
        fps=2 * first.fps,
        frames=2 * max(first.frames, second.frames),
    )


def _a6(name: str, kind: str) -> EnsembleSpec:
    members = [network_spec(f"movinet_{i}_{kind}") for i in ("a4", "a5")]
    networks = [m for m in members if isinstance(m, NetworkSpec)]
    fps = max(n.fps for n in networks)
    rates = [Fraction(n.fps) / Fraction(fps) for n in networks]
    return EnsembleSpec(
        name=name,
        members=tuple(MemberSpec(n, rate) for n, rate in zip(networks, rates, strict=True)),
        size=max(n.size for n in networks),
        fps=fps,
        frames=max(n.frames for n in networks),
    )


def _layer(word: str) -> LayerSpec:
    expansion, kernel = word.split("/")
    return LayerSpec(int(expansion), _KERNELS[kernel])
