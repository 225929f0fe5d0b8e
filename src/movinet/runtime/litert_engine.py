"""LiteRT as an engine: every tensor of the state stays in its buffer, and between steps the buffers change places."""

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.layer_spec import Size
from movinet.arch.spec import NetworkSpec
from movinet.arch.step import DECAY, FEATURES, FRAMES, LOGITS, StepSignature, TensorSpec, step_signature
from movinet.cores import usable_cores
from movinet.deploy.cache import cached_file
from movinet.deploy.litert_quiet import litert_quiet, quiet_at_exit
from movinet.deploy.litert_tensors import HEAD, STEP, Arithmetic, Shape, WeightType, file_dtype, file_shape
from movinet.deploy.run_file import refuse_other_tensors
from movinet.errors import MovinetError, WeightsError, needs_litert
from movinet.runtime.engine import Frames, Logits, Precision, StreamState
from movinet.weights.weights import Weights

if TYPE_CHECKING:
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.environment import Environment
    from ai_edge_litert.tensor_buffer import TensorBuffer


_NUMBERS: dict[Precision, tuple[WeightType, Arithmetic]] = {
    "float32": ("float32", "float32"),
    "float16": ("float16", "float16"),
    "int8": ("int8", "float32"),
}


@dataclass(frozen=True)
class LiteRTFile:
    """A TFLite file with a step in it, and what its tensors are called and mean."""

    model: Path | bytes
    signature: StepSignature
    shapes: Mapping[str, tuple[Shape, str]]  # shape and type in the file, by port
    num_outputs: int
    initial: Mapping[str, float] = field(default_factory=dict)  # of state that does not begin at zero
    step: str = STEP  # its signature in the file
    head: str | None = None  # the signature that makes logits of the step's features
    inputs: Mapping[str, str] = field(default_factory=dict)  # names in the file, of ports called otherwise there
    outputs: Mapping[str, str] = field(default_factory=dict)
    channels_last: bool = True  # the file has a port's channels, its first axis, as the last


def lowered(
    weights: Weights, size: Size | None = None, streams: int = 1, precision: Precision = "float32", keep: bool = True
) -> LiteRTFile:
    """Lower a stream network.

    Args:
        weights: the network.
        size: (height, width) of the frames to come; the specification's own by default.
        streams: rows of a batch.
        precision: of the arithmetic.
        keep: the file in the cache.

    Raises:
        MovinetError: LiteRT is not installed, or has no such precision.
    """
    if precision not in _NUMBERS:
        raise MovinetError(f"LiteRT runs in {', '.join(_NUMBERS)}, not in {precision}")
    kind, arithmetic = _NUMBERS[precision]
    spec = weights.spec
    assert isinstance(spec, NetworkSpec)
    size = size or spec.size
    signature = step_signature(spec, size, "frames", predict=False)

    def make() -> bytes:  # with imports that most starts can do without: the file is in the cache
        from movinet.deploy.graph_step import Step
        from movinet.deploy.litert import to_litert
        from movinet.deploy.network import folded_network

        step = Step(folded_network(weights, size), "frames", predict=False)
        return to_litert(step, streams, weights=kind, arithmetic=arithmetic)

    how = {"size": size, "streams": streams, "weights": kind, "arithmetic": arithmetic}
    model = cached_file(weights, ".tflite", make, how) if keep else make()
    ports = (*signature.inputs, *signature.outputs)
    shapes = {port.name: (file_shape(port, streams), file_dtype(port, arithmetic)) for port in ports}
    return LiteRTFile(model, signature, shapes, spec.num_outputs, {DECAY: spec.decay}, head=HEAD)


@dataclass
class LiteRTState:
    """The buffers of a batch: those the next step reads, and those it writes, in the order of the file's signature."""

    inputs: "list[TensorBuffer]"
    outputs: "list[TensorBuffer]"
    # Buffers are read and written as wholes, so rows that come and go between two steps do so in copies, made once.
    copies: dict[str, NDArray[Any]] = field(default_factory=dict)
    changed: bool = False


