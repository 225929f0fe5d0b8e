"""From a name or any file people have to the weights of a network.

Downloads and the formats of others are imported by what needs them: most starts read a file of ours.
"""

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.spec import EnsembleSpec, NetworkSpec, SingleSpec, Spec
from movinet.arch.zoo import network_spec
from movinet.errors import WeightsError, needs_extra, printable
from movinet.weights import registry
from movinet.weights.info import WeightsInfo, default_transform
from movinet.weights.safetensors_file import read_info, read_weights
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    from movinet.weights.download import Progress

RUN_WEIGHTS = "model.safetensors"
"""The file of weights in a training run's folder."""

_PYTORCHVIDEO = "PyTorchVideo state dict"
# What 0 and 255 become: its networks were trained with a mean of 0.45 and a deviation of 0.225.
_PYTORCHVIDEO_SCALE = (-0.45 / 0.225, (1 - 0.45) / 0.225)
_EXPORTED = "movinet_manifest.json"  # in the folder of an exported network (`deploy/read_manifest.py`)
_MODELS = (".tflite", ".onnx", ".xml")  # the files there that are taken for the folder

Arrays = dict[str, NDArray[np.float32]]
AnySpec = TypeVar("AnySpec", NetworkSpec, EnsembleSpec, Spec)


def load_weights(
    source: str | Path,
    *,
    labels: str | Path | Sequence[str] | None = None,
    spec: Spec | None = None,
    options: dict[str, Any] | None = None,
    offline: bool = False,
    progress: "Progress | None" = None,
) -> Weights:
    """Load weights by name or from a file of any kind we know.

    A string that is a name of `movinet models` means those weights, and `hf-hub:owner/name` those of a repository on
    the Hugging Face Hub; any other string, and every `Path`, is a file.

    Args:
        source: a name (`movinet_a2_stream.k600`, or just `movinet_a2_stream`) or a file: our safetensors (or the
            folder of the run they come from), a TensorFlow checkpoint or SavedModel (`.tar.gz`, folder, prefix or
            `.index`), a `.tflite` of a stream network, or a state dict of MoViNet-pytorch, or PyTorchVideo's of a
            network to compare with (which want PyTorch).
        labels: one a class in the order of the logits, or a file with one a line, where the weights bring none.
        spec: which network the file holds, where it cannot tell itself; what is loaded is of this specification.
        options: fields of the specification that the file cannot tell, such as {"gate": "hard_sigmoid_garden"}.
        offline: use only what is on this machine.
        progress: called with the bytes so far and in all while downloading.

    Raises:
        WeightsError: the name is unknown, or the file is missing, damaged or of no known kind.
        SpecError: `options` contradict the network.
    """
    entry = registry.lookup(source) if isinstance(source, str) else None
    if registry.is_on_hub(source):
        from movinet.weights.hub import hub_file

        arrays, info = read_any(hub_file(source, offline, progress), spec, options)
    elif entry:
        arrays, info = _read_entry(entry, options, offline, progress)
        if spec is not None and spec != info.spec:
            raise WeightsError(f"{source}: the name says which network it is; spec= is for files (options= changes it)")
    else:
        arrays, info = read_any(Path(source), spec, options)
    if labels is not None:
        info = info.with_labels(read_labels(labels))
    with _naming(source):
        return Weights(info, arrays)


