"""What fewer bits cost and gain: agreement with float32, accuracy, size and time of a step, in each runtime.

    python benchmarks/quantization.py --real FOLDER
    python benchmarks/quantization.py --model WEIGHTS --labels LABELS --videos clip.mp4 ... --every 1

Every clip is streamed frame by frame. FOLDER holds a `clips.csv` (file, label) of real videos; of `--videos`, the file
name is the label. "Activations in int8" is ONNX Runtime's quantization after training, calibrated through the stream:
on frames and states as they come; OpenVINO runs the same file. Steps of the contenders are timed in turns, the state
handed over in Python, as plain users of the files do (the engines of `movinet.runtime` keep it inside).
"""

import argparse
import csv
import json
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from movinet.arch.step import FRAMES, StepSignature
from movinet.deploy.graph_step import Step
from movinet.deploy.litert import to_litert
from movinet.deploy.litert_tensors import STEP, file_shape
from movinet.deploy.network import FoldedNetwork, folded_network
from movinet.deploy.onnx_graph import onnx_model
from movinet.export.onnx import shrink_weights
from movinet.nn.deploy import DeployedStep, deployed_step
from movinet.video.decode import read_clip
from movinet.weights.load import load_weights
from movinet.weights.weights import Weights

Arrays = dict[str, NDArray[Any]]
Run = Callable[[Arrays], Arrays]
Clip = tuple[NDArray[np.float32], str]  # (T, 3, H, W) and its label


@dataclass
class Contender:
    name: str
    size: int  # bytes
    signature: StepSignature
    run: Run
    begin: Arrays


@dataclass
class Result:
    agreement: float  # share of frames with float32's likeliest label
    accuracy: float  # of last answers
    error: float  # largest, as a share of the largest logit
    milliseconds: float


