"""The command that lists weights and networks: models."""

from collections.abc import Iterator

from rich.table import Table

from movinet.arch.spec import Spec
from movinet.arch.zoo import network_names, network_spec
from movinet.cli.console import out, print_json
from movinet.costs import macs_per_frame, parameters
from movinet.errors import MovinetError, WeightsError
from movinet.weights.info import WeightsInfo
from movinet.weights.load import describe
from movinet.weights.registry import Entry, entries
from movinet.words import fits

_UNVERIFIED = "*"

Row = tuple[Spec, WeightsInfo | None, str]
"""A network, what is known of its weights, and where they are."""


def models(pattern: str = "*", /, *, json: bool = False) -> int:
    """List the weights that can be loaded by name, and the networks that can be trained.

    Args:
        pattern: those whose name fits it, such as '*_stream.k600', or contains it.
        json: one JSON object a line, for programs.
    """
    rows = [row for name in network_names() for row in _rows(name) if fits(_name(row), pattern)]
    if not rows:
        raise MovinetError(f"{pattern}: no weights or network has such a name; `movinet models` lists all")
    if json:
        for spec, info, where in rows:
            counts = {"parameters": parameters(spec), "macs_per_frame": round(macs_per_frame(spec))}
            weights = {k: v for k, v in info.to_dict().items() if k not in ("spec", "labels")} if info else None
            verified = not where.endswith(_UNVERIFIED)
            row = {"weights": weights, "where": where.removesuffix(_UNVERIFIED), "verified": verified if info else None}
            print_json({"architecture": spec.name, **counts, **row})
        return 0
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column("weights", no_wrap=True)
    for heading in ("params", "MACs/frame", "frame", "fps", "top-1"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("where")
    for spec, info, where in rows:
        table.add_row(
            _name((spec, info, where)),
            f"{parameters(spec) / 1e6:.2f} M",
            f"{macs_per_frame(spec) / 1e6:.1f} M",
            f"{spec.size[0]}×{spec.size[1]}",
            f"{spec.fps:g}",
            f"{info.accuracy['top-1']:.2f}" if info and "top-1" in info.accuracy else "",
            where,
            style="" if info else "dim",
        )
    out.print(table)
    if any(where.endswith(_UNVERIFIED) for _, _, where in rows):
        out.print(f"{_UNVERIFIED} never verified by us: nobody who made this package has had the file", style="dim")
    return 0


def _name(row: Row) -> str:
    spec, info, _ = row
    return info.name if info else spec.name


def _rows(name: str) -> Iterator[Row]:
    """What there is to list of a network: each of its weights, or itself where none have its published form."""
    found = [entry for entry in entries() if entry.architecture == name]
    for entry in found:
        try:
            info = describe(entry)
        except WeightsError:
            yield network_spec(name), None, "damaged"
        else:
            yield info.spec, info, _where(entry)
    if all(entry.bundled for entry in found):
        yield network_spec(name), None, "none"


def _where(entry: Entry) -> str:
    if entry.bundled:
        return "bundled"
    return ("A4 + A5" if entry.members else "download") + ("" if entry.verified else _UNVERIFIED)
