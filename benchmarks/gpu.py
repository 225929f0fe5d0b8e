"""How fast a GPU streams and trains MoViNets, and how near that is to what its memory can do.

    benchmarks/gpu.sh                                    # under ten minutes
    python benchmarks/gpu.py --device cpu --quick        # whether it runs

Streaming: batches of 1 to 4096 streams step by a frame each, deployed, in bfloat16, with and without CUDA graphs. The
limit is that of memory: each step reads and writes every stream's state, and reads the frames and the weights once.
Training: an update's forward and backward of clips, in bfloat16 by autocast. The limit there: what autograd keeps
is written once and read once. Bandwidth is measured by copying. Batches that do not fit are left out.
"""

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F

from movinet import create_model
from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.costs import parameters, state_bytes
from movinet.nn.torch_engine import TorchEngine
from movinet.train.estimate import estimate
from movinet.train.recipe import AdamW, Recipe
from movinet.train.recipe_data import Gestures
from movinet.weights.weights import Weights

NETWORKS = ("a0", "a2", "a5")
STREAMS = (1, 4, 16, 64, 256, 1024, 4096)
CLIPS = {"a0": 32, "a2": 16, "a5": 2}
TRAINED_FRAMES = {"a0": 50, "a2": 50, "a5": 32}  # of the official recipes
HALF = 2  # bytes


@dataclass(frozen=True)
class Row:
    """One measurement."""

    network: str
    work: str  # streaming or training
    batch: int
    graphs: bool
    per_second: float  # frames of all streams, or clips
    limit: float  # by memory's bandwidth
    ms: float  # a step, or an update


def seconds_of(call: Callable[[], object], device: torch.device, budget: float) -> float:
    """The mean of calls that take about so long together, after three that do not count."""

    def wait() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()

    for _ in range(3):
        call()
    wait()
    begin = time.perf_counter()
    call()
    wait()
    times = max(1, min(2000, int(budget / max(1e-6, time.perf_counter() - begin))))
    begin = time.perf_counter()
    for _ in range(times):
        call()
    wait()
    return (time.perf_counter() - begin) / times


def bandwidth(device: torch.device, budget: float) -> float:
    """Bytes a second that copying reads and writes."""
    size = 1 << (30 if device.type == "cuda" else 26)
    source = torch.ones(size // 4, device=device)
    target = torch.empty_like(source)
    return 2 * size / seconds_of(lambda: target.copy_(source), device, budget)


@torch.inference_mode()
def stream(spec: NetworkSpec, batch: int, graphs: bool, device: torch.device, budget: float) -> float:
    """Seconds of a step of so many streams."""
    weights = Weights.untrained(spec).with_position_limits()
    # Its step as for a compiler, which leaves its inputs alone: a graph wants each state where it was.
    engine = TorchEngine(weights, streams=batch, precision="bfloat16", compiled=True, device=device)
    state = engine.init_state().tensors
    images = torch.rand(batch, 3, *spec.size, device=device).to(torch.bfloat16)
    images = images.contiguous(memory_format=torch.channels_last)

    def step() -> torch.Tensor:
        inputs = [images, *state]
        outputs = engine._step(*inputs)
        for old, new in zip(state, engine._step.next_state(inputs, outputs), strict=True):
            if old is not new:
                old.copy_(new)
        return engine._head(outputs[0])

    if not graphs:
        return seconds_of(step, device, budget)
    aside = torch.cuda.Stream()
    aside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(aside):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(aside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step()
    return seconds_of(graph.replay, device, budget)


def train(spec: NetworkSpec, batch: int, frames: int, device: torch.device, budget: float) -> float:
    """Seconds of the forward and backward of an update."""
    model = create_model(spec.name, num_classes=spec.num_classes, size=spec.size).to(device).train()
    clip = torch.rand(batch, 3, frames, *spec.size, device=device)
    targets = torch.zeros(batch, dtype=torch.int64, device=device)

    def update() -> None:
        with torch.autocast(device.type, torch.bfloat16):
            loss = F.cross_entropy(model(clip), targets)
        loss.backward()
        model.zero_grad(set_to_none=True)

    return seconds_of(update, device, budget)


def kept_bytes(spec: NetworkSpec, frames: int) -> int:
    """What autograd keeps of one clip, in 16 bits."""
    recipe = Recipe(AdamW(1e-3), 1, 1, network=spec.name, data=Gestures(clips=1, frames=(frames,)))
    memory = estimate(recipe, spec, 1, half=True, device="meta").memory
    assert memory is not None
    return memory.activations


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS))
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    parser.add_argument("--quick", action="store_true", help="small frames and batches: whether it runs")
    parser.add_argument("--out", type=Path, help="where to write the rows as JSON")
    options = parser.parse_args()
    if options.device.startswith("cuda") and not torch.cuda.is_available():
        raise SystemExit("there is no GPU that PyTorch can use here; --device cpu --quick shows that it runs")
    device = torch.device(options.device)
    if options.quick:
        torch.set_num_threads(1)
    budget = 0.05 if options.quick else options.seconds
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU"
    bytes_a_second = bandwidth(device, budget)
    print(f"{name}, PyTorch {torch.__version__}: copying moves {bytes_a_second / 1e9:,.0f} GB/s\n", flush=True)
    print("| network | work | batch | CUDA graphs | a second | limit by memory | of it | ms |")
    print("|---|---|---|---|---|---|---|---|", flush=True)
    rows = []

    def tell(row: Row) -> None:
        rows.append(row)
        share = row.per_second / row.limit
        print(
            f"| {row.network} | {row.work} | {row.batch} | {'yes' if row.graphs else 'no'} | {row.per_second:,.1f} "
            f"| {row.limit:,.1f} | {share:.0%} | {row.ms:.2f} |",
            flush=True,
        )

    for network in options.networks:
        spec = network_spec(f"movinet_{network}_stream")
        assert isinstance(spec, NetworkSpec)
        if options.quick:
            spec = spec.with_options(size=(32, 32))
        frame = HALF * 3 * spec.size[0] * spec.size[1]
        for graphs in (False, True) if device.type == "cuda" else (False,):
            for batch in STREAMS[:2] if options.quick else STREAMS:
                moved = 2 * state_bytes(spec, bytes_per_number=HALF) + frame + HALF * parameters(spec) / batch
                try:
                    seconds = stream(spec, batch, graphs, device, budget)
                except torch.cuda.OutOfMemoryError:
                    torch.cuda.empty_cache()
                    break
                tell(Row(network, "streaming", batch, graphs, batch / seconds, bytes_a_second / moved, 1e3 * seconds))
        frames = 4 if options.quick else TRAINED_FRAMES[network]
        batch = 1 if options.quick else CLIPS[network]
        try:
            seconds = train(spec, batch, frames, device, budget)
        except torch.cuda.OutOfMemoryError:
            torch.cuda.empty_cache()
            continue
        limit = bytes_a_second / (2 * kept_bytes(spec, frames))
        tell(Row(network, "training", batch, False, batch / seconds, limit, 1e3 * seconds))
    if options.out:
        found = {"device": name, "bytes_a_second": bytes_a_second, "rows": [asdict(row) for row in rows]}
        options.out.write_text(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
