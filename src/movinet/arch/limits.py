"""How large a network may be: far beyond any of use, and small enough that no file asks for all memory there is."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from movinet.errors import SpecError
from movinet.reading import encodable

if TYPE_CHECKING:
    from movinet.arch.spec import EnsembleSpec, NetworkSpec

LONGEST_NAME = 200  # characters
WIDEST = 1 << 16  # channels of a layer
MOST_CLASSES = 1 << 20
MOST_FRAMES = 1 << 20
LARGEST_SIDE = 1 << 14  # pixels
LARGEST_KERNEL = 127  # frames or pixels
MOST_LAYERS = 256
MOST_MEMBERS = 16
MOST_PARAMETERS = 1 << 28  # 1 GiB; the largest published network has 2^24
MOST_ACTIVATIONS = 1 << 28  # numbers of a layer, for one frame, or of all states of a stream
FASTEST, SLOWEST = 1e6, 1e-6  # frames a second


def check_name(name: object) -> None:
    """Raises `SpecError` where a name is none."""
    if not isinstance(name, str) or not name or len(name) > LONGEST_NAME or not encodable(name):
        raise SpecError(f"a network's name is a text of up to {LONGEST_NAME} characters, not {name!r:.80}")


def check_network(spec: "NetworkSpec") -> None:
    """Raises `SpecError` where a network whose fields have the right types is too large."""
    numbers: list[tuple[str, float, float]] = [
        ("stem", spec.stem, WIDEST),
        ("project", spec.project, WIDEST),
        ("hidden", spec.hidden, WIDEST),
        ("num_classes", spec.num_classes, MOST_CLASSES),
        ("frames", spec.frames, MOST_FRAMES),
        ("fps", spec.fps, FASTEST),
        ("position_limit", spec.position_limit or 0, MOST_FRAMES),
        *(("a side of size", side, LARGEST_SIDE) for side in spec.size),
    ]
    for b, block in enumerate(spec.blocks):
        numbers.append((f"blocks[{b}].channels", block.channels, WIDEST))
        for n, layer in enumerate(block.layers):
            numbers.append((f"blocks[{b}].layers[{n}].expansion", layer.expansion, WIDEST))
            numbers += [(f"a size of blocks[{b}].layers[{n}].kernel", k, LARGEST_KERNEL) for k in layer.kernel]
    for what, number, most in numbers:
        if number > most:
            raise SpecError(f"{spec.name}: {what} is {number}; it can be at most {most:g}")
    if spec.fps < SLOWEST:
        raise SpecError(f"{spec.name}: fps is {spec.fps}; it must be at least {SLOWEST:g}")
    if (layers := sum(len(block.layers) for block in spec.blocks)) > MOST_LAYERS:
        raise SpecError(f"{spec.name}: {layers} layers; there can be at most {MOST_LAYERS}")
    _check_parameters(spec.name, [spec])
    states = 0
    for place in spec.layers():
        pixels = place.size[0] * place.size[1]
        states += place.layer.expansion * (place.layer.kernel[0] - 1) * pixels
        if max(place.inputs, place.layer.expansion) * pixels > MOST_ACTIVATIONS or states > MOST_ACTIVATIONS:
            raise SpecError(
                f"{spec.name}: with size {spec.size}, {place.name} and what is before it need more than "
                f"{MOST_ACTIVATIONS >> 18} MiB for a frame; want fewer channels, shorter kernels or a smaller size"
            )


def check_ensemble(spec: "EnsembleSpec") -> None:
    """Raises `SpecError` where members, each of which may be, are too many or too large together."""
    networks = [member.network for member in spec.members]
    layers = sum(len(block.layers) for network in networks for block in network.blocks)
    if len(networks) > MOST_MEMBERS or layers > 2 * MOST_LAYERS:
        raise SpecError(
            f"{spec.name}: {len(networks)} members of {layers} layers; there can be at most {MOST_MEMBERS} members and "
            f"{2 * MOST_LAYERS} layers"
        )
    if max(spec.size) > LARGEST_SIDE or spec.frames > MOST_FRAMES or not SLOWEST <= spec.fps <= FASTEST:
        raise SpecError(f"{spec.name}: size {spec.size}, frames {spec.frames} or fps {spec.fps} is beyond all use")
    _check_parameters(spec.name, networks)


def _check_parameters(name: str, networks: "Iterable[NetworkSpec]") -> None:
    """By the kernels alone, which are nearly all of it."""
    total = 0
    for spec in networks:
        places = spec.layers()
        for place in places:
            channels, (frames, rows, columns) = place.layer.expansion, place.layer.kernel
            total += channels * (place.inputs + place.outputs + frames * rows * columns)
            if spec.has_se(place.layer):
                total += channels**2 * 3 // 2  # to a half, of two pools, and back
        total += spec.project * (places[-1].outputs + spec.hidden) + spec.hidden * spec.num_classes
    if total > MOST_PARAMETERS:
        raise SpecError(
            f"{name}: {total:,} parameters and more; a network can have {MOST_PARAMETERS:,}. Choose fewer channels, "
            "layers or classes, or smaller kernels"
        )
