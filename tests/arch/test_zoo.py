"""The published networks, against the counts of the official code."""

from fractions import Fraction

import pytest

from movinet import costs
from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.arch.zoo import network_names, network_spec, temporal_ensemble
from movinet.errors import SpecError

PARAMETERS = {
    "a0_base": 3_111_799,
    "a1_base": 4_690_296,
    "a2_base": 5_249_562,
    "a3_base": 7_397_545,
    "a4_base": 11_349_463,
    "a5_base": 18_650_523,
    "a0_stream": 3_748_031,
    "a1_stream": 6_447_352,
    "a2_stream": 7_326_962,
    "a3_stream": 10_986_618,
    "a4_stream": 18_136_182,
    "a5_stream": 31_495_934,
    "a6_base": 11_349_463 + 18_650_523,
    "a6_stream": 18_136_182 + 31_495_934,
}


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameters(name: str) -> None:
    assert costs.parameters(network_spec(f"movinet_{name}")) == PARAMETERS[name]


@pytest.mark.parametrize(
    ("name", "millions", "megabytes", "receptive_field"),
    [
        ("t0", 34.2, 1.3, 23),
        ("a0", 50.7, 2.7, 29),
        ("a1", 113.2, 4.9, 41),
        ("a2", 216.5, 10.8, 45),
        ("a3", 437.2, 18.3, 53),
        ("a4", 1212.2, 49.4, 77),
        ("a5", 2184.2, 75.1, 95),
    ],
)
def test_stream_costs(name: str, millions: float, megabytes: float, receptive_field: int) -> None:
    spec = network_spec(f"movinet_{name}_stream")
    assert costs.macs_per_frame(spec) / 1e6 == pytest.approx(millions, abs=0.06)
    assert costs.state_bytes(spec) / 1e6 == pytest.approx(megabytes, abs=0.05)
    assert costs.receptive_field(spec) == receptive_field
    assert costs.delay(spec) == 0


@pytest.mark.parametrize(
    ("name", "billions"),
    [("t0", 0.87), ("a0", 2.63), ("a1", 5.87), ("a2", 11.56), ("a3", 55.6), ("a4", 103.3), ("a5", 276.3)],
)
def test_base_costs(name: str, billions: float) -> None:
    spec = network_spec(f"movinet_{name}_base")
    assert costs.macs_per_clip(spec) / 1e9 == pytest.approx(billions, rel=2e-3)
    assert costs.macs_per_frame(spec) == costs.macs_per_clip(spec) / spec.frames
    assert costs.state_bytes(spec) == 0
    assert costs.delay(spec) == (costs.receptive_field(spec) - 1) // 2


def test_names() -> None:
    assert len(set(network_names())) == 16
    for name in network_names():
        spec = network_spec(name)
        assert spec.name == name
        assert spec.causal == name.endswith("stream")
    with pytest.raises(SpecError, match="no network is called 'movinet_a7_base'; did you mean movinet_a"):
        network_spec("movinet_a7_base")
    with pytest.raises(SpecError, match="no network is called 'resnet'; there are movinet_t0_base"):
        network_spec("resnet")


@pytest.mark.parametrize("kind", ["base", "stream"])
def test_a6_is_a4_and_a5_at_their_own_rates(kind: str) -> None:
    a6 = network_spec(f"movinet_a6_{kind}")
    assert isinstance(a6, EnsembleSpec)
    assert [member.network for member in a6.members] == [network_spec(f"movinet_{i}_{kind}") for i in ("a4", "a5")]
    assert [member.rate * 12 for member in a6.members] == [8, 12]
    assert (a6.size, a6.fps, a6.frames) == ((320, 320), 12, 120)


def test_temporal_ensemble_costs_what_one_network_at_full_rate_does() -> None:
    half = network_spec("movinet_a0_stream")
    assert isinstance(half, NetworkSpec)
    both = temporal_ensemble("pair", half, half)
    assert both.fps == 10
    assert [member.rate for member in both.members] == [Fraction(1, 2)] * 2
    assert [[member.takes(frame) for frame in range(4)] for member in both.members] == [
        [True, False, True, False],
        [False, True, False, True],
    ]
    assert costs.macs_per_frame(both) == costs.macs_per_frame(half)
    with pytest.raises(SpecError, match="run at one rate"):
        temporal_ensemble("pair", half, half.with_options(fps=8))
