"""Workers: one video at a time or several that share batches, they say the same."""

import queue
from dataclasses import replace
from pathlib import Path

import pytest
from archive.videos import small_video
from tiny import tiny_weights

from movinet.archive.items import file_item
from movinet.archive.lanes import Lanes, Machinery
from movinet.archive.tally import Answers
from movinet.archive.tasks import Outcome, Task, Wishes
from movinet.errors import MovinetError
from movinet.runtime.open_network import open_network


@pytest.fixture(scope="module")
def machinery(tmp_path_factory: pytest.TempPathFactory) -> Machinery:
    folder = tmp_path_factory.mktemp("tiny")
    model = tiny_weights(folder)
    wishes = Wishes(Answers(2.0), vectors=True)
    hash = open_network(model).hash
    return Machinery(str(model), hash, None, "auto", "float32", "cpu", 1, wishes, str(folder), "0" * 8)


def looked(machinery: Machinery, videos: list[Path]) -> dict[int, Outcome]:
    came: queue.SimpleQueue[Outcome] = queue.SimpleQueue()
    with Lanes(machinery, came.put) as lanes:
        for number, video in enumerate(videos):
            lanes.give(Task(number, file_item(video)))
        outcomes = [came.get(timeout=120) for _ in videos]
        assert lanes.slowest() is None
    return {outcome.number: outcome for outcome in outcomes}


def test_lanes_that_share_batches_say_the_same(machinery: Machinery, tmp_path: Path) -> None:
    videos = [small_video(tmp_path / f"{number}.mp4", 2.0 + number, seed=number) for number in range(5)]
    videos.append(tmp_path / "gone.mp4")
    alone, together = looked(machinery, videos), looked(replace(machinery, lanes=3), videos)
    assert alone.keys() == together.keys() == set(range(6))
    for number, wanted in alone.items():
        found = together[number]
        assert found.kind == wanted.kind == "row"
        assert found.row["frames"] == wanted.row["frames"] == (5 * (2 + number) if number < 5 else 0)
        assert found.row["maxima"] == pytest.approx(wanted.row["maxima"], abs=2e-4)
        assert [entry["label"] for entry in found.row["last"]] == [entry["label"] for entry in wanted.row["last"]]
        assert (found.row["error"] is None) == (wanted.row["error"] is None) == (number < 5)


def test_other_weights_than_the_scan_began_with_are_refused(machinery: Machinery) -> None:
    with pytest.raises(MovinetError, match="other weights here"):
        Lanes(replace(machinery, hash="0"), lambda outcome: None)
