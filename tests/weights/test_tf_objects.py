"""The graph of objects in TensorFlow checkpoints: graphs written here, with any keys and of any shape."""

from functools import cache
from itertools import pairwise
from time import process_time

import numpy as np
import pytest
from numpy.typing import NDArray
from test_tf_bundle import varint

from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.errors import WeightsError
from movinet.weights.tensorflow import Form, find_form, find_network, from_tensorflow, tensorflow_variables
from movinet.weights.tf_objects import VALUE, find_objects

Tensors = dict[str, NDArray[np.generic]]


def part(number: int, content: bytes | int) -> bytes:
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


class Graph:
    """A TrackableObjectGraph in the making."""

    def __init__(self) -> None:
        self.nodes = [b""]
        self.paths = {"": 0}

    def child(self, parent: int, name: str, node: int | None = None) -> int:
        if node is None:
            node = len(self.nodes)
            self.nodes.append(b"")
        self.nodes[parent] += part(1, part(1, node) + part(2, name.encode()))
        return node

    def at(self, path: str) -> int:
        if path not in self.paths:
            parent, _, name = path.rpartition("/")
            self.paths[path] = self.child(self.at(parent), name)
        return self.paths[path]

    def variable(self, node: int, key: str) -> None:
        self.nodes[node] += part(2, part(1, b"VARIABLE_VALUE") + part(3, key.encode()))

    def average(self, optimizer: int, node: int, slot: int) -> None:
        self.nodes[optimizer] += part(3, part(1, node) + part(2, b"average") + part(3, slot))

    def done(self) -> bytes:
        return b"".join(part(1, node) for node in self.nodes)


def saved(spec: NetworkSpec, form: Form, root: str = "model") -> tuple[Tensors, Graph]:
    """A network's variables under keys that say nothing, and the graph that says what they are."""
    tensors: Tensors = {}
    graph = Graph()
    rng = np.random.default_rng(0)
    for number, variable in enumerate(tensorflow_variables(spec, form).values()):
        path = variable.key.removesuffix(VALUE).removeprefix("model").removeprefix("/")
        key = f"variables/{number}{VALUE}"
        graph.variable(graph.at(f"/{root}/{path}" if root else f"/{path}"), key)
        tensors[key] = rng.standard_normal(variable.shape).astype(np.float32)
    return tensors, graph


def published(name: str) -> NetworkSpec:
    spec = network_spec(name).with_options(num_classes=7, hidden=8)
    assert isinstance(spec, NetworkSpec)
    return spec


@pytest.mark.parametrize("root", ["model", "", "root/_func/deep", "teacher"])
def test_keys_and_where_it_hangs_do_not_matter(root: str) -> None:
    spec = network_spec("movinet_a0_stream").with_options(num_classes=7)
    assert isinstance(spec, NetworkSpec)
    tensors, graph = saved(spec, "2plus1d", root)
    tensors["global_step" + VALUE] = np.zeros((), np.int64)
    graph.variable(graph.at("/global_step"), "global_step" + VALUE)
    graph.child(graph.at(""), "again", graph.at(f"/{root}/layer_with_weights-0" if root else "/layer_with_weights-0"))
    graph.child(graph.at(""), "itself", 0)
    graph.at(f"{f'/{root}' if root else ''}/layer_with_weights-0/layer_with_weights-2/_feature/_stream_buffer")
    network = find_objects(tensors, graph.done())
    assert network.causal
    assert not network.averaged
    assert find_network(network) == spec
    arrays = from_tensorflow(network.variables, spec, find_form(network.variables))
    assert arrays["blocks.4.3.project.weight"].shape == (104, 344, 1, 1)


def test_keys_of_published_checkpoints() -> None:
    """As users' logs show them: tensorflow/models#10730. Without a graph of objects, too."""
    keys = {variable.key for variable in tensorflow_variables(published("movinet_a0_base"), "3d").values()}
    for logged in (
        "(root).model.layer_with_weights-0.layer_with_weights-10._feature._conv.kernel",
        "(root).model.layer_with_weights-0.layer_with_weights-10._expansion._conv.kernel",
        "(root).model.layer_with_weights-0.layer_with_weights-5._attention._se_reduce._conv.bias",
        "(root).model.layer_with_weights-0.layer_with_weights-5._skip._projection._conv.kernel",
    ):
        assert logged.removeprefix("(root).").replace(".", "/") + VALUE in keys
    tensors = {key: np.zeros(1) for key in keys}
    assert find_objects(tensors, None).variables.keys() == keys


