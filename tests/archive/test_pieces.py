"""Long files in pieces: the same events and labels as uncut, but for what was forgotten."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiny import tiny_spec

from movinet.archive.items import file_item
from movinet.archive.looking import Looker
from movinet.archive.pieces import FORGOTTEN, cut, replayed_frames
from movinet.archive.spool import Spooled, read_spooled
from movinet.archive.tally import Answers, Seconds
from movinet.archive.tasks import Outcome, Task, Wishes
from movinet.recognizer import Recognizer
from movinet.video.container import Video
from movinet.video.decode import read_frames
from movinet.video.encode import encode_video
from movinet.video.sample import sample_clip
from movinet.video.transform import Transform

MEMORY = 1.0


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gestures, with somebody else's pictures between them."""
    folder = tmp_path_factory.mktemp("long")
    hand = [frame.levels(Transform((96, 128), 96, 5.0)) for frame in read_frames(sample_clip(), fps=5.0)]
    generator = np.random.default_rng(0)
    frames: list[np.ndarray] = []
    while len(frames) < 300:
        frames += [np.roll(frame, int(generator.integers(20)), 1) for frame in hand]
        frames += [hand[0]] * int(generator.integers(5, 30))
    encode_video(folder / "long.mp4", np.stack(frames[:300]), 5.0)
    return folder / "long.mp4"


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer.load("movinet_t0_stream.gestures", memory=MEMORY, threads=1)


def looked(recognizer: Recognizer, video: Path, folder: Path, piece: float) -> tuple[Outcome, int]:
    """The row of a video, and of how many pieces it was made."""
    wishes = Wishes(Answers(MEMORY), frames=True, vectors=True, piece=piece)
    ports = recognizer.engine.signature.state
    looker = Looker(recognizer.network, recognizer.session(), ports, wishes, folder, "0" * 8)
    outcome = looker.look(Task(1, file_item(video)), None, lambda: None)
    if outcome.kind == "row":
        return outcome, 1
    done = []
    for number, part in enumerate(outcome.pieces, 2):
        came = looker.look(Task(number, file_item(video), part), None, lambda: None)
        assert came.kind == "piece"
        done.append(json.loads(json.dumps({"row": came.row, "files": came.files})))
    return looker.look(Task(99, file_item(video), done=tuple(done)), None, lambda: None), len(done)


def values(folder: Path, outcome: Outcome, table: str) -> tuple[np.ndarray, np.ndarray]:
    rows = [rows for one in outcome.files[table] for rows in read_spooled(folder, Spooled.of_dict(one))]
    joined = np.concatenate([part["values"] for part in rows]).astype(np.float64)
    return np.concatenate([part["time"] for part in rows]), joined


def test_pieces_say_what_the_whole_says(
    recognizer: Recognizer, long_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, one = looked(recognizer, long_video, tmp_path, 0)
    pieced, several = looked(recognizer, long_video, tmp_path, 15.0)
    assert (one, several) == (1, 4)
    assert whole.row["error"] is None
    assert whole.row["frames"] == pieced.row["frames"] == 300
    assert len(whole.row["events"]) >= 3
    for found, wanted in zip(pieced.row["events"], whole.row["events"], strict=True):
        assert (found["label"], found["start"], found["end"]) == (wanted["label"], wanted["start"], wanted["end"])
        assert found["confidence"] == pytest.approx(wanted["confidence"], abs=1e-3)
    for table, tolerance in (("frames", 2e-3), ("vectors", 2e-3)):
        times, found = values(tmp_path, pieced, table)
        wanted_times, wanted = values(tmp_path, whole, table)
        np.testing.assert_allclose(times, wanted_times, atol=1e-6)
        np.testing.assert_allclose(found, wanted, atol=tolerance * np.abs(wanted).max())
    # And not by chance: without the frames before them the pieces say something else.
    monkeypatch.setattr("movinet.archive.pieces.replayed_frames", lambda spec, memory: 0)
    pieced, _ = looked(recognizer, long_video, tmp_path, 15.0)
    (_, found), (_, wanted) = values(tmp_path, pieced, "frames"), values(tmp_path, whole, "frames")
    assert np.abs(found - wanted).max() > 0.05


def test_what_never_forgets_is_not_cut(long_video: Path) -> None:
    spec = tiny_spec()
    with Video(long_video) as video:
        assert len(cut(video, spec, None, 15.0)) == 1
        assert len(cut(video, spec, MEMORY)) == 1  # a minute is short


@given(st.floats(0.2, 20.0), st.floats(10.0, 30.0))
def test_pieces_meet_and_see_enough_before(long_video: Path, memory: float, seconds: float) -> None:
    spec = tiny_spec()
    with Video(long_video) as video:
        pieces = cut(video, spec, memory, seconds)
    assert pieces[0].begin == pieces[0].replay == 0
    assert pieces[-1].end is None
    for piece, following in pairwise(pieces):
        assert piece.end == following.begin
        assert following.begin % spec.fps == 0
        seen_before = following.begin - following.replay
        assert following.replay == 0 or seen_before >= FORGOTTEN * memory * spec.fps
    assert replayed_frames(spec, memory) >= FORGOTTEN * memory * spec.fps


@given(st.floats(0.5, 1.0), st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(0, 2**32 - 1))
def test_a_second_is_the_mean_of_its_frames(decay: float, counts: list[int], seed: int) -> None:
    """Whatever was pooled before."""
    generator, seconds = np.random.default_rng(seed), Seconds()
    pool, weight, seen = np.zeros(5, np.float32), 0.0, 0
    seconds.begin(seen, weight, pool)
    for count in counts:
        frames = generator.normal(size=(count, 5)) + 3
        for features in frames:
            weight = decay * weight + 1
            pool = (pool + (features - pool) / weight).astype(np.float32)
        seen += count
        ages = decay ** np.arange(count)[::-1]
        wanted = (frames * ages[:, None]).sum(0) / ages.sum()
        np.testing.assert_allclose(seconds.vector(count, seen, weight, decay, pool), wanted, atol=1e-4)
