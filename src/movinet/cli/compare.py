"""The command that puts networks side by side: compare."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from movinet.baselines.comparison import (
    COSTS,
    Cost,
    Trained,
    comparable,
    count_cost,
    measure_costs,
    published,
    read_costs,
    read_trained,
)
from movinet.cli.app import check_threads
from movinet.cli.compare_report import print_costs, print_published, print_trained, published_row
from movinet.cli.console import out, print_json, progress_bar
from movinet.errors import MovinetError, needs_extra
from movinet.words import did_you_mean


def compare(
    networks: Sequence[str] = (),
    *,
    data: str | None = None,
    measure: bool = False,
    out_folder: Annotated[Path | None, Parameter(name="--out")] = None,
    trained: Path | None = None,
    most_gmacs: float = 60.0,
    threads: int = 1,
    json: bool = False,
) -> int:
    """Put networks side by side: what was published of them, what they cost, and what they came to here.

    Args:
        networks: those to compare, names or parts of names; all by default.
        data: only what was published of it: Kinetics-400 or Kinetics-600.
        measure: run each network on this machine, in a process of its own; needs --out, and goes on where it stopped.
        out_folder: a folder for pictures, and for what was measured.
        trained: a table of trainings of our own, as benchmarks/ablations.py --json writes it.
        most_gmacs: clips that take more billions of multiply-adds are counted, not run.
        threads: of the processor, when measuring.
        json: one JSON object, for programs.
    """
    check_threads(threads)
    if measure and out_folder is None:
        raise MovinetError("--measure takes minutes, and keeps what it measured: say where with --out FOLDER")
    chosen = _chosen(networks)
    ours = read_trained(trained) if trained is not None else []
    rows = published(data, networks)
    if measure and out_folder is not None:
        with progress_bar("measuring") as progress:
            costs = measure_costs(chosen, out_folder, most_gmacs=most_gmacs, threads=threads, progress=progress)
    else:
        costs = _known(chosen, out_folder)
    if json:
        print_json(
            {
                "published": [published_row(row) for row in rows],
                "costs": [asdict(cost) for cost in costs],
                "trained": [asdict(row) for row in ours],
            }
        )
    else:
        print_published(rows)
        print_costs(costs)
        if ours:
            print_trained(ours)
    if out_folder is not None:
        _draw(out_folder, costs, ours, quiet=json)
    return 0


def _chosen(networks: Sequence[str]) -> list[str]:
    names = comparable()
    for wanted in networks:
        if not any(wanted in name for name in names) and not published(networks=[wanted]):
            if Path(wanted).exists():
                raise MovinetError(
                    f"{wanted}: networks that others published are compared, by name; your own is counted and timed by "
                    f"movinet profile {wanted}, and judged by movinet evaluate"
                )
            raise MovinetError(f"no network is called {wanted!r}{did_you_mean(wanted, names)}")
    return [name for name in names if not networks or any(wanted in name for wanted in networks)]


def _known(networks: Sequence[str], folder: Path | None) -> list[Cost]:
    """What was measured before, and else what is counted."""
    known = read_costs(folder / COSTS) if folder is not None and (folder / COSTS).exists() else {}
    return [known.get(network) or count_cost(network) for network in networks]


def _draw(folder: Path, costs: Sequence[Cost], ours: Sequence[Trained], quiet: bool) -> None:
    with needs_extra("train"):
        from movinet.cli.compare_plots import draw_costs, draw_published, draw_trained
    folder.mkdir(parents=True, exist_ok=True)
    pictures = [folder / "published.png"]
    draw_published(published(), pictures[0])
    if any(cost.clip_ms is not None for cost in costs):
        pictures.append(folder / "costs.png")
        draw_costs(published(), costs, pictures[-1])
    if ours:
        pictures.append(folder / "trained.png")
        draw_trained(ours, pictures[-1])
    if not quiet:
        out.print(f"pictures: {', '.join(str(picture) for picture in pictures)}")
