"""How well latencies summed from a table of layers predict those of whole lowered networks on LiteRT.

    python benchmarks/search_latency.py search_gestures --networks 24
    python benchmarks/search_latency.py a2

Finds what every layer of the space takes on this machine, from whole networks, and times others drawn from it. Exits
with 1 where the error is above 5 % on a quiet machine; a busy one promises nothing.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from movinet.arch.count import macs_per_frame
from movinet.arch.spec import NetworkSpec
from movinet.arch.zoo import network_spec
from movinet.cores import usable_cores
from movinet.recipes import find_recipe
from movinet.search.latency import PROMISED, measure_latencies
from movinet.search.published import published_space
from movinet.search.search_recipe import read_search
from movinet.search.space import Space
from movinet.search.stopwatch import VISITS, at_one_pace, spread, time_steps


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's, of the ranks."""
    return float(np.corrcoef(a.argsort().argsort(), b.argsort().argsort())[0, 1])


def space_of(what: str) -> tuple[Space, NetworkSpec]:
    """Of a recipe, or the paper's around one of its networks."""
    if len(what) == 2:
        spec = network_spec(f"movinet_{what}_stream")
        assert isinstance(spec, NetworkSpec)
        return published_space(what), spec
    recipe = read_search(find_recipe(Path(what)))
    return recipe.space, recipe.template(11)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space", help="a search's recipe, or a0 to a5")
    parser.add_argument("--networks", type=int, default=24, help="to predict")
    parser.add_argument("--from-networks", type=int, help="to fit; by default as the search does")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    space, template = space_of(args.space)
    load = [os.getloadavg()[0]]
    begin = time.perf_counter()
    table = measure_latencies(space, template, networks=args.from_networks)
    seconds = time.perf_counter() - begin
    points = space.random(args.networks, np.random.default_rng(3))
    specs = [space.to_spec(point.tolist(), template) for point in points]
    predicted = table.cost(space, template)(points)
    reference = space.to_spec(space.random(1, np.random.default_rng(0))[0].tolist(), template)  # the table's
    timings = list(time_steps(specs, reference, 2 * VISITS))
    load.append(os.getloadavg()[0])
    measured = np.array(at_one_pace(timings))
    macs = np.array([macs_per_frame(spec) for spec in specs])
    error = predicted / measured - 1
    noise = max(table.spread, spread(timings))
    wrong = float(np.abs(error).mean())
    found = {
        "layers": len(table.layers),
        "timed": table.networks,
        "seconds": seconds,
        "load": load,
        "spread": noise,
        "measured_ms": [float(measured.min()), float(measured.max())],
        "bias": float(error.mean()),
        "error": wrong,
        "largest_error": float(np.abs(error).max()),
        "error_left_out": table.error,
        "rank_correlation": correlation(predicted, measured),
        "rank_correlation_of_macs": correlation(macs, measured),
    }
    busy = noise > PROMISED
    if args.json:
        print(json.dumps(found))
    else:
        console = Console(width=120, highlight=False)
        console.print(
            f"{len(table.layers)} kinds of layers from {table.networks} networks in {seconds:.0f} s; "
            f"{len(specs)} others of {measured.min():.2f} to {measured.max():.2f} ms"
        )
        console.print(
            f"predictions are off by {wrong:.1%} on average ({found['bias']:+.1%} of it the same way), "
            f"at most {found['largest_error']:.1%}; the table itself says {table.error:.1%}"
        )
        console.print(
            f"rank correlation with measured latency: of the table {found['rank_correlation']:.2f}, "
            f"of multiply-adds {found['rank_correlation_of_macs']:.2f}"
        )
        console.print(
            f"{'busy' if busy else 'quiet'}: load {load[0]:.1f} to {load[1]:.1f} on {usable_cores()} cores; "
            f"one network took up to {noise:.0%} longer than at its quickest"
        )
    sys.exit(int(not busy and wrong > PROMISED))


if __name__ == "__main__":
    main()
