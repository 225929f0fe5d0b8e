import json

import pytest

from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError
from movinet.weights.info import WeightsInfo, default_transform


@pytest.mark.parametrize("name", network_names())
def test_round_trip(name: str) -> None:
    spec = network_spec(name).with_options(num_classes=2)
    info = WeightsInfo(
        f"{name}.test", spec, default_transform(spec), ("no", "yes"), "MIT", "here", {"top-1": 50.0}, "!"
    )
    assert WeightsInfo.from_dict(json.loads(json.dumps(info.to_dict()))) == info


@pytest.mark.parametrize("name", network_names())
def test_default_transform_fits_the_network(name: str) -> None:
    spec = network_spec(name)
    transform = default_transform(spec)
    assert transform.size == spec.size
    assert transform.fps == spec.fps
    assert transform.scale == (0, 1)
    assert 1.1 <= transform.resize_short / min(spec.size) < 1.2


def test_a_size_the_official_configurations_lack() -> None:
    spec = network_spec("movinet_a0_stream").with_options(size=(100, 200))
    transform = default_transform(spec)
    assert (transform.size, transform.resize_short) == ((100, 200), 112)


def test_labels() -> None:
    spec = network_spec("movinet_a0_stream").with_options(num_classes=2)
    info = WeightsInfo("x.y", spec, default_transform(spec))
    assert info.label(1) == "class 1"
    assert info.with_labels(("no", "yes")).label(1) == "yes"
    with pytest.raises(WeightsError, match="3 labels for 2 classes"):
        info.with_labels(("no", "yes", "perhaps"))
