"""The MoViNet in a TFLite graph: a stream network as the official tools export and convert it, of any size.

From the logits backwards to the image, by what computes what. The network is the one the graph computes: widths,
kernels, activations and gate are read off it, and what fits no `NetworkSpec` is refused, never guessed.
"""

import re
from math import prod

import numpy as np

from movinet.arch.layer_spec import LayerSpec
from movinet.arch.parameters import parameter_shapes
from movinet.arch.spec import Activation, Gate, NetworkSpec, SqueezeExcitation
from movinet.errors import WeightsError, brief
from movinet.weights.tflite import TFLiteGraph, TFLiteOperator
from movinet.weights.tflite_curves import Curves, Value, activation, gate, slope
from movinet.weights.tflite_spec import WHAT, Array, FoundLayer, network_of

_MOST_LAYERS = 256


def extract_movinet(graph: TFLiteGraph) -> tuple[NetworkSpec, dict[str, Array]]:
    """The network in a graph: its specification, and its arrays named as in the state dict of `MoViNet`.

    Batch norm is folded in such files: `norm` is "folded". Where the network is a published one, it has its name and
    rate. Raises `WeightsError` where the graph is another kind of network; the message says what was found where.
    """
    try:
        return _Walk(graph).network()
    except WeightsError:
        raise
    except (ValueError, IndexError, StopIteration) as error:  # another number of inputs or axes than expected
        raise WeightsError(f"the graph has another shape ({error}): {WHAT}") from error