class LiteRTEngine:
    """See `movinet.runtime.engine.Engine`."""

    kind = "litert"

    def __init__(self, file: LiteRTFile, precision: Precision = "float32", threads: int | None = None) -> None:
        """Load a file.

        Args:
            file: see `lowered`.
            precision: of the arithmetic in it. "float16" is the quickest where the processor has it (ARM v8.2,
                AVX-512 FP16); "int8" is that of the layers with many weights, and quick anywhere.
            threads: of the processor; by default all, but no more than four, for which there is not work enough.

        Raises:
            MovinetError: LiteRT is not installed, cannot read the file, or the processor has no float16.
        """
        self.precision, self.signature, self._file = precision, file.signature, file
        self.streams = file.shapes[FRAMES][0][0]
        colors, height, width = file.signature.inputs[0].shape
        self._images = (self.streams, height, width, colors)
        self._model = _compile(file.model, threads or min(4, usable_cores()))
        tensors = self._model.get_signature_list().get(file.step) or {"inputs": [], "outputs": []}
        ports = {there: ours for ours, there in file.inputs.items()}
        self._inputs = [ports.get(name, name) for name in tensors["inputs"]]
        ports = {there: ours for ours, there in file.outputs.items()}
        self._outputs = [ports.get(name, name) for name in tensors["outputs"]]
        self._refuse_other_tensors()
        self._step = self._model.get_signature_index(file.step)
        self._head = self._model.get_signature_index(file.head) if file.head else None
        self._copied: LiteRTState | None = None  # the batch that was copied last
        self._place = {name: i for i, name in enumerate(self._inputs)}
        self._answer = self._outputs.index(FEATURES if file.head else LOGITS)
        self._next_places = _next_places(self._inputs, self._outputs, self.signature)
        try:
            with litert_quiet(), quiet_at_exit():  # the first calls are talkative
                self._logits = self._model.create_output_buffers(self._head) if file.head else []
                self.step(np.zeros(self._images, np.float32), self.init_state())
        except RuntimeError as error:
            if precision != "float16":
                name = file.model if isinstance(file.model, Path) else "the lowered network"
                raise WeightsError(f"{name}: LiteRT cannot run it ({error})") from error
            raise MovinetError("LiteRT finds no float16 arithmetic in this processor: take float32 or int8") from error

    def _refuse_other_tensors(self) -> None:
        """The tensors must be those `LiteRTFile` names: LiteRT reads and writes whatever bytes it gets."""
        if not isinstance(self._file.model, Path):
            return
        inputs, outputs = dict(self._file.inputs), dict(self._file.outputs)
        found: dict[str, tuple[tuple[int, ...], str]] = {}
        for names, there, details in (
            (self._inputs, inputs, self._model.get_input_tensor_details),
            (self._outputs, outputs, self._model.get_output_tensor_details),
        ):
            if names:
                try:
                    with litert_quiet():
                        known = details(self._file.step)
                except RuntimeError as error:  # it lays the tensors out for this
                    raise WeightsError(f"{self._file.model}: LiteRT cannot run it ({error})") from error
                found |= {name: _described(known[there.get(name, name)]) for name in names}
        refuse_other_tensors(self._file.model, found, self._file.shapes)

    def init_state(self) -> LiteRTState:
        inputs = self._model.create_input_buffers(self._step)
        for name, buffer in zip(self._inputs, inputs, strict=True):
            shape, dtype = self._file.shapes[name]
            buffer.write(np.full(shape, self._file.initial.get(name, 0), dtype))
        return LiteRTState(inputs, self._model.create_output_buffers(self._step))

    def step(self, frames: Frames, state: LiteRTState, predict: bool = True) -> Logits | None:
        if frames.shape != self._images or frames.dtype != np.float32:  # LiteRT takes any bytes that are few enough
            raise ValueError(f"frames must be float32 {self._images}, not {frames.dtype} {frames.shape}")
        if state.changed:
            for name, values in state.copies.items():
                state.inputs[self._place[name]].write(values)
        state.copies, state.changed = {}, False
        self._forget_copies()
        state.inputs[self._place[FRAMES]].write(frames)
        self._model.run_by_index(self._step, state.inputs, state.outputs)
        answer = state.outputs[self._answer]
        places = [*state.inputs, *state.outputs]
        places = [places[i] for i in self._next_places]
        state.inputs, state.outputs = places[: len(self._inputs)], places[len(self._inputs) :]
        if not predict:
            return None
        if self._head is not None:
            self._model.run_by_index(self._head, [answer], self._logits)
            (answer,) = self._logits
        return answer.read(self.streams * self._file.num_outputs, np.float32).reshape(
            self.streams, self._file.num_outputs
        )

    def get_state(self, state: LiteRTState, row: int) -> StreamState:
        return [self._as_port(self._copy(state, port)[row], port) for port in self.signature.state]

    def set_states(self, state: LiteRTState, streams: Mapping[int, StreamState]) -> None:
        if len(streams) == self.streams:  # nothing of what is there stays, so that it need not be read
            state.copies = {port.name: np.empty(*self._file.shapes[port.name]) for port in self.signature.state}
        for row, stream in streams.items():
            for port, array in zip(self.signature.state, stream, strict=True):
                # `np.moveaxis` takes as long as all the rest.
                last = array.transpose(*range(1, array.ndim), 0) if self._file.channels_last else array
                self._copy(state, port)[row] = last
        state.changed = True

    def _forget_copies(self) -> None:
        """Of a batch that was only read, such as the one that a stream has left: it may not be stepped for long."""
        if self._copied is not None and not self._copied.changed:
            self._copied.copies = {}
        self._copied = None

    def _as_port(self, array: NDArray[Any], port: TensorSpec) -> NDArray[Any]:
        array = np.moveaxis(array, -1, 0) if self._file.channels_last else array
        return array.reshape(port.shape).astype(port.dtype)

    def _copy(self, state: LiteRTState, port: TensorSpec) -> NDArray[Any]:
        if state is not self._copied:
            self._forget_copies()
            self._copied = state
        if port.name not in state.copies:
            shape, dtype = self._file.shapes[port.name]
            state.copies[port.name] = (
                state.inputs[self._place[port.name]].read(prod(shape), np.dtype(dtype)).reshape(shape)
            )
        return state.copies[port.name]


