"""What is said of scores: their interval where clips are few, and whether training changed anything."""

import pytest

from movinet.metrics import wilson_interval
from movinet.train.verdict import UNKNOWN, Verdict, outlook

TWO = Verdict({"validation": 2, "test": 400}, {"validation_top1": 1.0, "validation_loss": 0.1})


def test_the_interval_stands_beside_scores_of_few_clips() -> None:
    scores = {"validation_top1": 1.0, "validation_loss": 0.1, "test_top1": 0.75, "test_loss": 0.2}
    low, high = wilson_interval(2, 2)
    assert TWO.intervals(scores) == {"validation_top1": {"clips": 2, "low": low, "high": high}}
    assert TWO.beside("validation_top1", scores) == " (of 2 clips; 95 %: 34% to 100%)"
    assert TWO.beside("test_top1", scores) == ""
    assert UNKNOWN.intervals(scores) == {}
    assert UNKNOWN.beside("validation_top1", scores) == ""
    assert Verdict({"validation": 3}).intervals({"validation_map": 0.5}) == {}  # no share of clips


@pytest.mark.parametrize(
    ("clips", "before", "after", "said"),
    [
        (2, 1.0, 1.0, "nothing shows that training made it better: 100.0% of"),
        (2, 1.0, 0.5, "worse than what it began with: 100.0% of"),
        (2, 0.5, 1.0, "perhaps better than what it began with, too few clips to tell"),
        (5, 0.2, 1.0, "better than what it began with: 20.0% of the validation clips before training, 100.0% after"),
        (400, 0.5, 0.9, "better than what it began with"),
    ],
)
def test_whether_training_made_it_better(clips: int, before: float, after: float, said: str) -> None:
    verdict = Verdict({"validation": clips}, {"validation_top1": before, "validation_loss": 1.0})
    assert verdict.compared({"validation_top1": after, "validation_loss": 0.5}).startswith(said)


def test_what_nobody_asked_is_not_compared() -> None:
    assert Verdict({"validation": 9}).compared({"validation_top1": 1.0}) == ""
    assert TWO.compared({}) == ""


def test_what_a_run_can_show_is_said_before() -> None:
    few = outlook({"train": 14, "validation": 2}, 6)
    assert len(few) == 2
    assert few[0].startswith("2 validation clips: even if all are right, that means 34% to 100%")
    assert few[1].startswith("6 updates can teach little")
    assert outlook({"train": 14}, 100)[0].startswith("no validation clips")
    assert outlook({"train": 4000, "validation": 400, "test": 400}, 5000) == []