@pytest.mark.parametrize("name", ["movinet_a0_stream", "movinet_a3_stream"])
def test_the_first_stream_networks_are_not_taken_for_base_networks(name: str) -> None:
    """The `_legacy` files: causal 3-D convolutions. Variables alone are those of a base network."""
    spec = published(name).with_options(hidden=2048)
    legacy = spec.with_options(
        convolution="3d",
        squeeze_excitation="cumulative",
        activation="swish",
        gate="sigmoid",
        head_activation="swish",
    )
    tensors, graph = saved(legacy, "3d")
    for n in range(1, 9):
        graph.at(f"/model/layer_with_weights-0/layer_with_weights-{n}/_feature/_stream_buffer")
    network = find_objects(tensors, graph.done())
    assert network.causal
    assert find_network(network) == legacy


def test_averages_stand_for_the_weights() -> None:
    spec = published("movinet_a0_base").with_options(hidden=2048)
    tensors, graph = saved(spec, "3d")
    optimizer = graph.at("/optimizer")
    for path, node in list(graph.paths.items()):
        if path.rpartition("/")[2] in ("gamma", "beta", "kernel", "bias", "scale"):
            slot = graph.child(optimizer, str(node))
            graph.average(optimizer, node, slot)
            graph.variable(slot, f"slot/{node}")
            tensors[f"slot/{node}"] = np.float32(1) + tensors[key_of(graph, node)]
    network = find_objects(tensors, graph.done())
    assert network.averaged
    plain = find_objects({k: v for k, v in tensors.items() if k[0] == "v"}, saved(spec, "3d")[1].done())
    for name, values in network.variables.items():
        assert np.array_equal(values, plain.variables[name] + (0 if "/moving_" in name else np.float32(1))), name


def key_of(graph: Graph, node: int) -> str:
    found = graph.nodes[node]
    return found[found.index(b"variables/") :].decode()


def test_what_is_no_network_or_several() -> None:
    tensors, graph = saved(published("movinet_a0_base"), "3d", "one")
    more, _ = saved(published("movinet_a0_base"), "3d", "two")
    with pytest.raises(WeightsError, match="no layers of a MoViNet"):
        find_objects({"a/b" + VALUE: np.zeros(1)}, None)
    for variable in tensorflow_variables(published("movinet_a0_base"), "3d").values():
        path = variable.key.removesuffix(VALUE).removeprefix("model/")
        graph.variable(graph.at(f"/two/{path}"), f"other/{path}")
    with pytest.raises(WeightsError, match="holds 2 MoViNets and 2 heads"):
        find_objects({**tensors, **more}, graph.done())


@cache
def hostile() -> dict[str, bytes]:
    chain, fork, wide = Graph(), Graph(), Graph()
    nodes = [chain.child(0, "model")]
    for _ in range(5_000):
        nodes.append(chain.child(nodes[-1], "_feature"))
    chain.child(nodes[-1], "_feature", 0)
    for a, b in pairwise([0, *(fork.child(0, f"layer-{n}") for n in range(300))]):
        for name in ("_expansion", "_feature", "_projection"):
            fork.child(a, name, b)
    top = wide.child(0, "model")
    layer = wide.child(top, "layer_with_weights-0")
    for name in ("_stem", "_expansion", "_feature", "_projection", "_project"):
        wide.child(layer, name, 0)
    for n in range(1, 5_000):
        wide.child(top, f"layer_with_weights-{n}", layer)
    return {"chain": chain.done(), "fork": fork.done(), "wide": wide.done(), "cut": chain.done()[:-3]}


@pytest.mark.parametrize("kind", ["chain", "fork", "wide", "cut"])
def test_graphs_that_lead_nowhere(kind: str) -> None:
    start = process_time()
    with pytest.raises(WeightsError):
        find_objects({}, hostile()[kind])
    assert process_time() - start < 5


def test_objects_that_are_not_there() -> None:
    with pytest.raises(WeightsError, match="an object that is not there"):
        find_objects({}, part(1, part(1, part(1, 7) + part(2, b"model"))))
