"""From a name, a file or a folder to a network that an engine can run."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from movinet.arch.spec import Spec
from movinet.deploy.read_manifest import is_exported, read_manifest
from movinet.errors import MissingExtra, MovinetError, WeightsError
from movinet.reading import encodable
from movinet.runtime.exported import ExportedNetwork, exported_network, foreign_network
from movinet.weights.load import describe, load_weights, read_labels
from movinet.weights.registry import is_on_hub, lookup
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    from movinet.runtime.foreign_tflite import ForeignFile
    from movinet.weights.download import Progress


def open_network(
    source: str | Path,
    *,
    labels: str | Path | Sequence[str] | None = None,
    options: dict[str, Any] | None = None,
    offline: bool = False,
    progress: "Progress | None" = None,
) -> Weights | ExportedNetwork:
    """Find what is to be run.

    Args:
        source: what `load_weights` takes, `hf-hub:owner/name` among it; a folder that `movinet export` wrote, or the
            model in it; or any TFLite file of a stream network with a signature: one whose parts we do not know runs as
            it is.
        labels: one a class in the order of the logits, or a file with one a line, where the network brings none.
        options: as of `load_weights`; exported networks have none.
        offline: use only what is on this machine.
        progress: called with the bytes so far and in all while downloading.

    Returns:
        Weights whose positional encodings stop at the training length, for positions that training never saw carry no
        meaning; or an exported network, as it is.

    Raises:
        WeightsError: the name is unknown, or the file is missing, damaged or of no known kind.
        SpecError: `options` contradict the network.
    """
    if is_on_hub(source):
        from movinet.weights.hub import hub_file

        source = hub_file(source, offline, progress)
    path = Path(source)
    known = isinstance(source, str) and lookup(source) is not None
    if not known and (folder := _exported_folder(path)) is not None:
        if options:
            raise MovinetError(f"{source}: an exported network is as it was exported, without {min(options)!r}")
        network = exported_network(read_manifest(folder))
        if labels is not None:
            network = replace(network, info=network.info.with_labels(read_labels(labels)))
        return network
    try:
        weights = load_weights(source, labels=labels, options=options, offline=offline, progress=progress)
    except WeightsError:
        if known or options or not _is_tflite(path):
            raise
        if not encodable(str(path)):
            raise WeightsError(f"{path}: LiteRT only opens files whose names are UTF-8: rename it") from None
        file = _foreign(path)
        if file is None:
            raise
        return foreign_network(file, read_labels(labels) if labels is not None else None)
    return weights.with_position_limits()


def named_spec(source: str | Path) -> Spec | None:
    """The network that a name stands for, as it is known before anything is downloaded; None for what is no name."""
    entry = lookup(source) if isinstance(source, str) else None
    return None if entry is None else describe(entry).spec


def _exported_folder(path: Path) -> Path | None:
    """The folder that `movinet export` wrote, by itself or by the model that lies in it."""
    if is_exported(path):
        return path
    if path.suffix in (".tflite", ".onnx", ".xml") and path.is_file() and is_exported(path.parent):
        manifest = read_manifest(path.parent)
        return path.parent if manifest.model.name == path.name else None
    return None


def _foreign(path: Path) -> "ForeignFile | None":
    """A TFLite file that can run as it is, if this is one."""
    from movinet.runtime.foreign_tflite import read_foreign
    from movinet.weights.tflite import read_tflite

    try:
        read_tflite(path)  # damaged files end here: LiteRT would crash on them
        return read_foreign(path)
    except (WeightsError, MissingExtra):
        return None


def _is_tflite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(8)[4:] == b"TFL3"
    except OSError:
        return False
