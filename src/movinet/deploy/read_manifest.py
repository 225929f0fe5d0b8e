"""The manifest of an exported network, as a program reads it."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from movinet.arch.spec import EnsembleSpec, NetworkSpec, Spec, spec_from_dict
from movinet.arch.step import StateLayout
from movinet.errors import MovinetError, WeightsError, brief, printable
from movinet.reading import encodable, parse_json
from movinet.video.transform import Transform
from movinet.weights.info import WeightsInfo

MANIFEST = "movinet_manifest.json"
_MAX_BYTES = 2**24


@dataclass(frozen=True)
class Manifest:
    """What is in a folder that `movinet export` wrote.

    Args:
        folder: the folder.
        info: of the network, its transform for the size it was exported for.
        hash: of the weights it was made of.
        format: such as "litert".
        model: the file; of an ensemble, the folder itself.
        precision: of the weights in it.
        streams: rows of a batch.
        frames: of a step, or of a base network's clip.
        past: how a step holds it; None of a base network.
        members: of an ensemble, in order.
    """

    folder: Path
    info: WeightsInfo
    hash: str
    format: str
    model: Path
    precision: str = "float32"
    streams: int = 1
    frames: int = 1
    past: StateLayout | None = None
    members: "tuple[Manifest, ...]" = ()


def is_exported(path: Path) -> bool:
    """Whether a folder is one that `movinet export` wrote."""
    return (path / MANIFEST).is_file()


def read_manifest(folder: Path) -> Manifest:
    """Read and check a manifest.

    Raises:
        WeightsError: it cannot be read, or does not say what it should.
    """
    return _read(folder, member=False)


def _read(folder: Path, member: bool) -> Manifest:
    path = folder / MANIFEST
    if not encodable(str(folder)):
        raise WeightsError(f"{folder}: runtimes only open folders whose names are UTF-8: rename it")
    try:
        with path.open("rb") as file:
            data = parse_json(file.read(_MAX_BYTES))
        if "members" not in data:
            return _network(folder, data)
        if member:  # by way of links it might be a member of itself
            raise MovinetError("a member of an ensemble is no ensemble")
        return _ensemble(folder, data)
    except OSError as error:
        raise WeightsError(f"{error.filename or path}: cannot be read: {error.strerror or error}") from error
    except KeyError as error:
        raise WeightsError(f"{path}: lacks {error}: export the network again") from error
    except (TypeError, AttributeError, ValueError) as error:  # MovinetErrors are ValueErrors
        raise WeightsError(f"{path}: {error}") from error


def _network(folder: Path, data: dict[str, Any]) -> Manifest:
    spec, weights = spec_from_dict(data["spec"]), data["weights"]
    if not isinstance(spec, NetworkSpec):
        raise MovinetError("an ensemble without members")
    past = data["past"]
    if spec.causal and past not in get_args(StateLayout):
        raise MovinetError(f"the past is held as {brief(past)}")
    streams, frames = data["streams"], data["frames"]
    if type(streams) is not int or type(frames) is not int or min(streams, frames) < 1:
        raise MovinetError(f"streams and frames are {brief(streams)} and {brief(frames)}")
    described = {key: weights[key] for key in ("name", "license", "source", "accuracy")}
    described |= {key: data[key] for key in ("spec", "transform", "labels")}
    described |= {key: data.get(key) for key in ("background", "operating_point")}
    multi_label = data["answer"].startswith("sigmoid")
    info = WeightsInfo.from_dict(described | {"notes": "", "multi_label": multi_label})
    form, model = _text(data["format"]), _inside(data["model"])
    needed = (model, str(Path(model).with_suffix(".bin"))) if form == "openvino" else (model,)
    _check_files(folder, data["files"], needed)
    precision = _text(data["precision"])
    return Manifest(folder, info, _text(weights["sha256"]), form, folder / model, precision, streams, frames, past)


def _ensemble(folder: Path, data: dict[str, Any]) -> Manifest:
    spec: Spec = spec_from_dict(data["spec"])
    entries = data["members"]
    if not isinstance(spec, EnsembleSpec) or len(entries) != len(spec.members):
        raise MovinetError("the members are not those of its specification")
    for entry, member in zip(entries, spec.members, strict=True):
        if (entry["rate"], entry["offset"]) != (str(member.rate), member.offset):
            raise MovinetError(f"{brief(entry['folder'])} is not the member its specification says")
    form = _text(data["format"])
    members = tuple(_read(folder / _inside(entry["folder"]), member=True) for entry in entries)
    for found, member in zip(members, spec.members, strict=True):
        if (found.info.spec, found.format, found.streams) != (member.network, form, members[0].streams):
            raise MovinetError(f"{found.folder.name} is not the member its specification says")
    info = replace(
        members[0].info, name=_text(data["name"]), spec=spec, transform=Transform.from_dict(data["transform"])
    )
    return Manifest(folder, info, _text(data["sha256"]), form, folder, members=members)


def _check_files(folder: Path, files: dict[str, Any], needed: tuple[str, ...]) -> None:
    """What a runtime maps into memory must be what was written: runtimes crash on damaged files."""
    for name in needed:
        if name not in files:
            raise MovinetError(f"{brief(name)} is not among the files that were exported")
    for name, entry in files.items():
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or ".." in parts:
            raise MovinetError(f"{brief(name)} is no name of a file in the folder")
        with folder.joinpath(*parts).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != entry["sha256"]:
                raise MovinetError(f"{brief(name)} is damaged, or not the file that was exported")


def _inside(name: Any) -> str:
    """A plain name of something in the folder."""
    if not isinstance(name, str) or Path(name).name != name or name in ("", ".", ".."):
        raise MovinetError(f"{brief(name)} is no name of a file in the folder")
    return name


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise MovinetError(f"{brief(value)} should be a text")
    return printable(value)
