"""Which variable of a TensorFlow checkpoint is which part of a MoViNet, by the graph of objects that the file carries.

A variable's key in a checkpoint is the shortest way to it from whatever was saved: `model/layer_with_weights-0/…` from
`tf.train.Checkpoint(model=...)`, `backbone/…` from the official trainer, `variables/7` in a SavedModel. The graph
(tensorflow/core/protobuf/trackable_object_graph.proto) names the objects themselves, and those are always the same.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from movinet.errors import WeightsError, brief
from movinet.weights.protobuf import Damaged, fields

Arrays = Mapping[str, NDArray[np.generic]]

VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
BACKBONE = "model/layer_with_weights-0/"
CLASSIFIER = "model/layer_with_weights-1/"

_MOST_OBJECTS = 1 << 18  # and ways between them; the trainer's checkpoint of MoViNet-A5 has some thousands
_MOST_STEPS = 1 << 20
_MOST_LAYERS, _MOST_NETWORKS = 256, 8
_BOTTLENECK = {"_expansion", "_feature", "_projection"}
_PARTS = {  # names of objects within a layer and the head that lead to variables, without the second ways to them
    *("_stem", "_expansion", "_feature", "_projection", "_attention", "_se_reduce", "_se_expand", "_pos_encoding"),
    *("_rezero", "_skip", "_mobile_bottleneck", "_project", "_head", "_classifier"),
    *("_conv", "_conv_temporal", "_batch_norm", "_batch_norm_temporal"),
    *("gamma", "beta", "moving_mean", "moving_variance", "kernel", "depthwise_kernel", "bias", "scale"),
}
_STATISTIC = re.compile(r"/moving_(mean|variance)/")
_NUMBERED = re.compile(r"layer(_with_weights)?-(\d{1,6})$")


@dataclass
class _Object:
    children: dict[str, int] = field(default_factory=dict)
    key: str | None = None  # of the variable that it is


@dataclass(frozen=True)
class TensorFlowNetwork:
    """The MoViNet of a checkpoint: its variables as `tf.train.Checkpoint(model=...)` would have called them."""

    variables: dict[str, NDArray[np.generic]]
    causal: bool | None  # whether it has stream buffers; None: the file does not say
    has_head: bool
    averaged: bool  # the variables are the moving averages that the trainer kept, and evaluates with


def find_objects(tensors: Arrays, graph: bytes | None) -> TensorFlowNetwork:
    """Find the one network of a checkpoint.

    Args:
        tensors: by their keys.
        graph: the serialized graph of objects; without one, the keys are taken for it.

    Raises:
        WeightsError: there is no MoViNet, or several, or the graph is damaged.
    """
    try:
        objects, averages = _parse(graph) if graph is not None else (_from_keys(tensors), {})
    except Damaged as error:
        raise WeightsError(f"its graph of objects is damaged ({error}); get the files again") from error
    layers, head = _network(objects)
    roots = {f"{BACKBONE}layer_with_weights-{n}": layer for n, layer in enumerate(layers)}
    if head is not None:
        roots[CLASSIFIER.removesuffix("/")] = head
    found = _variables(objects, roots)
    # The trainer averages statistics with the weights or not, as it was told.
    averaged = bool(found) and all(node in averages for name, node in found.items() if not _STATISTIC.search(name))
    if averaged:
        found = {name: averages.get(node, node) for name, node in found.items()}
    keys = {name: objects[node].key or "" for name, node in found.items()}
    variables = {name: tensors[key] for name, key in keys.items() if key in tensors}
    if missing := next((name for name in keys if name not in variables), None):
        raise WeightsError(f"the checkpoint lacks the values of {brief(missing)}; get the files again")
    causal = None if graph is None else _has_buffers(objects, layers)
    return TensorFlowNetwork(variables, causal, head is not None, averaged)


def _parse(graph: bytes) -> tuple[list[_Object], dict[int, int]]:
    """The objects, and for variables with a moving average the object that is it."""
    objects: list[_Object] = []
    averages: dict[int, int] = {}
    left = _MOST_OBJECTS
    for number, _, content in fields(graph):
        if number != 1:
            continue
        node = _Object()
        for part, _, inner in fields(content):
            left -= 1
            if left < 0:
                raise Damaged(f"more than {_MOST_OBJECTS} objects")
            entry = {n: (value, text) for n, value, text in fields(inner)} if part in (1, 2, 3) else {}
            if part == 1:
                node.children.setdefault(_text(entry, 2), entry.get(1, (0, b""))[0])
            elif part == 2 and _text(entry, 1) == "VARIABLE_VALUE":
                node.key = _text(entry, 3)
            elif part == 3 and _text(entry, 2) == "average":
                averages[entry.get(1, (0, b""))[0]] = entry.get(3, (0, b""))[0]
        objects.append(node)
    targets = [i for node in objects for i in node.children.values()] + [*averages, *averages.values()]
    if any(i >= len(objects) for i in targets):
        raise Damaged("an object that is not there")
    return objects, averages


def _text(entry: Mapping[int, tuple[int, bytes]], number: int) -> str:
    return entry.get(number, (0, b""))[1].decode(errors="replace")


def _from_keys(keys: Iterable[str]) -> list[_Object]:
    objects = [_Object()]
    for key in keys:
        path, attributes, _ = key.partition("/.ATTRIBUTES")
        if not attributes or ".OPTIMIZER_SLOT" in path:
            continue
        at = 0
        for name in path.split("/"):
            if name not in objects[at].children:
                objects[at].children[name] = len(objects)
                objects.append(_Object())
            at = objects[at].children[name]
        objects[at].key = key
    return objects


def _network(objects: list[_Object]) -> tuple[list[int], int | None]:
    """The stem, the layers and the projection, in order, and the classifier's head if there is one."""

    def has(node: int, names: set[str]) -> bool:
        return names <= objects[node].children.keys()

    backbones: dict[tuple[int, ...], int] = {}
    for i, node in enumerate(objects):
        layers = _in_order(node.children)
        layers = [c for c in layers if has(c, {"_stem"}) or has(c, _BOTTLENECK) or has(c, {"_project"})]
        if layers and any(has(c, _BOTTLENECK) for c in layers):
            backbones.setdefault(tuple(layers), i)
    heads = [i for i in range(len(objects)) if has(i, {"_head", "_classifier"})]
    if not backbones:
        raise WeightsError("the checkpoint has no layers of a MoViNet: it is of another kind of network")
    if max(len(backbones), len(heads)) > _MOST_NETWORKS or max(map(len, backbones)) > _MOST_LAYERS:
        raise WeightsError("the checkpoint holds more layers or networks than any MoViNet")
    if len(backbones) > 1 or len(heads) > 1:
        pairs = [
            (layers, head)
            for node in objects
            for layers, backbone in backbones.items()
            for head in heads
            if {backbone, head} <= set(node.children.values())
        ]
        if len(set(pairs)) != 1:
            raise WeightsError(f"the checkpoint holds {len(backbones)} MoViNets and {len(heads)} heads: save one alone")
        return list(pairs[0][0]), pairs[0][1]
    return list(next(iter(backbones))), heads[0] if heads else None


