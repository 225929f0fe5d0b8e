"""TFLite files of stream networks that are not ours, such as tf-models-official's exporter writes: as they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from movinet.arch.spec import NetworkSpec
from movinet.arch.step import FRAMES, LOGITS, StepSignature, TensorSpec
from movinet.arch.zoo import network_names, network_spec
from movinet.deploy.litert_quiet import litert_quiet
from movinet.errors import WeightsError, needs_litert
from movinet.runtime.litert_engine import LiteRTFile
from movinet.weights.info import WeightsInfo, default_transform

Details = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ForeignFile:
    """A file with one signature that takes an image and states and gives logits and the states anew.

    Args:
        path: of the file.
        info: name, size and number of classes are the file's; the rate is that of the published network of this size.
        step: the signature's name.
        image: the input that is a frame, (1, 1, H, W, 3) or (1, H, W, 3) float32.
        logits: the output that is the answer.
        states: name, shape and dtype of each state; an output is called as the input is.
    """

    path: Path
    info: WeightsInfo
    step: str
    image: tuple[str, tuple[int, ...]]
    logits: tuple[str, tuple[int, ...]]
    states: tuple[tuple[str, tuple[int, ...], str], ...]

    def step_file(self) -> LiteRTFile:
        """For the engine. A state has the shape and type it has in the file, without its first axis."""
        ports = tuple(TensorSpec(name, shape[1:], cast(Any, dtype)) for name, shape, dtype in self.states)
        news = tuple(TensorSpec(f"new.{port.name}", port.shape, port.dtype) for port in ports)
        size, num_classes = self.info.transform.size, self.info.spec.num_classes
        signature = StepSignature(
            (TensorSpec(FRAMES, (3, *size)), *ports),
            (TensorSpec(LOGITS, (num_classes,)), *news),
            {port.name: new.name for port, new in zip(ports, news, strict=True)},
        )
        shapes = {FRAMES: (self.image[1], "float32"), LOGITS: (self.logits[1], "float32")}
        for name, shape, dtype in self.states:
            shapes[name] = shapes[f"new.{name}"] = (shape, dtype)
        return LiteRTFile(
            self.path,
            signature,
            shapes,
            num_classes,
            step=self.step,
            inputs={FRAMES: self.image[0]},
            outputs={LOGITS: self.logits[0]} | {f"new.{name}": name for name, _, _ in self.states},
            channels_last=False,
        )


def read_foreign(path: Path) -> ForeignFile:
    """Look into a TFLite file.

    Raises:
        MovinetError: LiteRT is not installed.
        WeightsError: the file is no stream network with a signature.
    """
    with needs_litert():
        from ai_edge_litert.interpreter import Interpreter
    try:
        with litert_quiet():
            interpreter = Interpreter(model_path=str(path))
            names = list(interpreter.get_signature_list())
            runner = interpreter.get_signature_runner(names[0]) if len(names) == 1 else None
    except (ValueError, RuntimeError) as error:
        raise WeightsError(f"{path}: LiteRT cannot load it: {error}") from error
    if runner is None:
        raise WeightsError(f"{path}: has {len(names)} signatures; a stream network has one")
    return _described(path, names[0], runner.get_input_details(), runner.get_output_details())


def _described(path: Path, step: str, inputs: Details, outputs: Details) -> ForeignFile:
    states = inputs.keys() & outputs.keys()
    images, answers = inputs.keys() - states, outputs.keys() - states
    if not states or len(images) != 1 or len(answers) != 1:
        raise WeightsError(
            f"{path}: not a stream network: it should take one image and states, and give one answer and the same "
            f"states; it takes {', '.join(sorted(images)) or 'none'} beside {len(states)} states"
        )
    (image,), (logits,) = images, answers
    size, shape = _shape(inputs[image]), _shape(outputs[logits])
    if size[-1] != 3 or len(size) not in (4, 5) or any(n != 1 for n in size[:-3]) or shape[:-1] != (1,):
        raise WeightsError(f"{path}: takes images {size} and answers {shape}; one frame and one answer are understood")
    for name in (image, logits):
        details = inputs.get(name) or outputs[name]
        if details["dtype"].__name__ != "float32":
            raise WeightsError(
                f"{path}: {name} is {details['dtype'].__name__}; want float32, as the exporter's default is"
            )
    for name in states:
        if _shape(inputs[name]) != _shape(outputs[name]) or inputs[name]["dtype"] != outputs[name]["dtype"]:
            raise WeightsError(f"{path}: the state {name} goes in and comes out in different shapes")
    spec = _nearest(path, (size[-3], size[-2]), shape[-1])
    info = WeightsInfo(path.stem, spec, default_transform(spec), source=f"TFLite file {path.name}")
    found = tuple((name, _shape(inputs[name]), inputs[name]["dtype"].__name__) for name in inputs if name in states)
    return ForeignFile(path, info, step, (image, size), (logits, shape), found)


def _nearest(path: Path, size: tuple[int, int], num_classes: int) -> NetworkSpec:
    """The published stream network the file calls itself, or the first of its size; what it is inside stays unknown."""
    streams = [network_spec(name) for name in network_names() if name.endswith("_stream")]
    specs = [spec for spec in streams if isinstance(spec, NetworkSpec)]
    named = [spec for spec in specs if spec.name.removesuffix("_stream") in path.stem]
    sized = [spec for spec in specs if spec.size == size]
    best = (named or sized or specs)[0]
    return best.with_options(name=path.stem, size=size, num_classes=num_classes)


def _shape(details: Mapping[str, Any]) -> tuple[int, ...]:
    return tuple(int(n) for n in details["shape"])
