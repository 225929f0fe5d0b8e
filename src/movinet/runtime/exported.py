"""Networks in files for one runtime, exported here or written by somebody else: models like any other."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from movinet.arch.baseline_spec import BaselineSpec
from movinet.arch.spec import EnsembleSpec, NetworkSpec
from movinet.arch.step import CLIP, DECAY, FRAMES, LOGITS, step_signature
from movinet.deploy.litert_tensors import file_shape
from movinet.deploy.read_manifest import Manifest
from movinet.deploy.run_file import Run, Tensors, run_onnx, run_openvino
from movinet.errors import MovinetError
from movinet.files import dump_json
from movinet.runtime.engine import Clips, Engine, Logits
from movinet.runtime.ensemble_engine import EnsembleEngine
from movinet.runtime.foreign_tflite import ForeignFile
from movinet.runtime.litert_engine import LiteRTEngine, LiteRTFile
from movinet.runtime.run_engine import RunEngine
from movinet.runtime.seat import Network
from movinet.weights.info import WeightsInfo
from movinet.words import counted

_RUNTIMES = {"litert": "litert", "onnx": "onnx", "browser": "litert", "openvino": "openvino"}


@dataclass(frozen=True, eq=False)
class ExportedNetwork:
    """A network that is ready for one runtime, which alone can run it."""

    info: WeightsInfo
    hash: str  # of the weights it was made of; of a foreign file, of the file
    source: Manifest | ForeignFile

    @property
    def spec(self) -> NetworkSpec | EnsembleSpec:
        spec = self.info.spec
        assert not isinstance(spec, BaselineSpec)  # no folder is exported of one
        return spec

    @property
    def precision(self) -> str:
        """Of the weights in the file, as far as is known."""
        if isinstance(self.source, ForeignFile):
            return "its own"
        return (self.source.members or (self.source,))[0].precision

    @property
    def kind(self) -> str:
        """The engine that runs it.

        Raises:
            MovinetError: none here does.
        """
        to = "litert" if isinstance(self.source, ForeignFile) else self.source.format
        if to not in _RUNTIMES:
            raise MovinetError(
                f"{self.info.name} was exported to {to}, which runs elsewhere; here run exports to litert, onnx and "
                "openvino, and the weights themselves"
            )
        return _RUNTIMES[to]


def exported_network(manifest: Manifest) -> ExportedNetwork:
    """What `movinet export` wrote."""
    return ExportedNetwork(manifest.info, manifest.hash, manifest)


def answers_hash(network: Network) -> str:
    """SHA-256 over all that decides what a network says, but for its engine and labels: its arrays, what it computes
    with them, what it wants of a frame, and how an exported file holds it."""
    info = network.info
    precision, clip_frames = "float32", None
    if isinstance(network, ExportedNetwork) and isinstance(network.source, Manifest):
        precision, clip_frames = network.precision, None if info.spec.causal else network.source.frames
    what = [network.hash, info.spec.to_dict(), info.transform.to_dict(), info.multi_label, precision, clip_frames]
    return hashlib.sha256(dump_json(what).encode()).hexdigest()


def precision_of(network: object, engine: Engine[Any]) -> str:
    """What a network in use computes in: an exported one in what its file holds, any other in what its engine does."""
    return network.precision if isinstance(network, ExportedNetwork) else engine.precision


def foreign_network(file: ForeignFile, labels: tuple[str, ...] | None) -> ExportedNetwork:
    """A TFLite file that is not ours and holds no network we know the parts of; it runs as it is."""
    info = replace(file.info, labels=None) if labels is None else file.info.with_labels(labels)
    return ExportedNetwork(info, hashlib.sha256(file.path.read_bytes()).hexdigest(), file)


def exported_engine(network: ExportedNetwork, threads: int | None = None) -> Engine[Any]:
    """What runs an exported stream network, or every member of an ensemble.

    Args:
        network: it decides on streams, frames and precision.
        threads: of the processor.

    Raises:
        MovinetError: the file cannot be loaded, or steps by several frames.
    """
    source = network.source
    if isinstance(source, ForeignFile):
        return LiteRTEngine(source.step_file(), threads=threads)
    if isinstance(network.spec, EnsembleSpec):
        members = [exported_engine(exported_network(member), threads) for member in source.members]
        return EnsembleEngine(network.spec, members, network.info.transform.size)
    _ = network.kind
    if source.frames != 1:
        raise MovinetError(f"{source.folder}: steps by {source.frames} frames at once; export it with one")
    assert source.past is not None
    signature = step_signature(network.spec, network.info.transform.size, source.past)
    streams, decay = source.streams, network.spec.decay
    if network.kind == "litert":
        from movinet.weights.tflite import read_tflite

        read_tflite(source.model)  # LiteRT crashes on files that point outside themselves; hashes may be anybody's
        ports = (*signature.inputs, *signature.outputs)
        shapes = {port.name: (file_shape(port, streams), port.dtype) for port in ports}
        file = LiteRTFile(source.model, signature, shapes, network.spec.num_outputs, {DECAY: decay})
        return LiteRTEngine(file, threads=threads)
    channels_last = network.kind == "openvino"
    declared = {
        port.name: ((streams, *port.shape), str(port.dtype)) for port in (*signature.inputs, *signature.outputs)
    }
    if channels_last:
        declared[FRAMES] = ((streams, *network.info.transform.size, 3), "float32")
    return RunEngine(
        _run(network, threads, declared),
        signature,
        kind=network.kind,
        streams=streams,
        decay=decay,
        channels_last=channels_last,
    )


class ExportedClips:
    """A base network's file: it takes clips of the length it was exported for."""

    def __init__(self, network: ExportedNetwork, threads: int | None = None) -> None:
        assert isinstance(network.source, Manifest)
        source, spec = network.source, network.spec
        if isinstance(spec, EnsembleSpec):
            raise MovinetError(
                f"{source.folder}: exported ensembles of base networks do not run here; take the weights"
            )
        self._shape = (source.streams, 3, source.frames, *network.info.transform.size)
        declared = {CLIP: (self._shape, "float32"), LOGITS: ((source.streams, spec.num_outputs), "float32")}
        self._run, self._source = _run(network, threads, declared), source

    def __call__(self, clips: Clips) -> Logits:
        """Clips (B, 3, T, H, W) float32 in [0, 1] to logits (B, num_classes); a longer one is thinned evenly.

        Raises:
            MovinetError: there are not as many as the file takes, or they have fewer frames.
        """
        frames, wanted = clips.shape[2], self._shape[2]
        if frames > wanted:
            clips = clips[:, :, np.linspace(0, frames - 1, wanted).round().astype(int)]
        if clips.shape != self._shape:
            raise MovinetError(
                f"{self._source.folder}: was exported for {counted(self._shape[0], 'clip')} of {wanted} frames, "
                f"not for {clips.shape[0]} of {frames}"
            )
        logits: Logits = self._run({CLIP: np.ascontiguousarray(clips)})[LOGITS]
        return logits


def _run(network: ExportedNetwork, threads: int | None, declared: Tensors) -> Run:
    assert isinstance(network.source, Manifest)
    model = network.source.model
    match network.kind:
        case "onnx":
            return run_onnx(model, threads, declared)
        case "openvino":
            return run_openvino(model, threads, declared)
    raise MovinetError(f"{model}: {network.kind} runs no clips")
