"""How well latencies summed from a table of layers predict those of whole deployed networks.

    python benchmarks/search_latency.py search_gestures --networks 24

Times every layer of the recipe's space on this machine, and whole steps of networks drawn from it: others than those
that the table was scaled with.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from movinet.arch.count import macs_per_frame
from movinet.search.latency import measure_latencies, step_milliseconds
from movinet.search.recipe import read_search


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of the ranks."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", type=Path, help="of a search")
    parser.add_argument("--networks", type=int, default=24)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    recipe = read_search(args.recipe)
    template = recipe.template(11)
    table = measure_latencies(recipe.space, template, repeats=args.repeats)
    points = recipe.space.random(args.networks, np.random.default_rng(3))
    specs = [recipe.space.to_spec(point.tolist(), template) for point in points]
    predicted = table.cost(recipe.space, template)(points)
    measured = np.array([step_milliseconds(spec, repeats=4 * args.repeats) for spec in specs])
    macs = np.array([macs_per_frame(spec) for spec in specs])
    error = predicted / measured - 1
    found = {
        "layers": len(table.layers),
        "measured_ms": [float(measured.min()), float(measured.max())],
        "bias": float(error.mean()),
        "error": float(np.abs(error).mean()),
        "largest_error": float(np.abs(error).max()),
        "scale": table.scale,
        "rank_correlation": correlation(predicted, measured),
        "rank_correlation_of_macs": correlation(macs, measured),
    }
    if args.json:
        print(json.dumps(found))
        return
    console = Console(width=120)
    console.print(
        f"{len(table.layers)} kinds of layers; {len(specs)} networks of {measured.min():.2f} to {measured.max():.2f} ms"
    )
    console.print(
        f"whole steps take {table.scale:.2f} times their parts; with that, predictions are off by {found['error']:.1%} "
        f"on average ({found['bias']:+.1%} of it the same way), at most {found['largest_error']:.1%}"
    )
    console.print(
        f"rank correlation with measured latency: of the table {found['rank_correlation']:.2f}, "
        f"of multiply-adds {found['rank_correlation_of_macs']:.2f}"
    )


if __name__ == "__main__":
    main()
