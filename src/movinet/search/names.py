"""What decisions and their choices are called in tables and pictures."""

from movinet.search.controller import Controller
from movinet.search.space import Decision

_UNITS = ((1e9, "G"), (1e6, "M"), (1e3, "k"))


def choice_name(choice: object) -> str:
    """`1x3x3` for a kernel."""
    if isinstance(choice, tuple):
        return "x".join(map(str, choice))
    return {True: "with", False: "without"}[choice] if isinstance(choice, bool) else str(choice)


def odds_name(decision: Decision, choice: object) -> str:
    """The column of a choice's probability."""
    return f"{decision.name}={choice_name(choice)}"


def odds(controller: Controller) -> dict[str, float]:
    """Each decision's probabilities, by column; of decisions with something to choose."""
    return {
        odds_name(decision, choice): float(p)
        for decision, row in zip(controller.space.decisions, controller.probabilities(), strict=True)
        if len(decision.choices) > 1
        for choice, p in zip(decision.choices, row, strict=True)
    }


def entropies(controller: Controller) -> dict[str, float]:
    """`entropy`, the mean over all decisions that have something to choose, and `entropy_kernel` … over those of a
    kind."""
    each = [
        (decision.kind, entropy)
        for decision, entropy in zip(controller.space.decisions, controller.entropies(), strict=True)
        if len(decision.choices) > 1
    ]
    kinds = {kind: [e for other, e in each if other == kind] for kind, _ in each}
    found = {f"entropy_{kind}": sum(values) / len(values) for kind, values in kinds.items()}
    return {"entropy": sum(entropy for _, entropy in each) / max(1, len(each)), **found}


def format_count(number: float) -> str:
    """`1.5M`"""
    for unit, letter in _UNITS:
        if number >= unit:
            return f"{number / unit:.3g}{letter}"
    return f"{number:.3g}"