class _Walk:
    def __init__(self, graph: TFLiteGraph) -> None:
        self.graph, self.curves = graph, Curves(graph)
        self.image = graph.inputs.get("image", -1)
        if self.image < 0:
            raise WeightsError(f"no input named 'image', but {brief(list(graph.inputs))}: {WHAT}")
        if len(graph.inputs) == 1:
            raise WeightsError(f"its only input is the image: a network without states; {WHAT}")

    def network(self) -> tuple[NetworkSpec, dict[str, Array]]:
        logits = next((i for name, i in self.graph.outputs.items() if name == "logits"), None)
        if logits is None:  # a converter without signatures: states are as many as the inputs, the rest are logits
            logits = next(i for i in self.graph.outputs.values() if len(self.graph.tensors[i].shape) == 2)
        arrays: dict[str, Array] = {}
        classifier = self.made(self.curves.value(logits), "CONV_2D", "the logits")
        arrays |= self.dense("head.classifier", classifier)
        hidden = self.before(classifier, "CONV_2D", "the classifier", curved=True)
        arrays |= self.dense("head.hidden", hidden)
        head_activation = activation(self.curves.value(classifier.inputs[0]), "head.hidden")
        project, features = self.head_pool(hidden)
        arrays |= self.convolution("head.project", project)

        layers: list[FoundLayer] = []
        x = self.curves.value(project.inputs[0])
        while self.kind(x) == "ADD":
            layer, x = self.layer(x)
            layers.append(layer)
            if len(layers) > _MOST_LAYERS:
                raise WeightsError(f"the graph has more than {_MOST_LAYERS} layers: {WHAT}")
        layers.reverse()
        stem = self.made(x, "CONV_2D", "the first layer", curved=True)
        image = self.curves.value(stem.inputs[0])
        if stem.padding != "SAME" or stem.stride != (2, 2) or image.base != self.image or not image.is_base:
            raise WeightsError(f"the stem is not a convolution of the image with stride 2: {WHAT}")
        arrays = {**self.convolution("stem", stem), **arrays}
        activations = {activation(x, "the stem"), activation(features, "head.project")}
        _, _, *size, channels = self.graph.tensors[self.image].shape
        if channels != 3 or len(size) != 2:
            raise WeightsError(f"the image has shape {self.graph.tensors[self.image].shape}, not (1, T, H, W, 3)")
        widths = {
            part: len(arrays[f"{part}.bias"]) for part in ("stem", "head.project", "head.hidden", "head.classifier")
        }
        spec = network_of(layers, widths, (size[0], size[1]), activations, head_activation)
        for place, layer in zip(spec.layers(), layers, strict=True):
            arrays |= {f"{place.name}.{name}": array for name, array in layer.arrays.items()}
        wanted = parameter_shapes(spec)
        return spec, {name: self.fitting(name, arrays, shape) for name, shape in wanted.items()}

    def layer(self, out: Value) -> tuple[FoundLayer, Value]:
        """The bottleneck that ends in `out`, and what it begins from."""
        name = brief(self.graph.tensors[out.base].name)
        add = self.made(out, "ADD", "a layer")
        branch, skip = (self.curves.value(i) for i in add.inputs)
        if not self.is_branch(branch):
            branch, skip = skip, branch
        if not self.is_branch(branch):
            raise WeightsError(f"{name} adds nothing that a depthwise convolution leads to: {WHAT}")
        project = self.made(branch, "CONV_2D", name, curved=True)
        scale = np.asarray(slope(branch, f"the projection before {name}"), np.float32)
        arrays = {"scale": scale, **self.convolution("project", project)}
        features = self.curves.value(project.inputs[0])
        activations = set()
        pools: SqueezeExcitation = "none"
        gate_kind: Gate | None = None
        if self.kind(features) == "MUL":
            self.made(features, "MUL", f"the projection before {name}")
            gates, features = self.gated(features)
            pools, gate_kind, used, se = self.squeeze_excitation(gates, features, name)
            activations.add(used)
            arrays |= se
        last = self.made(features, "DEPTHWISE_CONV_2D", name, curved=True)
        activations.add(activation(features, f"the depthwise convolution before {name}"))
        spatial, frames = last, 1
        before = self.curves.value(last.inputs[0])
        if self.kind(before) == "CONCATENATION":  # of the frames remembered and the present ones
            buffered = self.made(before, "CONCATENATION", name).inputs
            if last.padding != "VALID" or last.stride != (1, 1):
                raise WeightsError(f"the temporal convolution before {name} has another padding or stride: {WHAT}")
            arrays |= self.depthwise("temporal", last)
            frames = arrays["temporal.weight"].shape[2]
            if len(buffered) != 2 or not self.is_input(self.curves.value(buffered[0])):
                raise WeightsError(f"the stream buffer before {name} is not an input of the graph: {WHAT}")
            present = self.curves.value(buffered[1])
            spatial = self.made(present, "DEPTHWISE_CONV_2D", name, curved=True)
            activations.add(activation(present, f"the spatial convolution before {name}"))
            before = self.curves.value(spatial.inputs[0])
        if spatial.padding != "SAME" or spatial.stride not in ((1, 1), (2, 2)):
            raise WeightsError(f"the spatial convolution before {name} has padding {spatial.padding}: {WHAT}")
        arrays |= self.depthwise("spatial", spatial)
        expand = self.made(before, "CONV_2D", name, curved=True)
        activations.add(activation(before, f"the expansion before {name}"))
        arrays |= self.convolution("expand", expand)
        x = self.curves.value(expand.inputs[0])
        stride = spatial.stride[0]
        arrays |= self.skip(skip, x, stride, name)
        expansion, _, height, width = arrays["spatial.weight"].shape
        spec = LayerSpec(expansion, (frames, height, width), squeeze_excitation=pools != "none")
        number = re.search(r"block(\d{1,4})_layer(\d{1,4})/", self.graph.tensors[out.base].name)
        found = FoundLayer(
            number=(int(number[1]), int(number[2])) if number else None,
            spec=spec,
            channels=len(arrays["project.bias"]),
            stride=stride,
            pools=pools,
            gate=gate_kind,
            activations=frozenset(activations),
            arrays=arrays,
        )
        return found, x

    def skip(self, skip: Value, x: Value, stride: int, name: str) -> dict[str, Array]:
        """The projection of the skip; an identity skip has none."""
        if skip.base == x.base and np.array_equal(skip.curve, x.curve) and stride == 1:
            return {}
        convolution = self.made(skip, "CONV_2D", name)
        pooled = self.curves.value(convolution.inputs[0])
        if stride == 2:
            pool = self.made(pooled, "AVERAGE_POOL_2D", f"the skip of {name}")
            if (pool.window, pool.stride, pool.padding) != ((3, 3), (2, 2), "SAME"):
                raise WeightsError(f"the skip of {name} has another pool than 3×3 with stride 2: {WHAT}")
            pooled = self.curves.value(pool.inputs[0])
        if pooled.base != x.base or not np.array_equal(pooled.curve, x.curve):
            raise WeightsError(f"the skip of {name} does not begin where the layer does: {WHAT}")
        return self.convolution("skip.project", convolution)

    def is_branch(self, value: Value) -> bool:
        """Whether a convolution of what a depthwise convolution leads to computes `value`."""
        if self.kind(value) != "CONV_2D":
            return False
        return self.kind(self.curves.value(self.curves.maker[value.base].inputs[0])) in ("DEPTHWISE_CONV_2D", "MUL")

    def gated(self, product: Value) -> tuple[Value, Value]:
        """Gates and features, whose product a projection takes."""
        gates, features = (self.curves.value(i) for i in self.curves.maker[product.base].inputs)
        return (gates, features) if self.kind(gates) == "CONV_2D" else (features, gates)

    def squeeze_excitation(
        self, gates: Value, features: Value, name: str
    ) -> tuple[SqueezeExcitation, Gate, Activation, dict[str, Array]]:
        expand = self.made(gates, "CONV_2D", f"the gates before {name}", curved=True)
        quantized = self.graph.tensors[expand.outputs[0]].dtype in ("int8", "uint8", "int16")
        kind, scale, offset = gate(gates, f"se.expand before {name}", quantized)
        arrays = self.dense("se.expand", expand)
        if (scale, offset) != (1.0, 0.0):
            arrays["se.expand.weight"] = (arrays["se.expand.weight"] * np.float64(scale)).astype(np.float32)
            arrays["se.expand.bias"] = (arrays["se.expand.bias"] * np.float64(scale) + offset).astype(np.float32)
        reduce = self.before(expand, "CONV_2D", f"se.expand before {name}", curved=True)
        used = activation(self.curves.value(expand.inputs[0]), f"se.reduce before {name}")
        arrays |= self.dense("se.reduce", reduce)
        pool = self.curves.value(reduce.inputs[0])
        if self.kind(pool) == "ADD":  # the positional encoding
            addition = self.made(pool, "ADD", f"se.reduce before {name}")
            pool, encoding = (self.curves.value(i) for i in addition.inputs)
            if self.waves(pool):
                pool, encoding = encoding, pool
            if not self.waves(encoding):
                raise WeightsError(f"squeeze-excitation before {name} adds something to its pool: {WHAT}")
            scale = slope(encoding, f"the positional encoding before {name}")
            arrays["se.position_scale"] = np.asarray(scale, np.float32)
        if self.kind(pool) == "CONCATENATION":
            both = self.made(pool, "CONCATENATION", f"se.reduce before {name}")
            so_far, frame = (self.curves.value(i) for i in both.inputs)
            if self.is_mean_so_far(so_far, features) and self.is_mean(frame, features):
                return "cumulative_frame", kind, used, arrays
        elif self.is_mean_so_far(pool, features):
            return "cumulative", kind, used, arrays
        raise WeightsError(
            f"squeeze-excitation before {name} pools over something else than all frames so far, alone or beside the "
            f"present frame: {WHAT}"
        )

    def waves(self, value: Value) -> bool:
        """Whether a value is sines beside cosines."""
        if self.kind(value) != "CONCATENATION":
            return False
        parts = self.curves.maker[value.base].inputs
        values = [self.curves.value(i) for i in parts]
        return [self.kind(v) for v in values] == ["SIN", "COS"] and all(v.is_base for v in values)

    def is_mean(self, value: Value, features: Value) -> bool:
        """Whether a value is the mean of features over the picture, for every frame."""
        if self.kind(value) != "MEAN" or not value.is_base:
            return False
        pooled = self.curves.value(self.curves.maker[value.base].inputs[0])
        of = self.graph.tensors[features.base].shape  # (frames, H, W, C); temporal: (1, frames, H·W, C)
        frames = self.graph.tensors[self.image].shape[1]
        same = pooled.base == features.base and np.array_equal(pooled.curve, features.curve)
        return same and prod(self.graph.tensors[value.base].shape) == frames * of[-1]

    def is_mean_so_far(self, value: Value, features: Value) -> bool:
        """Whether a value is a sum of means, what the state holds among them, divided by their number."""
        if self.kind(value) != "DIV" or not value.is_base:
            return False
        total, count = (self.curves.value(i) for i in self.curves.maker[value.base].inputs)
        if self.kind(total) != "ADD" or self.kind(count) != "CAST" or not total.is_base or not count.is_base:
            return False
        parts = [self.curves.value(i) for i in self.curves.maker[total.base].inputs]
        if len(parts) != 2 or not any(self.is_input(part) for part in parts):
            return False
        present = parts[1] if self.is_input(parts[0]) else parts[0]
        if self.kind(present) == "CUMSUM" and present.is_base:
            present = self.curves.value(self.curves.maker[present.base].inputs[0])
        return self.is_mean(present, features)

    def is_input(self, value: Value) -> bool:
        """Whether a value is an input of the graph as it comes: a state."""
        return value.base not in self.curves.maker and value.is_base and not self.curves.is_constant(value.base)

    def head_pool(self, hidden: TFLiteOperator) -> tuple[TFLiteOperator, Value]:
        """The convolution before the pool over the picture and all frames so far, and what the pool takes of it."""
        where = "head.hidden"
        division = self.before(hidden, "DIV", where)
        total, count = (self.curves.value(i) for i in division.inputs)
        addition = self.made(total, "ADD", where)
        parts = [self.curves.value(i) for i in addition.inputs]
        present = [part for part in parts if not self.is_input(part)]
        if len(parts) != 2 or len(present) != 1 or self.kind(count) != "CAST" or not count.is_base:
            raise WeightsError(f"the pool before head.hidden is not a sum over all frames so far: {WHAT}")
        pool = self.curves.maker.get(present[0].base, division)
        features = self.curves.value(pool.inputs[0])
        shape = self.graph.tensors[features.base].shape
        factor = slope(present[0], "the head's pool")
        pixels = prod(shape[1:-1]) if pool.kind == "SUM" else 1
        if pool.kind not in ("SUM", "MEAN") or abs(factor * pixels - 1) > 0.02:
            raise WeightsError(f"the pool before head.hidden is not the mean over the picture: {WHAT}")
        return self.made(features, "CONV_2D", where, curved=True), features

    def kind(self, value: Value) -> str:
        maker = self.curves.maker.get(value.base)
        return maker.kind if maker else ""

    def made(self, value: Value, kind: str, where: str, curved: bool = False) -> TFLiteOperator:
        """The operator that computed the base of a value.

        Raises:
            WeightsError: it is of another kind, or something changes its numbers and nobody looks at that (`curved`).
        """
        maker = self.curves.maker.get(value.base)
        if maker is None or maker.kind != kind:
            found = brief(maker.kind) if maker else "an input of the graph"
            raise WeightsError(f"expected a {kind} before {where}, found {found}: {WHAT}")
        if not curved and not value.is_base:
            raise WeightsError(f"the result of {kind} is changed before {where}: {WHAT}")
        return maker

    def before(self, operator: TFLiteOperator, kind: str, where: str, curved: bool = False) -> TFLiteOperator:
        return self.made(self.curves.value(operator.inputs[0]), kind, where, curved)

    def weights(self, name: str, operator: TFLiteOperator) -> tuple[Array, Array]:
        if operator.dilation != (1, 1):
            raise WeightsError(f"{name} has dilation {operator.dilation}: {WHAT}")
        weight = self.curves.constant(operator.inputs[1])
        if weight.ndim != 4:
            raise WeightsError(f"{name} has a kernel of shape {weight.shape}: {WHAT}")
        channels = weight.shape[3 if operator.kind == "DEPTHWISE_CONV_2D" else 0]
        if len(operator.inputs) < 3 or operator.inputs[2] < 0:
            return weight, np.zeros(channels, np.float32)
        bias = self.curves.constant(operator.inputs[2])
        if bias.shape != (channels,):
            raise WeightsError(f"{name} has a bias of shape {bias.shape} for {channels} channels: {WHAT}")
        return weight, bias

    def convolution(self, name: str, operator: TFLiteOperator) -> dict[str, Array]:
        """(O, H, W, I) → (O, I, H, W)."""
        weight, bias = self.weights(name, operator)
        return {f"{name}.weight": np.ascontiguousarray(weight.transpose(0, 3, 1, 2)), f"{name}.bias": bias}

    def depthwise(self, name: str, operator: TFLiteOperator) -> dict[str, Array]:
        """(1, H, W, C) → (C, 1, H, W)."""
        weight, bias = self.weights(name, operator)
        return {f"{name}.weight": np.ascontiguousarray(weight.transpose(3, 0, 1, 2)), f"{name}.bias": bias}

    def dense(self, name: str, operator: TFLiteOperator) -> dict[str, Array]:
        """(O, 1, 1, I) → (O, I)."""
        weight, bias = self.weights(name, operator)
        return {f"{name}.weight": weight.reshape(weight.shape[0], weight.shape[-1]), f"{name}.bias": bias}

    def fitting(self, name: str, arrays: dict[str, Array], shape: tuple[int, ...]) -> Array:
        if name not in arrays or arrays[name].shape != shape:
            found = arrays[name].shape if name in arrays else "missing"
            raise WeightsError(f"{name} is {found}, and would have shape {shape} in a MoViNet: {WHAT}")
        return arrays[name]
