import re
from collections import Counter

import pytest

from movinet.arch.spec import EnsembleSpec
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError
from movinet.weights.registry import Entry, entries, find, lookup, suggestion


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_entries_are_well_formed(entry: Entry) -> None:
    assert entry.architecture in network_names()
    assert re.fullmatch(r"[a-z0-9]+", entry.tag)
    assert entry.license
    assert entry.source
    assert sum(bool(origin) for origin in (entry.address, entry.bundled, entry.members)) == 1
    for address in (entry.address, entry.labels_address):
        assert address is None or address.startswith("https://")
    assert entry.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    network_spec(entry.architecture).with_options(**entry.options)
    assert lookup(entry.name) == entry


def test_names_are_unique() -> None:
    assert max(Counter(entry.name for entry in entries()).values()) == 1


def test_ensembles_are_made_of_what_their_architecture_says() -> None:
    ensembles = [entry for entry in entries() if entry.members]
    assert {entry.architecture for entry in ensembles} == {"movinet_a6_base", "movinet_a6_stream"}
    for entry in ensembles:
        spec = network_spec(entry.architecture)
        assert isinstance(spec, EnsembleSpec)
        assert [find(name).architecture for name in entry.members] == [m.network.name for m in spec.members]


def test_every_published_network_is_there() -> None:
    named = {entry.architecture for entry in entries()}
    assert named == set(network_names()) - {"movinet_t0_base"}
    for entry in entries():
        if entry.tag == "k600" and not entry.members:
            short = entry.architecture.removeprefix("movinet_")
            assert entry.address
            assert entry.address.endswith(f"movinet_{short}.tar.gz")
            assert entry.top1
            assert entry.options == ({"gate": "hard_sigmoid_keras"} if entry.architecture.endswith("stream") else {})


def test_published_tflite_files_are_there_and_say_that_nobody_verified_them() -> None:
    lite = [entry for entry in entries() if entry.tells_itself]
    assert [entry.architecture for entry in lite] == [f"movinet_a{n}_stream" for n in range(6)]
    for entry in lite:
        assert entry.address
        assert entry.address.endswith(f"/{entry.architecture}.tflite")
        assert not entry.verified
    assert [entry.name for entry in entries() if entry.verified] == ["movinet_t0_stream.gestures"]


def test_an_architecture_alone_means_its_weights() -> None:
    assert find("movinet_a2_stream").name == "movinet_a2_stream.k600"


def test_unknown_names_bring_the_nearest() -> None:
    assert lookup("movinet_a2_steam") is None
    with pytest.raises(WeightsError, match=r"'movinet_a2_steam'; did you mean movinet_a2_stream"):
        find("movinet_a2_steam")
    assert "movinet models" in suggestion("resnet")
