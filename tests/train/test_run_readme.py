"""The README of a run's folder says what is in it, and its commands work as they stand."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch

from movinet import __version__
from movinet.errors import MovinetError
from movinet.train.datasets import Sets
from movinet.train.run_readme import describe_run


@dataclass
class Labels:
    """A set as far as its labels go."""

    labels: list[tuple[str, ...]]
    classes: tuple[str, ...]
    multi_label: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    def labels_of(self, index: int) -> tuple[str, ...]:
        return self.labels[index]


BEGAN = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)


def a_set(*counts: int, multi_label: bool = False) -> Any:
    names = tuple(f"class|{n}" for n in range(len(counts)))
    labels = [(name,) for name, count in zip(names, counts, strict=True) for _ in range(count)]
    return Labels([*labels, names] if multi_label else labels, names, multi_label)


def describe(folder: Path, **changes: Any) -> str:
    given: dict[str, Any] = {
        "network": "movinet_a0_stream from movinet_a0_stream.k600",
        "sets": Sets(a_set(3, 12), a_set(1, 2), None),
        "command": ["movinet", "finetune", "my clips", "--out", "runs/x"],
        "began": BEGAN,
    }
    describe_run(folder, **given | changes)
    return (folder / "README.md").read_text()


def test_a_run_that_begins(tmp_path: Path) -> None:
    folder = tmp_path / "my run"
    folder.mkdir()
    (folder / "recipe.yaml").touch()
    text = describe(folder)
    assert text.startswith("# my run\n\nmovinet_a0_stream from movinet_a0_stream.k600, 2 classes.\n")
    assert f"movinet train --resume '{folder}'\n" in text
    assert "classify" not in text  # there is no network yet
    assert "## Results" not in text
    assert "| [recipe.yaml](recipe.yaml) | what was done; `movinet train` takes it |" in text
    assert "steps.csv" not in text
    assert "| class | training | validation |\n| --- | --- | --- |\n| all | 15 | 3 |\n| class\\|0 | 3 | 1 |" in text
    versions = f"movinet {__version__}, torch {torch.__version__}, Python 3"
    assert f"| 2026-05-04 03:02 |  | `movinet finetune 'my clips' --out runs/x` | {versions}" in text
    assert " cores of " in text


def test_a_run_that_went_on_and_is_finished(tmp_path: Path) -> None:
    for name in ("model.safetensors", "curves.png", "confusion.png"):
        (tmp_path / name).touch()
    describe(tmp_path)
    text = describe(tmp_path, ended=BEGAN + timedelta(hours=1, seconds=5.5))
    assert f"movinet classify VIDEO --model {tmp_path}/model.safetensors" in text
    later = BEGAN + timedelta(days=1)
    text = describe(
        tmp_path,
        command=["movinet", "train", "--resume", "x"],
        began=later,
        ended=later + timedelta(minutes=2),
        finished=True,
        scores={"epoch": 7.0, "validation_loss": 0.5, "validation_top1": 0.8125, "test_map": 0.5},
    )
    assert "--resume '" not in text
    assert "The run is finished." in text
    assert "| validation top-1 | 81.2% |\n| test mean average precision | 50.0% |" in text
    assert "loss |" not in text
    assert "![curves.png](curves.png)\n\n![confusion.png](confusion.png)" in text
    assert "| 2026-05-04 03:02 | 1:00:05 | `movinet finetune" in text
    assert "| 2026-05-05 03:02 | 0:02:00 | `movinet train --resume x` |" in text
    assert [session["ended"] is None for session in json.loads((tmp_path / "sessions.json").read_text())] == [False] * 2


def test_many_classes_are_summed_up(tmp_path: Path) -> None:
    many = a_set(*range(1, 601), multi_label=True)
    text = describe(tmp_path, sets=Sets(many, None, a_set(*[2] * 600)))
    assert f"| class | training | test |\n| --- | --- | --- |\n| all | {600 * 601 // 2 + 1} | 1200 |" in text
    assert "| each of 600 classes | 2 to 601 | 2 to 2 |" in text
    assert "A clip may show any number of classes." in text


def test_what_stands_in_the_way(tmp_path: Path) -> None:
    for odd in ("", "{}", "[{}]", "[1]", '[{"began": "yesterday"}]'):
        (tmp_path / "sessions.json").write_text(odd)
        assert "2026-05-04" in describe(tmp_path)
    with pytest.raises(MovinetError, match="cannot write"):
        describe(tmp_path / "nowhere")
