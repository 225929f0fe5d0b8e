"""What a run's scores show, and what so few clips cannot show."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from movinet.metrics import wilson_interval
from movinet.words import counted

FEW = 100  # clips; of more, a share is known to a few points
_USUAL_UPDATES = 25  # from which on networks of ours learned classes that they did not know


@dataclass(frozen=True)
class Verdict:
    """How far a run's scores can be trusted.

    Args:
        clips: How many the scores of a split (`validation`, `test`) are of.
        before: The validation scores of the network that training began with, `validation_top1` and so on; empty where
            nobody asked.
    """

    clips: Mapping[str, int] = field(default_factory=dict)
    before: Mapping[str, float] = field(default_factory=dict)

    def interval(self, name: str, scores: Mapping[str, float]) -> tuple[float, float] | None:
        """The range that is likely (95 %) for a score that is a share of clips, such as `test_top1`, where they are
        few; None otherwise."""
        split, _, score = name.rpartition("_")
        clips = self.clips.get(split, 0)
        if score not in ("top1", "top5") or name not in scores or not 0 < clips < FEW:
            return None
        return wilson_interval(round(scores[name] * clips), clips)

    def intervals(self, scores: Mapping[str, float]) -> dict[str, dict[str, float]]:
        """All there are, by score, with the number of clips."""
        found = {name: self.interval(name, scores) for name in scores}
        return {
            name: {"clips": self.clips[name.rpartition("_")[0]], "low": both[0], "high": both[1]}
            for name, both in found.items()
            if both
        }

    def beside(self, name: str, scores: Mapping[str, float]) -> str:
        """What is said beside a score: nothing where it is of many clips."""
        both = self.interval(name, scores)
        if both is None:
            return ""
        return f" (of {counted(self.clips[name.rpartition('_')[0]], 'clip')}; 95 %: {both[0]:.0%} to {both[1]:.0%})"

    def compared(self, scores: Mapping[str, float]) -> str:
        """Whether training made the network better, by the validation clips; empty where they were not asked before."""
        name = next((name for name in ("validation_top1", "validation_map") if name in self.before), None)
        if name is None or name not in scores:
            return ""
        was, came = self.before[name], scores[name]
        what = "of the validation clips" if name == "validation_top1" else "validation mAP"
        change = f"{was:.1%} {what} before training, {came:.1%} after"
        if came < was:
            return f"worse than what it began with: {change}"
        if came == was:
            return f"nothing shows that training made it better: {change}"
        both = self.interval(name, scores)
        if both is not None and both[0] <= was:
            return f"perhaps better than what it began with, too few clips to tell: {change}"
        return f"better than what it began with: {change}"


UNKNOWN = Verdict()
"""Of how many clips the scores are was not said."""


def outlook(clips: Mapping[str, int], updates: int) -> list[str]:
    """What a run with so few clips, or updates, can and cannot show, before it begins.

    Args:
        clips: By split; `validation` and `test` may be missing.
        updates: Of the whole run.
    """
    found = []
    if not clips.get("validation"):
        found.append("no validation clips: the last network is kept, and nothing says how good it is")
    for split in ("validation", "test"):
        if 0 < (count := clips.get(split, 0)) < FEW:
            low, _ = wilson_interval(count, count)
            few = counted(count, f"{split} clip")
            found.append(f"{few}: even if all are right, that means {low:.0%} to 100% (95 %), no more")
    if updates < _USUAL_UPDATES:
        few = counted(updates, "update")
        found.append(f"{few} can teach little that the network does not know already; more --epochs teach more")
    return found
