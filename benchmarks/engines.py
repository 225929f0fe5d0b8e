"""One streaming step on every engine installed, batches of streams, and whole clips, beside the peers.

    python benchmarks/engines.py --models a0,a1,a2 --threads 1
    python benchmarks/engines.py --work batch --models a0
    python benchmarks/engines.py --work clip --models a0 --threads 2
    python benchmarks/engines.py --tflite a0=movinet_a0_stream.tflite --atze00 MoViNet-pytorch

A step takes an image and gives logits, with the state handed over to the next one, all from Python. The peers are the
official TFLite files, invoked alone and with their states handed over, and Atze00/MoViNet-pytorch from its checkout.
Contenders run in turns, in one process, with fresh weights: speed does not depend on them. `share` is time over the
TFLite file's invoke alone, or over the first contender where there is none; `of best`, that of the shortest calls.
"""

import argparse
import importlib
import json
import resource
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from interleave import interleaved

from movinet import MovinetError
from movinet.arch.zoo import network_spec
from movinet.runtime.clips import create_clip_engine
from movinet.runtime.engine import Precision
from movinet.runtime.factory import EngineKind, create_engine
from movinet.weights.weights import Weights

Call = Callable[[], object]
ENGINES: tuple[tuple[EngineKind, Precision], ...] = (
    ("torch", "float32"),
    ("onnx", "float32"),
    ("openvino", "float32"),
    ("openvino", "bfloat16"),
    ("litert", "float32"),
    ("litert", "float16"),
    ("litert", "int8"),
)
BATCHES = (1, 2, 4, 8, 16)
INVOKE = "TFLite, invoke alone"


def network(model: str, form: str) -> Weights:
    return Weights.untrained(network_spec(f"movinet_{model}_{form}")).with_position_limits()


def our_steps(model: str, threads: int) -> dict[str, Call]:
    """A call for every engine and precision that is to be had."""
    trained = network(model, "stream")
    calls: dict[str, Call] = {}
    frames = np.random.default_rng(0).random((1, *trained.spec.size, 3), dtype=np.float32)
    for kind, precision in ENGINES:
        with skipping(kind):
            engine = create_engine(trained, kind, precision=precision, threads=threads)
            state = engine.init_state()
            calls[f"{kind} {precision}"] = partial(engine.step, frames, state)
            if kind in ("openvino", "litert"):
                calls[f"{kind} {precision}, no head"] = partial(engine.step, frames, state, predict=False)
    return calls


def tflite_steps(path: Path, threads: int) -> dict[str, Call]:
    """The official file, whose image is one input among states."""
    litert: Any = importlib.import_module("ai_edge_litert.interpreter")
    alone = litert.Interpreter(str(path), num_threads=threads)
    alone.allocate_tensors()
    for given in alone.get_input_details():
        alone.set_tensor(given["index"], np.zeros(given["shape"], given["dtype"]))
    runner = litert.Interpreter(str(path), num_threads=threads).get_signature_runner()
    inputs = {name: np.zeros(d["shape"], d["dtype"]) for name, d in runner.get_input_details().items()}

    def hand_over() -> None:
        outputs = runner(**inputs)
        inputs.update({name: value for name, value in outputs.items() if name in inputs})

    return {INVOKE: alone.invoke, "TFLite, states handed over": hand_over}


def atze00(model: str, causal: bool) -> Any:
    movinets: Any = importlib.import_module("movinets")
    config: Any = importlib.import_module("movinets.config")
    return movinets.MoViNet(
        getattr(config._C.MODEL, f"MoViNet{model.upper()}"),
        causal=causal,
        num_classes=600,
        conv_type="2plus1d" if causal else "3d",
        tf_like=True,
    ).eval()


def atze00_step(model: str) -> dict[str, Call]:
    theirs, frame = atze00(model, causal=True), torch.rand(1, 3, 1, *network(model, "stream").spec.size)
    return {"Atze00, eager": without_gradients(lambda: theirs(frame))}


