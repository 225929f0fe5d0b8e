"""Training on streams: the state goes from update to update, and a run that goes on comes to the same end."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from training_sets import BASIC, SIZE, Asked, NoiseLanes, Rows, fabric, new_network, new_training, stream_noise

from movinet.arch.step import DECAY, FRAME_COUNT
from movinet.data.dataset import scaled
from movinet.data.stream_chunks import StreamChunks
from movinet.errors import MovinetError, WeightsError
from movinet.train.checkpoint import load_checkpoint
from movinet.train.datasets import Sets
from movinet.train.recipe import AdamW, Loss, Recipe, Smoothness, Steadiness
from movinet.train.recipe_data import GestureStreams
from movinet.train.stream_training import StreamTraining
from movinet.train.stream_validation import evaluate_streams

LANES, CHUNKS, STEPS = 4, 3, 6
STREAMS = replace(
    BASIC,
    data=GestureStreams(CHUNKS),
    strategy="recurrent",
    sub_clip=4,
    memory=2.0,
    loss=Loss(0.1, {"other": 0.5}, Smoothness(frames=3), steadiness=Steadiness(), early=0.2),
    ema_decay=0.9,
)


def of_streams(recipe: Recipe, folder: Path, sets: Sets | None = None) -> StreamTraining:
    training = new_training(recipe, sets or stream_noise(LANES, CHUNKS), folder)
    assert isinstance(training, StreamTraining)
    return training


def saved(training: StreamTraining) -> dict[str, Tensor]:
    tensors = load_checkpoint(training.path).tensors
    return {f"{part}/{name}": value for part, named in tensors.items() for name, value in named.items()}


@cache
def uninterrupted() -> tuple[Rows, dict[str, Tensor]]:
    rows = Rows()
    with TemporaryDirectory() as folder:
        training = of_streams(STREAMS, Path(folder))
        assert training.run(Asked(), [rows])
        return rows, saved(training)


def test_a_run_from_its_beginning_to_its_end() -> None:
    rows, state = uninterrupted()
    assert [row["step"] for row in rows.steps] == [1, 2, 3, 4, 5, 6]
    for row in rows.steps:
        assert row["loss"] == pytest.approx(row["labels"] + row["steadiness"] + row["smoothness"])
        assert row["gradient_norm"] > 0
    assert len({row["loss"] for row in rows.steps}) == STEPS
    assert all(0 <= row["validation_map"] <= 1 for row in rows.epochs)
    # Lanes begin anew where (number + lane) % 3 == 0; the last of the six chunks has the number 5.
    assert state[f"streams/{FRAME_COUNT}"].tolist() == [12, 4, 8, 12]
    assert state[f"streams/{DECAY}"].tolist() == pytest.approx([torch.tensor(-1 / (2.0 * 5)).exp().item()] * LANES)


@settings(max_examples=6)
@given(stops=st.lists(st.integers(1, STEPS), max_size=2), workers=st.sampled_from([0, 0, 1]))
def test_a_run_that_is_stopped_after_any_update_comes_to_the_same_end(stops: list[int], workers: int) -> None:
    wanted, state = uninterrupted()
    rows = Rows()
    with TemporaryDirectory() as folder:
        for stop in [*stops, None]:
            training = of_streams(STREAMS, Path(folder))
            training.workers = workers
            if training.path.exists():
                training.restore(load_checkpoint(training.path))
            training.run(Asked(stop), [rows])
        found = saved(training)
    assert found.keys() == state.keys()
    assert [name for name, value in state.items() if not torch.equal(found[name], value)] == []
    assert rows.steps == wanted.steps
    assert rows.epochs == wanted.epochs


def test_every_update_goes_on_where_the_lane_was(tmp_path: Path) -> None:
    """Weights that hardly move and statistics that are kept: then the states are those of the streams in one go."""
    recipe = replace(
        STREAMS, optimizer=AdamW(1e-12), epochs=1, batch_norm="kept", init_from="whatever", loss=Loss(), ema_decay=None
    )
    torch.manual_seed(0)
    model = new_network(replace(STREAMS, options={"dropout": 0.0, "stochastic_depth": 0.0}), tmp_path).eval()
    training = StreamTraining(fabric(), recipe, model, stream_noise(LANES, CHUNKS, 0), tmp_path / "checkpoint")
    assert training.run(Asked())
    lanes = NoiseLanes()
    for lane in range(LANES):
        chunks = [lanes.chunk(lane, number) for number in range(CHUNKS)]
        first = max((n for n, chunk in enumerate(chunks) if chunk.begins), default=0)
        clip = torch.cat([chunk.frames for chunk in chunks[first:]], dim=1)[None]
        with torch.no_grad():
            _, state = model.eval().step(scaled(clip, lanes.transform))
        for name, value in state.items():
            torch.testing.assert_close(training.streams[name][lane : lane + 1], value, rtol=1e-4, atol=1e-5)


def test_streams_are_learned(tmp_path: Path) -> None:
    """Every frame tells its class, and the memory is short enough to follow."""
    plain = {"options": {"dropout": 0.0, "stochastic_depth": 0.0}, "memory": 0.1, "loss": Loss(), "ema_decay": None}
    recipe = replace(STREAMS, data=GestureStreams(60), epochs=1, optimizer=AdamW(0.02), **plain)  # type: ignore[arg-type]
    rows = Rows()
    of_streams(recipe, tmp_path, stream_noise(LANES, 60)).run(Asked(), [rows])
    first, last = (sum(row["loss"] for row in part) for part in (rows.steps[:8], rows.steps[-8:]))
    assert last < 0.5 * first
    assert rows.epochs[-1]["validation_map"] > 0.9


def test_the_answers_of_validation_are_those_of_whole_streams(tmp_path: Path) -> None:
    model = new_network(STREAMS, tmp_path)
    data = StreamChunks(NoiseLanes(seed=1, lasts=10**6), 3, 2, fresh=False)
    found = evaluate_streams(fabric(), model, data)
    assert found.videos.tolist() == [lane for lane in range(3) for _ in range(8)]
    for lane in range(3):
        chunks = [data.lanes.chunk(lane, number) for number in range(2)]
        clip = torch.cat([chunk.frames for chunk in chunks], dim=1)[None]
        with torch.no_grad():
            said, _ = model.eval().step(scaled(clip, data.transform), None, per_frame=True)
        torch.testing.assert_close(torch.from_numpy(found.logits[found.videos == lane]), said[0], rtol=1e-4, atol=1e-5)
        assert found.targets[found.videos == lane].tolist() == torch.cat([c.targets for c in chunks]).tolist()
    assert set(found.scores()) == {"loss", "map"}
    assert found.confusion().sum() == (found.targets >= 0).sum()


def test_another_recipe_cannot_go_on(tmp_path: Path) -> None:
    of_streams(STREAMS, tmp_path).run(Asked(1))
    other = of_streams(replace(STREAMS, memory=3.0), tmp_path)
    with pytest.raises(WeightsError, match=r"memory was 2\.0 and is 3\.0"):
        other.restore(load_checkpoint(other.path))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"strategy": "clip"}, "strategy recurrent"),
        ({"bptt_clips": 2}, "every frame is answered for"),
        ({"mixup": 0.2}, "streams are not mixed"),
        ({"memory": 0.0}, "memory is 0"),
        ({"data": None}, "are of streams"),
    ],
)
def test_what_streams_do_not_know_is_said(change: dict[str, object], complaint: str) -> None:
    with pytest.raises(MovinetError, match=complaint):
        replace(STREAMS, **change)  # type: ignore[arg-type]


def test_nobody_counts_the_frames_of_endless_streams(tmp_path: Path) -> None:
    with pytest.raises(MovinetError, match="nobody knows"):
        of_streams(replace(STREAMS, loss=Loss(class_weights="balanced")), tmp_path)


def test_the_network_forgets_as_the_recipe_says(tmp_path: Path) -> None:
    assert new_network(STREAMS, tmp_path).spec.decay == pytest.approx(0.904837, abs=1e-6)  # exp(-1 / (2 s · 5))
    never_said = new_network(replace(STREAMS, memory=None), tmp_path)
    assert never_said.spec.decay == pytest.approx(0.951229, abs=1e-6)  # 20 frames at 5 a second
    assert never_said.init_state(2, SIZE)[DECAY].tolist() == pytest.approx([0.951229] * 2, abs=1e-6)
