"""The description that goes with an exported network: all a program needs to feed it and to read its answers."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

from movinet.arch.layer_spec import Size
from movinet.arch.step import CLIP, DECAY, FRAMES, TensorSpec
from movinet.deploy.graph_clip import Lowered
from movinet.deploy.graph_step import Step
from movinet.deploy.read_manifest import MANIFEST, read_manifest
from movinet.errors import MovinetError
from movinet.export.written import Format, Precision, Written
from movinet.files import write_atomically
from movinet.reading import parse_json
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo

_NUMBERS = re.compile(r"\[\n\s+([-\d.,\s]+?)\n\s+\]")


def describe(
    lowered: Lowered,
    streams: int,
    to: Format,
    precision: Precision,
    written: Written,
    info: WeightsInfo,
    weights: str,
) -> dict[str, Any]:
    """The manifest of one network, ready for JSON; docs/export.md says what its entries mean.

    Args:
        lowered: what was written.
        streams: rows of a batch.
        to, precision, written: how.
        info: of the weights, with the transform of this size.
        weights: their hash.
    """
    signature = lowered.signature

    def named(name: str) -> str:
        return name.replace(".", written.dots)

    def tensor(port: TensorSpec) -> dict[str, Any]:
        rows = streams * lowered.frames if port.name == FRAMES else streams
        shape = written.shapes.get(port.name) or (rows, *port.shape)
        return {"name": named(port.name), "shape": list(shape), "dtype": port.dtype}

    manifest = {
        "format": to,
        "model": written.model,
        "precision": precision,
        **written.details,
        "network": lowered.spec.name,
        "spec": info.spec.to_dict(),
        "past": lowered.past if isinstance(lowered, Step) else None,
        "streams": streams,
        "frames": lowered.frames,
        "fps": info.transform.fps,
        "input": tensor(signature.inputs[0]) | {"layout": _layout(lowered, written.channels_last)},
        "outputs": [tensor(port) for port in signature.outputs],
        "answer": "sigmoid of logits" if info.multi_label else "softmax of logits",
        "labels": list(info.labels) if info.labels else None,
        "background": info.background,
        "operating_point": _point(info),
        "transform": info.transform.to_dict(),
        "weights": {
            "name": info.name,
            "sha256": weights,
            "license": info.license,
            "source": info.source,
            "accuracy": dict(info.accuracy),
        },
    }
    if signature.state:
        manifest["state"] = [
            tensor(port)
            | {
                "initial": lowered.spec.decay if port.name == DECAY else 0,
                "next": named(signature.next_state[port.name]),
            }
            for port in signature.state
        ]
        manifest["forgetting"] = (
            f"{DECAY} = 1 never forgets, which is right for clips; a stream that begins with "
            f"exp(-1 / (seconds * {info.transform.fps:g})) forgets what is older than some seconds"
        )
    return manifest


def set_operating_point(folder: Path, info: WeightsInfo) -> None:
    """Write the thresholds and the background of weights into an export of them; all else in its manifest stays.

    Raises:
        MovinetError: it is no export of one network, or cannot be written.
    """
    if read_manifest(folder).members:
        raise MovinetError(f"{folder}: of an ensemble: write them into its weights, and export it again")
    path = folder / MANIFEST
    manifest = parse_json(path.read_bytes())
    entries = {"background": info.background, "operating_point": _point(info)}
    write_atomically(path, f"{manifest_text(manifest | entries)}\n".encode())


def manifest_text(manifest: dict[str, Any]) -> str:
    """As it is written: lists of numbers on one line each."""
    text = json.dumps(manifest, indent=1, ensure_ascii=False)
    return _NUMBERS.sub(lambda found: f"[{' '.join(found[1].split())}]", text)


def _point(info: WeightsInfo) -> dict[str, Any] | None:
    return None if info.operating_point is None else info.operating_point.to_dict()


def transform_for(transform: Transform, size: Size) -> Transform:
    """The same part of the picture for a network of another size."""
    resize_short = round(transform.resize_short * min(size) / min(transform.size))
    return replace(transform, size=size, resize_short=max(1, resize_short))


def _layout(lowered: Lowered, channels_last: bool) -> str:
    if lowered.signature.inputs[0].name == CLIP:
        return "stream, RGB, frame, height, width"
    rows = "stream" if lowered.frames == 1 else "frame and stream (the streams' first frames, their second, ...)"
    return f"{rows}, height, width, RGB" if channels_last else f"{rows}, RGB, height, width"
