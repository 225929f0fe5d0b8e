"""How a search goes, on a terminal as it happens, elsewhere in lines."""

from collections.abc import Mapping

from movinet.search.names import format_count
from movinet.train.progress import ProgressDisplay


class SearchDisplay(ProgressDisplay):
    """A training's display, with rewards, expected cost and entropy; and after every epoch what is most certain."""

    def figures(self, row: Mapping[str, float]) -> list[str]:
        """What is shown of the last update's row."""
        rewards = [f"{name} {row[name]:.3f}" for name in ("quality", "reward") if name in row]
        kinds = [
            f"{name.removeprefix('entropy_')} {value:.0%}" for name, value in row.items() if name.startswith("entropy_")
        ]
        cost = f"cost {format_count(row['expected_cost'])}"
        return [*super().figures(row), *rewards, cost, f"open {row['entropy']:.0%} ({', '.join(kinds)})"]

    def epoch(self, row: Mapping[str, float], answers: object = None) -> None:
        """After every epoch."""
        line = f"expected cost {format_count(row['expected_cost'])}  open {row['entropy']:.0%}"
        likeliest: dict[str, tuple[float, str]] = {}
        for column, share in row.items():
            decision, is_odds, choice = column.partition("=")
            if is_odds:
                likeliest[decision] = max(likeliest.get(decision, (0.0, "")), (share, choice))
        sure = sorted(((share, name, choice) for name, (share, choice) in likeliest.items()), reverse=True)[:3]
        line += "".join(f"  {name} {choice} {share:.0%}" for share, name, choice in sure if row["entropy"] < 1)
        self.end_epoch(row, line)
