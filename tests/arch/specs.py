"""Strategies for random specifications: every option, few channels, so that an example takes milliseconds."""

from fractions import Fraction
from typing import Any, get_args

from hypothesis import strategies as st

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import Activation, Convolution, EnsembleSpec, Gate, MemberSpec, NetworkSpec, Norm

# Those of the published networks and of the paper's search space.
KERNELS = [(1, 3, 3), (1, 5, 5), (1, 7, 7), (3, 3, 3), (5, 3, 3), (5, 1, 1), (7, 1, 1)]
SIZES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@st.composite
def network_specs(draw: st.DrawFn, **fixed: Any) -> NetworkSpec:
    """Any valid small network; `fixed` fields have the given values."""
    causal = fixed.get("causal", draw(st.booleans()))
    squeeze_excitation = draw(
        st.sampled_from(["none", "cumulative", "cumulative_frame"] if causal else ["none", "global"])
    )
    squeeze_excitation = fixed.get("squeeze_excitation", squeeze_excitation)
    layer = st.builds(
        LayerSpec,
        expansion=st.integers(1, 4).map(lambda n: 2 * n),
        kernel=st.sampled_from(KERNELS),
        squeeze_excitation=st.booleans(),
    )
    block = st.builds(
        BlockSpec,
        channels=st.integers(1, 5),
        layers=st.lists(layer, min_size=1, max_size=2).map(tuple),
        stride=st.sampled_from([1, 2]),
    )
    options: dict[str, Any] = {
        "name": "random",
        "stem": draw(st.integers(1, 5)),
        "blocks": tuple(draw(st.lists(block, min_size=1, max_size=3))),
        "project": draw(st.integers(1, 9)),
        "hidden": draw(st.integers(1, 9)),
        "num_classes": draw(st.integers(2, 5)),
        "size": draw(SIZES),
        "fps": draw(st.sampled_from([2.5, 5, 12])),
        "frames": draw(st.integers(1, 9)),
        "causal": causal,
        "squeeze_excitation": squeeze_excitation,
        "convolution": draw(st.sampled_from(get_args(Convolution))),
        "activation": draw(st.sampled_from(get_args(Activation))),
        "head_activation": draw(st.sampled_from(get_args(Activation))),
        "gate": draw(st.sampled_from(get_args(Gate))),
        "positional_encoding": squeeze_excitation.startswith("cumulative") and draw(st.booleans()),
        "position_limit": draw(st.none() | st.integers(0, 6)),
        "rezero": draw(st.booleans()),
        "norm": draw(st.sampled_from(get_args(Norm))),
        "decay": draw(st.just(1.0) | st.floats(1e-6, 1.0)) if causal else 1.0,
    }
    return NetworkSpec(**(options | fixed))


@st.composite
def ensemble_specs(draw: st.DrawFn, **fixed: Any) -> EnsembleSpec:
    """One to three networks of any size, rate and offset."""
    causal = fixed.pop("causal", draw(st.booleans()))
    network = network_specs(causal=causal, num_classes=3, **fixed)
    rates = st.sampled_from([Fraction(1), Fraction(1, 2), Fraction(2, 3), Fraction(1, 3), Fraction(3, 4)])
    member = st.builds(MemberSpec, network=network, rate=rates, offset=st.integers(0, 2))
    members = tuple(draw(st.lists(member, min_size=1, max_size=3)))
    return EnsembleSpec("random", members, size=draw(SIZES), fps=5, frames=draw(st.integers(1, 9)))
