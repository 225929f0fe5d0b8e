"""The names and shapes of a network's parameters and statistics, from its specification alone."""

from movinet.arch.count import se_hidden
from movinet.arch.spec import EnsembleSpec, NetworkSpec

Shape = tuple[int, ...]


def parameter_shapes(spec: NetworkSpec | EnsembleSpec) -> dict[str, Shape]:
    """Every array of a network, named as in the state dict of `MoViNet`, without batch norm's count of batches.

    An ensemble's are those of its members under `members.0.`, `members.1.` and so on.
    """
    if isinstance(spec, EnsembleSpec):
        return {
            f"members.{i}.{name}": shape
            for i, member in enumerate(spec.members)
            for name, shape in parameter_shapes(member.network).items()
        }
    shapes = _convolution("stem", (spec.stem, 3, 3, 3), spec)
    for place in spec.layers():
        name, layer = place.name, place.layer
        (kt, kh, kw), expansion = layer.kernel, layer.expansion
        shapes |= _convolution(f"{name}.expand", (expansion, place.inputs, 1, 1), spec)
        if kt > 1 and spec.convolution == "3d":
            shapes |= _convolution(f"{name}.volume", (expansion, 1, kt, kh, kw), spec)
        else:
            shapes |= _convolution(f"{name}.spatial", (expansion, 1, kh, kw), spec)
            if kt > 1:
                shapes |= _convolution(f"{name}.temporal", (expansion, 1, kt, 1), spec)
        if spec.has_se(layer):
            hidden = se_hidden(expansion, spec)
            seen = expansion * (2 if spec.squeeze_excitation == "cumulative_frame" else 1)
            shapes |= _dense(f"{name}.se.reduce", seen, hidden) | _dense(f"{name}.se.expand", hidden, expansion)
            if spec.positional_encoding:
                shapes[f"{name}.se.position_scale"] = ()
        shapes |= _convolution(f"{name}.project", (place.outputs, expansion, 1, 1), spec)
        if spec.rezero:
            shapes[f"{name}.scale"] = ()
        if place.projects_skip:
            shapes |= _convolution(f"{name}.skip.project", (place.outputs, place.inputs, 1, 1), spec)
    shapes |= _convolution("head.project", (spec.project, spec.blocks[-1].channels, 1, 1), spec)
    shapes |= _dense("head.hidden", spec.project, spec.hidden)
    return shapes | (_dense("head.classifier", spec.hidden, spec.num_classes) if spec.num_classes else {})


def _convolution(name: str, kernel: Shape, spec: NetworkSpec) -> dict[str, Shape]:
    channels = kernel[:1]
    if spec.norm == "folded":
        return {f"{name}.weight": kernel, f"{name}.bias": channels}
    norm = ("weight", "bias", "running_mean", "running_var")
    return {f"{name}.weight": kernel} | {f"{name}.norm.{part}": channels for part in norm}


def _dense(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}
