"""Specifications as YAML: nothing lost, and every broken file named."""

from pathlib import Path

import pytest
from arch.specs import ensemble_specs, network_specs
from hypothesis import given, settings

from movinet.arch.serialize import dump_spec, parse_spec, read_spec
from movinet.arch.spec import Spec
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import SpecError


@given(network_specs() | ensemble_specs())
@settings(max_examples=30, deadline=None)
def test_round_trip(spec: Spec) -> None:
    assert parse_spec(dump_spec(spec)) == spec


@pytest.mark.parametrize("name", [name for name in network_names() if "a5" not in name])  # A6 contains A5
def test_published_round_trip(name: str) -> None:
    assert parse_spec(dump_spec(network_spec(name))) == network_spec(name)


def test_a_file_says_what_is_wrong_and_where(tmp_path: Path) -> None:
    path = tmp_path / "network.yaml"
    with pytest.raises(SpecError, match=r"network\.yaml: cannot read"):
        read_spec(path)
    spec = network_spec("movinet_t0_stream")
    path.write_text(dump_spec(spec), encoding="utf-8")
    assert read_spec(path) == spec
    for text, reason in [
        ("{", "not YAML"),
        ("", "mapping of fields, not NoneType"),
        ("name: x\nstem: 8", "'blocks' is missing"),
        (dump_spec(spec).replace("decay: 1.0", "decay: 2"), "decay is 2"),
    ]:
        path.write_text(text, encoding="utf-8")
        with pytest.raises(SpecError, match=rf"network\.yaml: .*{reason}"):
            read_spec(path)
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SpecError, match=r"network\.yaml: cannot read"):
        read_spec(path)
