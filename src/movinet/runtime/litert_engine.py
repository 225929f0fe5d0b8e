"""LiteRT as an engine: every tensor of the state stays in its buffer, and between steps the buffers change places."""

import ctypes
from dataclasses import dataclass, field
from functools import cache
from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from movinet.arch.spec import Size
from movinet.arch.step import DECAY, FEATURES, FRAMES, Port, StepSignature
from movinet.cores import usable_cores
from movinet.errors import MovinetError, needs_extra
from movinet.export.litert import HEAD, STEP, file_dtype, file_shape, to_litert
from movinet.export.litert_graph import Arithmetic, Weights
from movinet.export.litert_quiet import litert_quiet, quiet_at_exit
from movinet.nn.deploy import DeployedHead, DeployedStep
from movinet.nn.movinet import MoViNet
from movinet.runtime.engine import Frames, Logits, Precision, StreamState

if TYPE_CHECKING:
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.environment import Environment
    from ai_edge_litert.tensor_buffer import TensorBuffer


_NUMBERS: dict[Precision, tuple[Weights, Arithmetic]] = {
    "float32": ("float32", "float32"),
    "float16": ("float16", "float16"),
    "int8": ("int8", "float32"),
}


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

    def __init__(
        self,
        model: MoViNet,
        *,
        size: Size | None = None,
        streams: int = 1,
        precision: Precision = "float32",
        threads: int | None = None,
    ) -> None:
        """Deploy a trained stream network.

        Args:
            model: it is left as it is.
            size: (height, width) of the frames to come; the specification's own by default.
            streams: rows of a batch.
            precision: of the arithmetic. "float16" is the quickest where the processor has it (ARM v8.2, AVX-512 FP16);
                "int8" is that of the layers with many weights, and quick anywhere.
            threads: of the processor; by default all, but no more than four, for which there is not work enough.

        Raises:
            MovinetError: LiteRT is not installed, or the processor has no float16.
        """
        if precision not in _NUMBERS:
            raise ValueError(f"LiteRT runs in {', '.join(_NUMBERS)}, not in {precision}")
        weights, arithmetic = _NUMBERS[precision]
        self.precision, self.streams = precision, streams
        step = DeployedStep(model, size, "frames", predict=False)
        self.signature, self._decay = step.signature, step.spec.decay
        file = to_litert(step, DeployedHead(model), streams, weights=weights, arithmetic=arithmetic)
        self._model = _compile(file, threads or min(4, usable_cores()))
        signatures = self._model.get_signature_list()
        self._step, self._head = (self._model.get_signature_index(key) for key in (STEP, HEAD))
        self._inputs, self._outputs = signatures[STEP]["inputs"], signatures[STEP]["outputs"]
        self._place = {name: i for i, name in enumerate(self._inputs)}
        self._features = self._outputs.index(FEATURES)
        self._next_places = _next_places(self._inputs, self._outputs, self.signature)
        self._ports = {
            port.name: (file_shape(port, streams), np.dtype(file_dtype(port, arithmetic)))
            for port in self.signature.inputs
        }
        self._classes = model.spec.classes
        try:
            with litert_quiet(), quiet_at_exit():  # the first calls are talkative
                self._logits = self._model.create_output_buffers(self._head)
                self.step(np.zeros(*self._ports[FRAMES]), self.begin())
        except RuntimeError as error:
            if precision != "float16":
                raise
            raise MovinetError("LiteRT finds no float16 arithmetic in this processor: take float32 or int8") from error

    def begin(self) -> LiteRTState:
        inputs = self._model.create_input_buffers(self._step)
        for name, buffer in zip(self._inputs, inputs, strict=True):
            shape, dtype = self._ports[name]
            buffer.write(np.full(shape, self._decay if name == DECAY else 0, dtype))
        return LiteRTState(inputs, self._model.create_output_buffers(self._step))

    def step(self, frames: Frames, state: LiteRTState, predict: bool = True) -> Logits | None:
        shape, dtype = self._ports[FRAMES]
        if frames.shape != shape or frames.dtype != dtype:  # LiteRT takes any bytes that are few enough
            raise ValueError(f"frames must be {dtype} {shape}, not {frames.dtype} {frames.shape}")
        if state.changed:
            for name, values in state.copies.items():
                state.inputs[self._place[name]].write(values)
        state.copies, state.changed = {}, False
        state.inputs[self._place[FRAMES]].write(frames)
        self._model.run_by_index(self._step, state.inputs, state.outputs)
        features = state.outputs[self._features]
        places = [*state.inputs, *state.outputs]
        places = [places[i] for i in self._next_places]
        state.inputs, state.outputs = places[: len(self._inputs)], places[len(self._inputs) :]
        if not predict:
            return None
        self._model.run_by_index(self._head, [features], self._logits)
        logits = self._logits[0].read(self.streams * self._classes, np.float32)
        return logits.reshape(self.streams, self._classes)

    def take(self, state: LiteRTState, row: int) -> StreamState:
        return [
            np.moveaxis(self._copy(state, port)[row], -1, 0).reshape(port.shape).astype(port.dtype)
            for port in self.signature.state
        ]

    def put(self, state: LiteRTState, row: int, stream: StreamState) -> None:
        for port, array in zip(self.signature.state, stream, strict=True):
            self._copy(state, port)[row] = np.moveaxis(array, 0, -1)
        state.changed = True

    def _copy(self, state: LiteRTState, port: Port) -> NDArray[Any]:
        if port.name not in state.copies:
            shape, dtype = self._ports[port.name]
            state.copies[port.name] = state.inputs[self._place[port.name]].read(prod(shape), dtype).reshape(shape)
        return state.copies[port.name]


def _next_places(inputs: list[str], outputs: list[str], signature: StepSignature) -> list[int]:
    """For every input, then every output: which of this step's buffers it has in the next one.

    A state input gets what it is carried from; outputs get what is left, each one of its own shape.
    """
    shapes = {port.name: (port.shape, port.dtype) for port in (*signature.inputs, *signature.outputs)}
    names = [*inputs, *outputs]
    carried = set(signature.carry.values())
    free = [name for name in signature.carry if name not in carried]  # whose contents nobody needs any more
    places = [signature.carry.get(name, name) for name in inputs]
    for name in outputs:
        place = next(other for other in free if shapes[other] == shapes[name]) if name in carried else name
        if name in carried:
            free.remove(place)
        places.append(place)
    return [names.index(place) for place in places]


def _compile(file: bytes, threads: int) -> "CompiledModel":
    with needs_extra("litert"):
        from ai_edge_litert.compiled_model import CompiledModel
        from ai_edge_litert.options import CpuOptions, Options
    options = Options(cpu_options=CpuOptions(num_threads=threads))
    with litert_quiet():
        return CompiledModel.from_buffer(file, environment=_environment(), options=options)


@cache
def _environment() -> "Environment":
    """One for the process: to make one takes longer than to load a model."""
    from ai_edge_litert.environment import Environment

    environment = Environment.create()
    # Never taken down: it would tell of that on the error stream while the process ends.
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(environment))
    return environment