def _in_order(children: Mapping[str, int]) -> list[int]:
    """Keras' numbered layers; those with weights have numbers of their own beside those of all layers."""
    named = [(match, child) for name, child in children.items() if (match := _NUMBERED.match(name))]
    with_weights = [(int(match[2]), child) for match, child in named if match[1]]
    return [child for _, child in sorted(with_weights or [(int(match[2]), child) for match, child in named])]


def _variables(objects: list[_Object], roots: Mapping[str, int]) -> dict[str, int]:
    """The variables below objects by their names; what has no name of a MoViNet comes last, and under any."""
    found: dict[str, int] = {}
    known: set[int] = set()
    left = _MOST_STEPS
    for known_only in (True, False):
        for prefix, root in roots.items():
            seen, waiting = {root}, [(prefix, root)]
            while waiting:
                path, at = waiting.pop()
                if objects[at].key is not None and at not in known:
                    known.add(at)
                    found[path + VALUE] = at
                for name, child in objects[at].children.items():
                    left -= 1
                    if child not in seen and (name in _PARTS or not known_only):
                        seen.add(child)
                        waiting.append((f"{path}/{name}", child))
                if left < 0:
                    raise WeightsError("the checkpoint's objects lead to each other without end")
    return found


def _has_buffers(objects: list[_Object], layers: list[int]) -> bool:
    features = [objects[layer].children.get("_feature") for layer in layers]
    return any(node is not None and "_stream_buffer" in objects[node].children for node in features)