def _next_places(inputs: list[str], outputs: list[str], signature: StepSignature) -> list[int]:
    """For every input, then every output: which of this step's buffers it has in the next one.

    A state input gets what it is carried from; outputs get what is left, each one of its own shape.
    """
    shapes = {port.name: (port.shape, port.dtype) for port in (*signature.inputs, *signature.outputs)}
    names = [*inputs, *outputs]
    carried = set(signature.next_state.values())
    free = [name for name in signature.next_state if name not in carried]  # whose contents nobody needs any more
    places = [signature.next_state.get(name, name) for name in inputs]
    for name in outputs:
        place = next(other for other in free if shapes[other] == shapes[name]) if name in carried else name
        if name in carried:
            free.remove(place)
        places.append(place)
    return [names.index(place) for place in places]


def _described(details: Mapping[str, Any]) -> tuple[tuple[int, ...], str]:
    return tuple(int(n) for n in details["shape"]), str(details["dtype"])


def _compile(model: Path | bytes, threads: int) -> "CompiledModel":
    with needs_litert():
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.options import CpuOptions, Options
    options = Options(cpu_options=CpuOptions(num_threads=threads))
    with litert_quiet():
        try:
            if isinstance(model, bytes):
                return CompiledModel.from_buffer(model, environment=_environment(), options=options)
            return CompiledModel.from_file(str(model), environment=_environment(), options=options)
        except RuntimeError as error:
            name = "the lowered network" if isinstance(model, bytes) else model
            raise WeightsError(f"{name}: LiteRT cannot load it ({error})") from error


@cache
def _environment() -> "Environment":
    """One for the process: to make one takes longer than to load a model."""
    from ai_edge_litert.environment import Environment

    environment = Environment.create()
    # Never taken down: it would tell of that on the error stream while the process ends.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(environment))
    return environment