def main() -> None:
    options = arguments()
    torch.set_num_threads(options.threads)
    loaded = load_weights(options.model, labels=options.labels).with_position_limits()
    clips = [clip for n, clip in enumerate(read(options, loaded)) if n % options.every == 0]
    calibration = [clip for clip, _ in clips[:: max(1, len(clips) // 10)]]
    with TemporaryDirectory() as folder:
        contenders = list(candidates(loaded, calibration, Path(folder), options.threads))
        results = measure(contenders, clips, loaded, options.rounds)
    if options.json:
        for contender, result in zip(contenders, results, strict=True):
            print(json.dumps({"name": contender.name, "bytes": contender.size} | vars(result)))
        return
    frames = sum(len(clip) for clip, _ in clips)
    title = f"{loaded.info.name}: {len(clips)} clips, {frames} frames, {options.threads} thread(s)"
    table = Table("", "MB", "ms a step", "frames that agree", "clips right", "largest error", title=title, box=None)
    for column in table.columns:
        column.no_wrap, column.justify = True, "right" if column.header else "left"
    for contender, result in zip(contenders, results, strict=True):
        table.add_row(
            contender.name,
            f"{contender.size / 1e6:.2f}",
            f"{result.milliseconds:.2f}",
            f"{result.agreement:.2%}",
            f"{result.accuracy:.1%}",
            f"{result.error:.4f}",
        )
    Console().print(table)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="movinet_t0_stream.gestures")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--real", type=Path, help="folder with a clips.csv")
    parser.add_argument("--videos", type=Path, nargs="*", default=[])
    parser.add_argument("--every", type=int, default=1, help="take every n-th clip")
    parser.add_argument("--rounds", type=int, default=100, help="of timed steps")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.real and not options.videos:
        parser.error("give --real or --videos")
    return options


def read(options: argparse.Namespace, loaded: Weights) -> Iterator[Clip]:
    found = [(path, path.stem.replace("_", " ")) for path in options.videos]
    if options.real:
        with (options.real / "clips.csv").open(encoding="utf-8") as file:
            found += [(options.real / row["file"], row["label"]) for row in csv.DictReader(file)]
    for path, label in found:
        yield np.ascontiguousarray(read_clip(path, loaded.info.transform).swapaxes(0, 1)), label


def candidates(
    loaded: Weights, calibration: list[NDArray[np.float32]], folder: Path, threads: int
) -> Iterator[Contender]:
    import onnx

    network = folded_network(loaded, loaded.info.transform.size)
    step = deployed_step(Step(network))
    path = folder / "model.onnx"
    graph = onnx_model(Step(network))
    onnx.save(graph, path)
    yield onnx_contender("ONNX Runtime, float32", path, step, threads)
    for precision in ("float16", "int8"):
        small = onnx.ModelProto()
        small.CopyFrom(graph)
        shrink_weights(small, precision)
        onnx.save(small, folder / f"{precision}.onnx")
        yield onnx_contender(f"ONNX Runtime, weights in {precision}", folder / f"{precision}.onnx", step, threads)
    calibrated(path, folder / "calibrated.onnx", step, calibration)
    yield onnx_contender("ONNX Runtime, activations in int8 too", folder / "calibrated.onnx", step, threads)
    for name, hint, file in (
        ("float32", "f32", "model.onnx"),
        ("bfloat16", "bf16", "model.onnx"),
        ("weights in float16", "f32", "float16.onnx"),
        ("activations in int8 too", "f32", "calibrated.onnx"),
        ("activations in int8 too, the rest bfloat16", "bf16", "calibrated.onnx"),
    ):
        yield openvino_contender(f"OpenVINO, {name}", folder / file, step, hint, threads)
    for precision in ("float32", "float16", "int8"):
        yield litert_contender(precision, network, folder, threads)


def calibrated(source: Path, target: Path, step: DeployedStep, clips: list[NDArray[np.float32]]) -> None:
    """Convolutions and dense layers in int8; the ranges of activations from every other frame of the clips."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Samples(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.samples = iter(samples(step, clips))

        def get_next(self) -> Arrays | None:
            return next(self.samples, None)

    logging.disable(logging.WARNING)
    quantize_static(
        source,
        target,
        Samples(),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=["Conv", "Gemm"],
    )
    logging.disable(logging.NOTSET)


def samples(step: DeployedStep, clips: list[NDArray[np.float32]]) -> Iterator[Arrays]:
    names = [port.name for port in step.signature.inputs]
    for clip in clips:
        state = step.init_state()
        for n, frame in enumerate(torch.from_numpy(clip)):
            inputs = [frame[None], *state]
            if n % 2 == 0:
                yield {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
            with torch.inference_mode():
                state = step.next_state(inputs, step(*inputs))


def fresh(step: DeployedStep) -> Arrays:
    return {port.name: value.numpy() for port, value in zip(step.signature.state, step.init_state(), strict=True)}


def onnx_contender(name: str, path: Path, step: DeployedStep, threads: int) -> Contender:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    outputs = [port.name for port in step.signature.outputs]

    def run(inputs: Arrays) -> Arrays:
        return dict(zip(outputs, session.run(outputs, inputs), strict=True))

    return Contender(name, path.stat().st_size, step.signature, run, fresh(step))


def openvino_contender(name: str, path: Path, step: DeployedStep, hint: str, threads: int) -> Contender:
    import openvino

    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY"}
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()

    def run(inputs: Arrays) -> Arrays:
        request.infer(inputs, share_inputs=True)
        return {port.get_any_name(): request.get_tensor(port).data.copy() for port in compiled.outputs}

    return Contender(name, path.stat().st_size, step.signature, run, fresh(step))


def litert_contender(precision: Any, network: FoldedNetwork, folder: Path, threads: int) -> Contender:
    step = Step(network, "frames")
    from ai_edge_litert.interpreter import Interpreter

    path = folder / f"{precision}.tflite"
    path.write_bytes(to_litert(step, weights=precision))
    signature = step.signature
    runner = Interpreter(model_path=str(path), num_threads=threads).get_signature_runner(STEP)

    def run(inputs: Arrays) -> Arrays:
        frames = np.ascontiguousarray(inputs[FRAMES].transpose(0, 2, 3, 1))
        return {name: value.copy() for name, value in runner(**(inputs | {FRAMES: frames})).items()}

    begin = {
        port.name: np.full(file_shape(port, 1), network.spec.decay if port.name == "decay" else 0, port.dtype)
        for port in signature.state
    }
    return Contender(f"LiteRT, weights in {precision}", path.stat().st_size, signature, run, begin)


def measure(contenders: list[Contender], clips: list[Clip], loaded: Weights, rounds: int) -> list[Result]:
    answers = [[stream(contender, clip) for clip, _ in clips] for contender in contenders]
    times: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for contender, taken in zip(contenders, times, strict=True):
            inputs = {FRAMES: clips[0][0][:1], **contender.begin}
            began = time.perf_counter()
            contender.run(inputs)
            taken.append(time.perf_counter() - began)
    expected, results = np.concatenate(answers[0]), []
    for own, taken in zip(answers, times, strict=True):
        logits = np.concatenate(own)
        right = [
            loaded.info.label(int(last[-1].argmax())) == label for last, (_, label) in zip(own, clips, strict=True)
        ]
        results.append(
            Result(
                agreement=float((logits.argmax(-1) == expected.argmax(-1)).mean()),
                accuracy=float(np.mean(right)),
                error=float(np.abs(logits - expected).max() / np.abs(expected).max()),
                milliseconds=1e3 * float(np.median(taken)),
            )
        )
    return results


def stream(contender: Contender, clip: NDArray[np.float32]) -> NDArray[np.float32]:
    """The logits (T, classes) after every frame of a stream of its own."""
    state, logits = contender.begin, []
    for n in range(len(clip)):
        inputs = {FRAMES: clip[n : n + 1], **state}
        outputs = contender.run(inputs)
        known = {**inputs, **outputs}
        state = {port.name: known[contender.signature.next_state[port.name]] for port in contender.signature.state}
        logits.append(outputs["logits"])
    return np.concatenate(logits)


if __name__ == "__main__":
    main()