def read_any(path: Path, spec: Spec | None = None, options: dict[str, Any] | None = None) -> tuple[Arrays, WeightsInfo]:
    """Parameters under our names and what is known of them, from a file of any kind we know.

    Raises:
        WeightsError: the file is missing, damaged or of no known kind.
    """
    if (path / RUN_WEIGHTS).is_file():
        path /= RUN_WEIGHTS
    if (path / _EXPORTED).is_file() or (path.suffix in _MODELS and path.with_name(_EXPORTED).is_file()):
        raise WeightsError(
            f"{path}: a network exported for another runtime, which classify, watch, evaluate, scan and serve take; "
            "here the weights are wanted that it was exported from"
        )
    head = _head(path)
    if path.suffix == ".safetensors" or head[8:] == b"{":
        arrays, info = read_weights(path)
        return arrays, info.with_spec(_with_options(spec or info.spec, options))
    if isinstance(spec, EnsembleSpec):
        raise WeightsError(f"{path}: only our own safetensors files hold ensembles; load the members one by one")
    if head[:2] in (b"PK", b"\x80\x02"):
        arrays, spec, source = _from_pickle(path, spec)
    elif isinstance(spec, BaselineSpec):
        raise WeightsError(f"{path}: weights of {spec.name} are read from our own files and PyTorchVideo's state dicts")
    elif head[4:8] == b"TFL3":
        arrays, spec = _from_tflite(path, spec, options)
        source = "TFLite file"
    elif not path.is_file() or head[:2] == b"\x1f\x8b" or path.suffix in (".tar", ".index") or ".data-" in path.name:
        arrays, spec, source = _from_checkpoint(path, spec)
    elif head[:8] == b"\x89HDF\r\n\x1a\n":
        raise WeightsError(
            f"{path}: an HDF5 file, which is not read here; save the model as a TensorFlow checkpoint, with "
            "tf.train.Checkpoint(model=model).write(...) or model.save_weights(...) without .h5"
        )
    elif path.suffix in (".yaml", ".yml"):
        raise WeightsError(
            f"{path}: a specification says what a network is, and has no weights: train it first, and give the "
            "model.safetensors of that run"
        )
    else:
        raise WeightsError(
            f"{path}: not a weights file we know; safetensors, a TensorFlow checkpoint or its .tar.gz, a "
            ".tflite and a MoViNet-pytorch state dict are"
        )
    spec = _with_options(spec, options)
    name = f"{spec.name}.{path.name.split('.')[0]}"
    transform = default_transform(spec)
    if source == _PYTORCHVIDEO:
        transform = replace(transform, scale=_PYTORCHVIDEO_SCALE)
    return arrays, WeightsInfo(name, spec, transform, source=f"{source} {path.name}")


def read_labels(path: str | Path | Sequence[str]) -> tuple[str, ...]:
    """Labels of a file, one a line; or, where the path is none and has commas, what is between them. Those that are
    there already are taken as they are.

    Raises:
        WeightsError: the file cannot be read, or is empty.
    """
    if not isinstance(path, str | Path):
        return tuple(printable(label) for label in path)
    if "," in str(path) and not Path(path).exists():
        return tuple(printable(label.strip()) for label in str(path).split(",") if label.strip())
    try:
        lines = Path(path).read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WeightsError(f"{path}: cannot read the labels: {error}") from error
    labels = tuple(printable(line.strip()) for line in lines if line.strip())
    if not labels:
        raise WeightsError(f"{path}: there are no labels in it")
    return labels


def describe(entry: registry.Entry) -> WeightsInfo:
    """What is known of named weights before they are downloaded: all but the labels.

    Raises:
        WeightsError: bundled weights are damaged.
    """
    if entry.bundled:
        return read_info(registry.bundled_file(entry))
    spec = _with_options(network_spec(entry.architecture), dict(entry.options))
    accuracy = {k: v for k, v in (("top-1", entry.top1), ("top-5", entry.top5)) if v is not None}
    return WeightsInfo(
        entry.name, spec, default_transform(spec), None, entry.license, entry.source, accuracy, entry.notes
    )


