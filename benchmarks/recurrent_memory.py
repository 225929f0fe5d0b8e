"""Peak memory of a training step against the length of the video: whole clips, and sub-clips with the state carried.

    python benchmarks/recurrent_memory.py --plot recurrent_memory.png

Every figure comes from a process of its own, which trains three steps; what the process takes before them is left out.
"""

import argparse
import json
import resource
import subprocess
import sys
from pathlib import Path

STRATEGIES = ("clip", "recurrent")


def measure(network: str, size: int, batch: int, frames: int, strategy: str, sub_clip: int) -> None:
    """Print the growth of this process's peak in MiB."""
    import torch

    from movinet.data.dataset import Example
    from movinet.data.synthetic.gesture_dataset import GestureDataset
    from movinet.nn.movinet import MoViNet
    from movinet.train.distributed import connect, settle_process
    from movinet.train.init_model import init_model
    from movinet.train.model_with_loss import ModelWithLoss, forward_backward
    from movinet.train.optimizer import adamw, parameter_groups
    from movinet.train.recipe import AdamW, Recipe

    torch.set_num_threads(1)
    data = GestureDataset((size, size), 5.0, frames, batch)
    options = {"size": [size, size]}
    recipe = Recipe(AdamW(1e-3), 1, batch, network, None, options, strategy=strategy, sub_clip=sub_clip)  # type: ignore[arg-type]
    model = init_model(recipe, data.classes).model
    assert isinstance(model, MoViNet)
    fabric = connect("cpu")
    settle_process(fabric)
    learner = ModelWithLoss(model, recipe.loss, data)
    learner_, optimizer = fabric.setup(learner, adamw(parameter_groups(model, decay=0.0), 1e-3))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for step in range(3):
        clip = torch.randint(0, 256, (batch, 3, frames, size, size), dtype=torch.uint8)
        track = torch.full((batch, frames, 2), torch.nan)
        forward_backward(fabric, learner_, data, Example(clip, torch.arange(batch), 0, track), recipe, step)
        optimizer.step()
        optimizer.zero_grad()
    print(json.dumps((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024))


def plot(found: dict[str, dict[int, float]], title: str, path: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for (strategy, values), color in zip(found.items(), ("#0072b2", "#d55e00"), strict=True):
        axes.plot(list(values), list(values.values()), "o-", color=color)
        axes.annotate(
            strategy,
            (list(values)[-1], list(values.values())[-1]),
            (-6, 8),
            textcoords="offset points",
            color=color,
            ha="right",
        )
    axes.set(title=title, xlabel="frames of the video", ylabel="MiB", ylim=(0, None))
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", default="movinet_a0_stream")
    parser.add_argument("--size", type=int, default=172)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--frames", type=int, nargs="+", default=[8, 16, 32, 64, 128])
    parser.add_argument("--sub-clip", type=int, default=8)
    parser.add_argument("--plot", type=Path, help="a PNG")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=2, metavar=("FRAMES", "STRATEGY"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        measure(args.network, args.size, args.batch, int(args.one[0]), args.one[1], args.sub_clip)
        return
    found: dict[str, dict[int, float]] = {strategy: {} for strategy in STRATEGIES}
    for frames in args.frames:
        for strategy in STRATEGIES:
            command = [sys.executable, *sys.argv, "--one", str(frames), strategy]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[strategy][frames] = json.loads(done.stdout.splitlines()[-1])
    if args.json:
        print(json.dumps(found))
    else:
        print(f"{'frames':>8}" + "".join(f"{strategy:>12}" for strategy in STRATEGIES) + "   MiB")
        for frames in args.frames:
            print(f"{frames:8}" + "".join(f"{found[strategy][frames]:12.0f}" for strategy in STRATEGIES))
    if args.plot:
        title = f"A training step of {args.network}, {args.batch} × {args.size}²: peak memory"
        plot(found, title, args.plot)
    lengths = sorted(found["recurrent"])
    if found["recurrent"][lengths[-1]] > 1.15 * found["recurrent"][lengths[0]] + 50:
        raise SystemExit("the memory of recurrent training grows with the video")


if __name__ == "__main__":
    main()
