"""Which network was found in a TFLite graph, and whether it is the one that was asked for."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import BlockSpec, LayerSpec
from movinet.arch.spec import Activation, Gate, NetworkSpec, SqueezeExcitation
from movinet.arch.zoo import network_names, network_spec
from movinet.errors import WeightsError, brief

Array = NDArray[np.float32]

WHAT = "only stream networks with (2+1)D convolutions, as the official tools export them for TFLite, are understood"
"""The end of a message about a graph that is another one."""

_FPS, _FRAMES = 5.0, 50  # of a network that is none of the published ones: a file does not say
_BATCH_NORM_EPS = 1e-3  # Keras' default, which the official networks have


@dataclass(frozen=True)
class FoundLayer:
    """One bottleneck of a graph; `arrays` are named as within the layer."""

    number: tuple[int, int] | None  # block and layer, where the graph's names tell them
    spec: LayerSpec
    channels: int
    stride: int
    pools: SqueezeExcitation
    gate: Gate | None
    activations: frozenset[Activation]
    arrays: dict[str, Array]


def network_of(
    layers: list[FoundLayer],
    widths: Mapping[str, int],
    size: tuple[int, int],
    activations: set[Activation],
    head_activation: Activation,
) -> NetworkSpec:
    """The network of these layers; where it is a published one, under its name and with its rate.

    Args:
        layers: from the image to the head.
        widths: channels of `stem`, `head.project`, `head.hidden` and `head.classifier`.
        size: of the image, height and width.
        activations: of the stem and head.project.
        head_activation: of head.hidden.

    Raises:
        WeightsError: the layers differ in what a network has but one of.
        SpecError: the network is beyond what one may be.
    """
    if not layers:
        raise WeightsError(f"no layer was found between image and head: {WHAT}")
    with_se = [layer for layer in layers if layer.pools != "none"]
    gates = {layer.gate for layer in with_se if layer.gate}
    pools = {layer.pools for layer in with_se}
    positions = {"se.position_scale" in layer.arrays for layer in with_se}
    activations = activations.union(*(layer.activations for layer in layers))
    differing: list[tuple[str, Collection[object]]] = [
        ("activation", activations),
        ("gate", gates),
        ("squeeze-excitation", pools),
        ("positional encoding", positions),
    ]
    for what, kinds in differing:
        if len(kinds) > 1:
            raise WeightsError(f"its layers differ in {what} ({', '.join(sorted(map(str, kinds)))}): {WHAT}")
    if not with_se:  # the layers do not say then which of them could have it
        layers = [replace(layer, spec=replace(layer.spec, squeeze_excitation=True)) for layer in layers]
    found = NetworkSpec(
        name="movinet_tflite",
        stem=widths["stem"],
        blocks=_blocks(layers),
        project=widths["head.project"],
        hidden=widths["head.hidden"],
        size=size,
        fps=_FPS,
        frames=_FRAMES,
        num_classes=widths["head.classifier"],
        squeeze_excitation=pools.pop() if pools else "none",
        activation=activations.pop(),
        head_activation=head_activation,
        positional_encoding=True in positions,
        rezero=any(layer.arrays["scale"] != 1 for layer in layers),
        norm="folded",
    )
    if gates:
        found = found.with_options(gate=gates.pop())
    return _published(found)


def fit_network(found: NetworkSpec, arrays: dict[str, Array], wanted: NetworkSpec) -> dict[str, Array]:
    """The arrays of the network `found` named and formed as those of `wanted`, which computes the same.

    Names of blocks may differ, and folded batch norms become ones that change nothing, as fine-tuning wants them.

    Raises:
        WeightsError: it is another network; the message says in what.
    """
    if wanted.norm == "batch":
        arrays = _unfolded(arrays)
    pairs = list(zip(found.layers(), wanted.layers(), strict=False))
    parts = [
        (
            f"layer {a.name}",
            (a.stride, a.outputs, *_layer(found, a.layer)),
            (b.stride, b.outputs, *_layer(wanted, b.layer)),
        )
        for a, b in pairs
    ]
    told = ["stem", "project", "hidden", "num_classes", "causal", "convolution", "squeeze_excitation", "activation"]
    told += ["head_activation", "positional_encoding", "rezero"]
    if found.squeeze_excitation != "none":
        told.append("gate")
    facts = [(field, getattr(found, field), getattr(wanted, field)) for field in told]
    facts.append(("number of layers", len(found.layers()), len(wanted.layers())))
    for what, ours, theirs in (*facts, *parts):
        if ours != theirs:
            raise WeightsError(f"the specification {brief(wanted.name)} does not fit: {what} is {ours}, not {theirs}")
    names = {a.name: b.name for a, b in pairs}
    renamed = {}
    for name, array in arrays.items():
        block = re.match(r"blocks\.\d+\.\d+", name)
        renamed[names[block[0]] + name[block.end() :] if block else name] = array
    return renamed


def _blocks(layers: list[FoundLayer]) -> tuple[BlockSpec, ...]:
    """The layers by blocks: as the graph's names say, or else wherever width or stride begin anew.

    Which it is changes names alone: a block is its layers, the first of which may be strided or change the width.
    """
    numbers = [layer.number for layer in layers]
    counted = [(b, n) for b, n in (number or (-1, -1) for number in numbers)]
    expected = [(b, i) for b, group in groupby(b for b, _ in counted) for i, _ in enumerate(group)]
    if counted != expected or [b for b, _ in groupby(b for b, _ in counted)] != list(range(counted[-1][0] + 1)):
        block, counted = -1, []
        for i, layer in enumerate(layers):
            block += i == 0 or layer.stride > 1 or layer.channels != layers[i - 1].channels
            counted.append((block, 0))
    blocks = []
    for _, group in groupby(zip(counted, layers, strict=True), key=lambda pair: pair[0][0]):
        members = [layer for _, layer in group]
        if any(layer.stride > 1 or layer.channels != members[0].channels for layer in members[1:]):
            raise WeightsError(f"a block changes its width or stride within: {WHAT}")
        blocks.append(BlockSpec(members[0].channels, tuple(layer.spec for layer in members), members[0].stride))
    return tuple(blocks)


def _published(found: NetworkSpec) -> NetworkSpec:
    """The network under its name and with its rate, if it is a published one."""
    for name in network_names():
        spec = network_spec(name)
        if not isinstance(spec, NetworkSpec) or not spec.causal:
            continue
        if (spec.stem, spec.project, spec.hidden) == (found.stem, found.project, found.hidden):
            layers = [[(p.stride, p.outputs, p.layer) for p in network.layers()] for network in (spec, found)]
            if layers[0] == layers[1]:
                return found.with_options(name=spec.name, blocks=spec.blocks, fps=spec.fps, frames=spec.frames)
    return found


def _layer(spec: NetworkSpec, layer: LayerSpec) -> tuple[int, tuple[int, int, int], bool]:
    return layer.expansion, layer.kernel, spec.has_se(layer)


def _unfolded(arrays: dict[str, Array]) -> dict[str, Array]:
    out = {}
    for name, array in arrays.items():
        owner, _, leaf = name.rpartition(".")
        if leaf != "bias" or arrays[f"{owner}.weight"].ndim != 4:
            out[name] = array
            continue
        out[f"{owner}.norm.weight"] = np.ones_like(array)
        out[f"{owner}.norm.bias"] = array
        out[f"{owner}.norm.running_mean"] = np.zeros_like(array)
        out[f"{owner}.norm.running_var"] = np.full_like(array, 1 - _BATCH_NORM_EPS)
    return out
