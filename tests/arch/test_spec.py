"""Specifications: what contradicts itself is refused with a reason, and plain dictionaries lose nothing."""

import copy
from fractions import Fraction
from math import ceil
from typing import Any

import pytest
from arch.specs import ensemble_specs, network_specs
from hypothesis import given, settings
from hypothesis import strategies as st

from movinet.arch.count import make_divisible
from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import EnsembleSpec, MemberSpec, NetworkSpec, Spec, spec_from_dict
from movinet.arch.zoo import network_spec
from movinet.errors import SpecError

ANY_SPEC = network_specs() | ensemble_specs()


def stream_spec(**options: Any) -> NetworkSpec:
    spec = network_spec("movinet_t0_stream")
    assert isinstance(spec, NetworkSpec)
    return spec.with_options(**options)


def one_layer(layer: LayerSpec, **block: Any) -> tuple[BlockSpec, ...]:
    return (BlockSpec(**({"channels": 8, "layers": (layer,)} | block)),)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"gate": "hard_sigmoid"}, "gate is 'hard_sigmoid'; choose one of sigmoid, hard_sigmoid_keras"),
        ({"activation": "gelu"}, "activation is 'gelu'"),
        ({"squeeze_excitation": "global"}, "looks at the whole clip"),
        ({"causal": False}, "needs a causal network"),
        ({"squeeze_excitation": "none", "positional_encoding": True}, "positional encoding lives in"),
        ({"decay": 0.0}, r"decay is 0.0; it must lie in \(0, 1\]"),
        ({"decay": 1.5}, "decay is 1.5"),
        ({"decay": float("nan")}, "decay is nan"),
        ({"causal": False, "squeeze_excitation": "global", "decay": 0.5}, "decay is for causal networks"),
        ({"blocks": ()}, "needs blocks"),
        ({"blocks": (BlockSpec(8, ()),)}, "every block a layer"),
        ({"blocks": one_layer(LayerSpec(8, (2, 3, 3)))}, r"blocks\[0\].layers\[0\].kernel is \(2, 3, 3\)"),
        ({"blocks": one_layer(LayerSpec(8, (3, 3)))}, "three odd sizes"),
        ({"blocks": one_layer(LayerSpec(0, (1, 3, 3)))}, "expansion is 0"),
        ({"blocks": one_layer(LayerSpec(7, (1, 3, 3))), "positional_encoding": True}, "needs it even"),
        ({"blocks": one_layer(LayerSpec(8, (1, 3, 3)), stride=3)}, "stride is 3"),
        ({"blocks": one_layer(LayerSpec(8, (1, 3, 3)), channels=0)}, "channels is 0"),
        ({"num_classes": -1}, "num_classes is -1; it must be at least 0"),
        ({"size": (0, 10)}, "want a height and a width"),
        ({"size": (10,)}, "want a height and a width"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"stochastic_depth": -0.1}, "stochastic_depth is -0.1"),
        ({"position_limit": -1}, "position_limit is -1"),
    ],
)
def test_contradictions_are_refused(options: dict[str, Any], reason: str) -> None:
    with pytest.raises(SpecError, match=reason):
        stream_spec(**options)


def test_ensemble_contradictions_are_refused() -> None:
    stream, base = stream_spec(), network_spec("movinet_t0_base")
    assert isinstance(base, NetworkSpec)
    for members, reason in [
        ((), "needs members"),
        ((MemberSpec(stream), MemberSpec(stream_spec(num_classes=3))), "number of classes"),
        ((MemberSpec(stream), MemberSpec(base)), "all be base or all be stream"),
    ]:
        with pytest.raises(SpecError, match=reason):
            EnsembleSpec("both", members, (160, 160), 5, 50)
    with pytest.raises(SpecError, match="must be positive"):
        EnsembleSpec("both", (MemberSpec(stream),), (160, 160), 0, 50)
    for rate, offset in [(Fraction(0), 0), (Fraction(3, 2), 0), (Fraction(1), -1)]:
        with pytest.raises(SpecError, match="rate"):
            MemberSpec(stream, rate, offset)


@given(ANY_SPEC)
@settings(max_examples=40, deadline=None)
def test_dictionary_round_trip(spec: Spec) -> None:
    assert spec_from_dict(spec.to_dict()) == spec


@given(ANY_SPEC, st.data())
@settings(max_examples=150, deadline=None)
def test_broken_dictionaries_are_refused_or_read(spec: Spec, data: st.DataObject) -> None:
    """Whatever stands in a hand-written file, nothing but a SpecError comes out."""
    plain = copy.deepcopy(spec.to_dict())
    junk = st.none() | st.integers(-3, 3) | st.floats() | st.text(max_size=4) | st.just([]) | st.just({}) | st.just([1])
    here: Any = plain
    while True:
        key = data.draw(st.sampled_from(list(here) if isinstance(here, dict) else range(len(here))))
        if isinstance(here[key], dict | list) and here[key] and data.draw(st.booleans()):
            here = here[key]
            continue
        if isinstance(here, dict) and data.draw(st.booleans()):
            del here[key]
        else:
            here[key] = data.draw(junk)
        break
    try:
        found = spec_from_dict(plain)
    except SpecError:
        return
    assert spec_from_dict(found.to_dict()) == found


@given(ANY_SPEC, st.data())
@settings(max_examples=30, deadline=None)
def test_unknown_fields_are_refused_everywhere(spec: Spec, data: st.DataObject) -> None:
    plain = spec.to_dict()
    mappings = [plain]
    for mapping in mappings:
        for value in mapping.values():
            mappings += [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]
    data.draw(st.sampled_from(mappings))["strides"] = 1
    with pytest.raises(SpecError, match="strides"):
        spec_from_dict(plain)


@pytest.mark.parametrize("data", [None, "movinet", [1], 3.5])
def test_a_specification_is_a_mapping(data: object) -> None:
    with pytest.raises(SpecError, match="mapping"):
        spec_from_dict(data)


def test_with_options_reaches_every_member() -> None:
    spec = network_spec("movinet_a6_stream").with_options(num_classes=7)
    assert isinstance(spec, EnsembleSpec)
    assert spec.num_classes == 7
    assert {member.network.num_classes for member in spec.members} == {7}


@given(st.fractions(Fraction(1, 7), 1, max_denominator=7), st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_member_takes_the_first_frame_at_or_after_its_time(rate: Fraction, offset: int) -> None:
    member = MemberSpec(stream_spec(), rate, offset)
    expected = {offset + ceil(k / rate) for k in range(40)}
    assert {frame for frame in range(40) if member.takes(frame)} == {frame for frame in expected if frame < 40}


@given(st.floats(1, 2000))
def test_make_divisible(value: float) -> None:
    rounded = make_divisible(value)
    assert rounded % 8 == 0
    assert rounded >= max(8, 0.9 * value)
    assert rounded <= max(8, value + 8)
