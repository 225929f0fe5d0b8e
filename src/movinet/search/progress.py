"""How a search goes, on a terminal as it happens, elsewhere in lines."""

from collections.abc import Mapping

from movinet.search.controller import Controller
from movinet.search.names import amount, choice_name
from movinet.train.progress import ProgressDisplay


class SearchDisplay(ProgressDisplay):
    """A training's display, with rewards, expected cost and entropy; and after every epoch what is most certain."""

    def figures(self, row: Mapping[str, float]) -> list[str]:
        """What is shown of the last update's row."""
        rewards = [f"{name} {row[name]:.3f}" for name in ("quality", "reward") if name in row]
        kinds = [
            f"{name.removeprefix('entropy_')} {value:.0%}" for name, value in row.items() if name.startswith("entropy_")
        ]
        cost = f"cost {amount(row['expected_cost'])}"
        return [*super().figures(row), *rewards, cost, f"open {row['entropy']:.0%} ({', '.join(kinds)})"]

    def epoch(self, row: Mapping[str, float], controller: object = None) -> None:
        """After every epoch."""
        line = f"expected cost {amount(row['expected_cost'])}  open {row['entropy']:.0%}"
        if isinstance(controller, Controller):
            pairs = zip(controller.space.decisions, controller.probabilities(), strict=True)
            odds = [(max(p), d.name, choice_name(d.choices[p.argmax()])) for d, p in pairs if len(p) > 1]
            sure = sorted(odds, reverse=True)[:3] if row["entropy"] < 1 else []
            line += "".join(f"  {name} {choice} {share:.0%}" for share, name, choice in sure)
        self.end_epoch(row, line)