def _read_entry(
    entry: registry.Entry, options: dict[str, Any] | None, offline: bool, progress: "Progress | None"
) -> tuple[Arrays, WeightsInfo]:
    if entry.bundled:
        return read_any(registry.bundled_file(entry), options=options)
    info = describe(entry)
    if entry.members:
        parts = [_read_entry(registry.find(name), options, offline, progress) for name in entry.members]
        assert isinstance(info.spec, EnsembleSpec)
        networks = [part.spec for _, part in parts if isinstance(part.spec, NetworkSpec)]
        members = zip(info.spec.members, networks, strict=True)
        whole = replace(info.spec, members=tuple(replace(member, network=network) for member, network in members))
        arrays = {f"members.{i}.{k}": v for i, (part, _) in enumerate(parts) for k, v in part.items()}
        return arrays, replace(info, spec=whole, labels=parts[0][1].labels)
    assert entry.address is not None
    from movinet.weights.download import fetch

    spec, labels = _with_options(info.spec, options), None
    path = fetch(entry.address, sha256=entry.sha256, offline=offline, progress=progress)
    arrays, found = read_any(path, None, options) if entry.tells_itself else read_any(path, spec)
    if entry.tells_itself:
        if found.spec.name != entry.architecture:
            raise WeightsError(f"{entry.name}: {path} holds another network than its name says ({found.spec.name})")
        spec = found.spec
    if entry.labels_address:
        labels = read_labels(fetch(entry.labels_address, sha256=None, offline=offline))
    return arrays, replace(info.with_spec(spec), labels=labels)


def _head(path: Path) -> bytes:
    """The first nine bytes of a file; none of a folder or a checkpoint's prefix."""
    if path.is_dir() or path.with_name(f"{path.name}.index").is_file():
        return b""
    try:
        with path.open("rb") as file:
            return file.read(9)
    except FileNotFoundError as error:
        raise WeightsError(f"{path}: no such file{registry.suggestion(str(path))}") from error
    except OSError as error:
        raise WeightsError(f"{path}: cannot be read: {error.strerror or error}") from error


@contextmanager
def _naming(source: str | Path) -> Iterator[None]:
    """A message about what a file holds says which file."""
    try:
        yield
    except WeightsError as error:
        raise WeightsError(f"{source}: {error}") from error


def _with_options(spec: AnySpec, options: dict[str, Any] | None) -> AnySpec:
    return spec.with_options(**options) if options else spec


def _from_checkpoint(path: Path, spec: NetworkSpec | None) -> tuple[Arrays, NetworkSpec, str]:
    from movinet.weights import tensorflow
    from movinet.weights.tf_bundle import read_checkpoint
    from movinet.weights.tf_objects import find_objects

    checkpoint = read_checkpoint(path)
    with _naming(path):
        network = find_objects(checkpoint.tensors, checkpoint.graph)
        form = tensorflow.find_form(network.variables)
        spec = spec or tensorflow.find_network(network)
        variables, source = network.variables, "TensorFlow checkpoint"
        if network.averaged:
            source += " (the moving averages of its weights)"
        if not network.has_head:
            variables = tensorflow.with_new_head(variables, spec, form)
            source += " (of a backbone alone: the head is new and untrained)"
            warnings.warn(f"{path}: a backbone without its classifier; train the new head before use", stacklevel=4)
        return tensorflow.from_tensorflow(variables, spec, form), spec, source


def _from_tflite(path: Path, spec: NetworkSpec | None, options: dict[str, Any] | None) -> tuple[Arrays, NetworkSpec]:
    from movinet.weights.tflite import read_tflite
    from movinet.weights.tflite_network import extract_movinet
    from movinet.weights.tflite_spec import fit_network

    graph = read_tflite(path)
    with _naming(path):
        found, arrays = extract_movinet(graph)
        wanted = _with_options(spec or found, options)
        return fit_network(found, arrays, wanted), wanted


def _from_pickle(path: Path, spec: SingleSpec | None) -> tuple[Arrays, SingleSpec, str]:
    with needs_extra("torch"):
        from movinet.baselines.pytorchvideo import is_pytorchvideo, read_pytorchvideo
        from movinet.nn.movinet_pytorch import load_tensors, read_state_dict

    if not isinstance(spec, NetworkSpec) and is_pytorchvideo(loaded := load_tensors(path)):
        with _naming(path):
            return *read_pytorchvideo(loaded, path.stem, spec), _PYTORCHVIDEO
    if isinstance(spec, BaselineSpec):
        raise WeightsError(f"{path}: no state dict of PyTorchVideo, which alone has weights of {spec.name}")
    return *read_state_dict(path, spec), "MoViNet-pytorch state dict"