def clip_calls(model: str, threads: int, peer: bool) -> dict[str, Call]:
    base = network(model, "base")
    clip = torch.rand(1, 3, base.spec.frames, *base.spec.size)
    array = clip.numpy()
    calls: dict[str, Call] = {}
    kinds: tuple[tuple[EngineKind, Precision], ...] = (
        ("torch", "float32"),
        ("openvino", "float32"),
        ("openvino", "bfloat16"),
    )
    for kind, precision in kinds:
        with skipping(kind):
            run = create_clip_engine(base, kind, precision=precision, threads=threads)
            run(array)
            calls[f"{kind} {precision}"] = partial(run, array)
    if peer:
        theirs = atze00(model, causal=False)
        calls["Atze00, eager"] = without_gradients(lambda: theirs(clip))
        with skipping("openvino"):
            import openvino as ov

            graph = ov.convert_model(theirs, example_input=clip)
            graph.reshape(list(clip.shape))
            config = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32"}
            request = ov.Core().compile_model(graph, "CPU", config).create_infer_request()
            request.set_input_tensor(ov.Tensor(clip.numpy()))
            calls["OpenVINO, Atze00's graph"] = request.infer
    return calls


@contextmanager
def skipping(kind: str) -> Iterator[None]:
    """What is not installed, or not to be had in a precision, is said and left out."""
    try:
        yield
    except MovinetError as error:
        print(f"({kind} is left out: {error})", file=sys.stderr)


def without_gradients(call: Call) -> Call:
    def run() -> None:
        with torch.inference_mode():
            call()

    return run


def report(title: str, calls: dict[str, Call], frames: int, rounds: tuple[int, int, int], rows: list[Any]) -> None:
    """Time the calls, each of so many frames, and print a table."""
    timings = interleaved(calls, *rounds)
    base = timings.get(INVOKE) or next(iter(timings.values()))
    print(f"\n{title}\n{'':34} {'ms':>8} {'best':>8} {'share':>6} {'of best':>7} {'frames/s':>9}")
    for name, timing in timings.items():
        share, of_best, rate = timing.median / base.median, timing.best / base.best, frames / timing.median
        print(f"{name:34} {1e3 * timing.median:8.2f} {1e3 * timing.best:8.2f} {share:6.2f} {of_best:7.2f} {rate:9.0f}")
        rows.append(
            {"title": title, "name": name, "ms": 1e3 * timing.median, "best_ms": 1e3 * timing.best, "share": share}
        )
    sys.stdout.flush()


def report_batches(model: str, threads: int, rows: list[Any]) -> None:
    """Milliseconds a frame, of batches of every size; those of an engine run in turns."""
    print(f"\nbatches: {model}, {threads} thread(s)\n{'ms a frame':20}" + "".join(f"{n:>8}" for n in BATCHES))
    weights = network(model, "stream")
    for kind, precision in ENGINES:
        if kind in ("torch", "onnx"):
            continue
        with skipping(kind):
            calls = {n: step_of_batch(weights, kind, precision, n, threads) for n in BATCHES}
            timings = interleaved({str(n): call for n, call in calls.items()}, 8, 6, 2)
            each = {n: 1e3 * timings[str(n)].median / n for n in BATCHES}
            print(f"{f'{kind} {precision}':20}" + "".join(f"{each[n]:8.2f}" for n in BATCHES), flush=True)
            rows.append({"model": model, "threads": threads, "name": f"{kind} {precision}", "ms_a_frame": each})


def step_of_batch(weights: Weights, kind: EngineKind, precision: Precision, streams: int, threads: int) -> Call:
    engine = create_engine(weights, kind, streams=streams, precision=precision, threads=threads)
    frames = np.random.default_rng(0).random((streams, *weights.spec.size, 3), dtype=np.float32)
    return partial(engine.step, frames, engine.init_state())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", default="step", help="of step, batch and clip, with commas")
    parser.add_argument("--models", default="a0,a1,a2")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--tflite", nargs="*", default=[], help="official float32 files, as a0=FILE")
    parser.add_argument("--atze00", type=Path, help="the folder that holds its package `movinets`")
    parser.add_argument("--json", action="store_true", help="print JSON after the tables")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    files = {model: Path(path) for model, path in (entry.split("=", 1) for entry in options.tflite)}
    if options.atze00:
        sys.path.append(str(options.atze00))
    rows: list[dict[str, Any]] = []
    for model in options.models.split(","):
        where = f"{model}, {options.threads} thread(s)"
        if "step" in options.work:
            calls = tflite_steps(files[model], options.threads) if model in files else {}
            if options.atze00:
                calls |= atze00_step(model)
            report(f"step: {where}", calls | our_steps(model, options.threads), 1, (8, 20, 3), rows)
        if "batch" in options.work:
            report_batches(model, options.threads, rows)
        if "clip" in options.work:
            calls = clip_calls(model, options.threads, bool(options.atze00))
            report(f"clip: {where}", calls, network(model, "base").spec.frames, (5, 2, 1), rows)
    print(f"\npeak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MB, all contenders together")
    if options.json:
        print(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
