"""From a network to a folder that a program elsewhere can use: the model, its manifest, and proof that it runs."""

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.layer_spec import Size
from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.arch.step import StateLayout
from movinet.deploy.graph_clip import Clip, Lowered
from movinet.deploy.graph_step import Step
from movinet.deploy.network import folded_network
from movinet.deploy.read_manifest import MANIFEST
from movinet.errors import MovinetError, needs_extra
from movinet.export.exported_folder import file_hashes, new_folder
from movinet.export.verify import Checked, check
from movinet.export.write_manifest import describe, manifest_text, transform_for
from movinet.export.written import PRECISIONS, Format, Precision, Written
from movinet.reading import encodable
from movinet.weights.weights import Weights


@dataclass(frozen=True)
class Exported:
    """A folder with an exported network, and how it compared with the network itself (None: nothing here runs it)."""

    folder: Path
    manifest: dict[str, Any]
    checked: Checked | None


def export(
    weights: Weights,
    to: Format,
    folder: str | Path,
    *,
    size: Size | None = None,
    past: StateLayout | None = None,
    frames: int | None = None,
    streams: int = 1,
    precision: Precision = "float32",
    force: bool = False,
) -> list[Exported]:
    """Write a network in another format, run what was written, and compare its answers with the network's own.

    A stream network becomes its step, positions ending at the training length; a base network takes whole clips. Of an
    ensemble every member gets a folder of its own, and the manifest above says how their answers join.

    Args:
        weights: the network.
        to: the format.
        folder: to make; whole or not at all.
        size: (height, width) of the frames; the weights' own by default.
        past: how the step holds the past; what suits the format by default.
        frames: a step takes at once, 1 by default; of a base network's clip, its own by default.
        streams: rows of a batch.
        precision: of the weights.
        force: replace an earlier export. Only the files that its manifest lists go; one that was changed since is
            refused.

    Returns:
        What was written: one entry, or one a member.

    Raises:
        MovinetError: the format cannot have this network, its packages are missing, the folder exists or cannot be
            written, or the written file answers otherwise than the network.
    """
    if not encodable(str(folder)):
        raise MovinetError(f"{folder}: runtimes only open folders whose names are UTF-8: choose another name")
    if isinstance(weights.spec, BaselineSpec):
        raise MovinetError(f"{weights.spec.name} is a network to compare with: PyTorch alone runs it, no other runtime")
    weights = weights.with_position_limits()
    with new_folder(Path(folder), force) as part:
        how = _How(to, size, past, frames, streams, precision)
        if isinstance(weights.spec, EnsembleSpec):
            return _export_members(weights, weights.spec, how, part, Path(folder))
        return [_export_one(weights, how, part, Path(folder))]


@dataclass(frozen=True)
class _How:
    to: Format
    size: Size | None
    past: StateLayout | None
    frames: int | None
    streams: int
    precision: Precision


def _export_one(weights: Weights, how: _How, part: Path, folder: Path) -> Exported:
    info = weights.info
    info = replace(info, transform=transform_for(info.transform, how.size or info.transform.size))
    lowered = _lowered(weights, info.transform.size, how)
    written = _write(lowered, how, part, info.labels)
    manifest = {"movinet": version("movinet")} | describe(
        lowered, how.streams, how.to, how.precision, written, info, weights.hash
    )
    checked = check(manifest, written.run, weights) if written.run else None
    manifest["checked"] = checked and {
        "with": written.runtime,
        "frames": checked.frames,
        "largest_difference": checked.largest_difference,
        "largest_logit": checked.largest_logit,
    }
    manifest["files"] = file_hashes(part)
    _write_json(part / MANIFEST, manifest)
    return Exported(folder, manifest, checked)


def _export_members(weights: Weights, spec: EnsembleSpec, how: _How, part: Path, folder: Path) -> list[Exported]:
    info = weights.info
    found, entries = [], []
    whole = transform_for(info.transform, how.size or info.transform.size)
    for i, (member, network) in enumerate(zip(spec.members, weights.members(), strict=True)):
        transform = replace(
            transform_for(whole, spec.member_size(member, whole.size)), fps=spec.fps * float(member.rate)
        )
        name = f"member-{i}"
        (part / name).mkdir()
        own = replace(network, info=replace(network.info, transform=transform))
        found.append(_export_one(own, replace(how, size=None), part / name, folder / name))
        entries.append(
            {"folder": name, "network": member.network.name, "rate": str(member.rate), "offset": member.offset}
        )
    manifest = {
        "movinet": version("movinet"),
        "format": how.to,
        "name": info.name,
        "sha256": weights.hash,
        "network": spec.name,
        "spec": spec.to_dict(),
        "transform": whole.to_dict(),
        "fps": spec.fps,
        "members": entries,
        "takes": "a member takes frame t (from 0) if n = t - offset >= 0 and floor(n * rate) > floor((n - 1) * rate)",
        "answer": "the mean of the newest logits of the members that have seen a frame, then as each of them says",
        "files": file_hashes(part),
    }
    _write_json(part / MANIFEST, manifest)
    return found


def _lowered(weights: Weights, size: Size, how: _How) -> Lowered:
    spec = weights.spec
    assert isinstance(spec, NetworkSpec)
    if spec.causal:
        past = how.past or ("frames" if how.to in ("litert", "browser") else "partial_sums")
        return Step(folded_network(weights, size), past, how.frames or 1)
    if how.past is not None:
        raise MovinetError(f"{spec.name} is a base network: it has no past to hold; leave --past out")
    if how.to not in ("onnx", "openvino"):
        raise MovinetError(
            f"{spec.name} is a base network, which goes to onnx and openvino only; {how.to} takes stream networks"
        )
    return Clip(folded_network(weights, size), how.frames or spec.frames)


def _write(lowered: Lowered, how: _How, folder: Path, labels: tuple[str, ...] | None) -> Written:
    if how.to in PRECISIONS and how.precision not in PRECISIONS[how.to]:
        raise MovinetError(f"{how.to} has {' and '.join(PRECISIONS[how.to])}, not {how.precision}")
    match how.to:
        case "onnx":
            from movinet.export.onnx import write_onnx

            return write_onnx(lowered, how.streams, folder, how.precision)
        case "openvino":
            from movinet.export.openvino import write_openvino

            return write_openvino(lowered, how.streams, folder, half=how.precision == "float16")
        case "browser" if isinstance(lowered, Step):
            from movinet.export.browser import write_browser

            return write_browser(lowered, how.streams, folder, how.precision, labels)
        case "litert" if isinstance(lowered, Step):
            from movinet.export.litert_file import write_litert

            return write_litert(lowered, how.streams, folder, how.precision)
        case "executorch" if isinstance(lowered, Step):
            with needs_extra("executorch"):
                from movinet.export.executorch import write_executorch

            return write_executorch(lowered, how.streams, folder)
        case "coreml" if isinstance(lowered, Step):
            with needs_extra("coreml"):
                from movinet.export.coreml import write_coreml

            return write_coreml(lowered, how.streams, folder, how.precision)
        case _:
            raise MovinetError(f"{how.to}: no such format; choose one of {', '.join(PRECISIONS)}")


def _write_json(path: Path, value: dict[str, Any]) -> None:
    path.write_text(f"{manifest_text(value)}\n", encoding="utf-8")
