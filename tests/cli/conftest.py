"""Clips to train on, and a folder to work in."""

from pathlib import Path

import pytest
from tiny import tiny_weights
from training_sets import clips_folder


@pytest.fixture
def work(tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder to work in. Without `pictures`, which take most of the time, unless a test wants them."""
    monkeypatch.chdir(tmp_path)
    if "pictures" not in request.fixturenames:
        monkeypatch.setattr("movinet.train.train_run.draw_learning_curves", lambda *_: None)
        monkeypatch.setattr("movinet.train.train_run.draw_confusion_matrix", lambda *_: None)
    return tmp_path


@pytest.fixture
def pictures() -> None:
    """They are drawn."""


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of three classes and of two, and networks to start from."""
    folder = tmp_path_factory.mktemp("training")
    clips_folder(folder / "three", {"calm": 4, "dance": 4, "jump": 4})
    clips_folder(folder / "two", {"no": 4, "yes": 4})
    tiny_weights(folder)
    tiny_weights(folder, causal=False)
    return folder
